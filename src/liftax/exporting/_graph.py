"""A network as a sequence of layers, channels first."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from liftax.affine import (
    AbstractAffine,
    AveragePooling,
    Concatenation,
    Convolution,
    Dense,
    Identity,
    Mean,
    Mix,
    Normalisation,
    Patches,
    Pointwise,
    Positions,
    Reshape,
    Residual,
    Scale,
    Scaled,
    Scores,
    Selection,
    Sum,
    TransposedConvolution,
    TransposedDense,
)
from liftax.exporting._writer import AbstractWriter, Shape, refused
from liftax.networks import INPUT, Network, Params
from liftax.potentials import AbstractPotential, Ball, Clip, LeakyReLU, SoftThreshold
from liftax.potentials import Identity as Linear

Theta = Any


class Tensor(NamedTuple):
    """What the writer gave, and the shape of an example in the network."""

    handle: Any
    shape: Shape


def foreign(shape: Shape) -> Shape:
    """Channels first where there are height and width."""
    return (shape[-1], *shape[:-1]) if len(shape) == 3 else shape


def write(network: Network, params: Params, writer: AbstractWriter, entry: Any) -> Any:
    """Write all nodes; gives what stands for the output.

    Args:
        network: any.
        params: of it.
        writer: of the framework.
        entry: what stands for the input there.

    Raises:
        ValueError: naming the node whose map or activation the framework has not.
    """
    arrays = {name: _plain(theta) for name, theta in params.items()}
    tensors = {INPUT: Tensor(entry, tuple(network.input_shape))}
    for node in network.at(params).nodes:
        writer.label = node.name
        parents = [tensors[name] for name in node.parents]
        try:
            z = image(writer, node.affine, arrays.get(node.owner, {}), parents)
            tensors[node.name] = _activated(writer, node.potential, z)
        except ValueError as error:
            raise ValueError(f"node {node.name!r}: {error}") from None
    return tensors[network.output].handle


def _plain(theta: Any) -> Any:
    if isinstance(theta, dict):
        return {key: _plain(value) for key, value in theta.items()}
    return tuple(map(_plain, theta)) if isinstance(theta, tuple | list) else np.asarray(theta)


def image(
    writer: AbstractWriter, affine: AbstractAffine, theta: Theta, parents: list[Tensor]
) -> Tensor:
    """The map's output."""
    if type(affine) not in _MAPS:
        raise refused(affine, "other frameworks here", "save_network keeps it")
    handle = _MAPS[type(affine)](writer, affine, theta, parents)
    return Tensor(handle, affine.out_shape(*(parent.shape for parent in parents)))


def _flat(writer: AbstractWriter, u: Tensor, weight: np.ndarray) -> tuple[Any, np.ndarray]:
    """An example as a vector, and the weight (inputs, features) in the order of its entries."""
    if len(u.shape) == 1:
        return u.handle, weight
    if len(u.shape) == 3:
        weight = weight.reshape(*u.shape, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
    return writer.reshaped(u.handle, (math.prod(u.shape),)), weight


def _dense(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    weight = theta["weight"].T if isinstance(f, TransposedDense) else theta["weight"]
    handle, weight = _flat(w, parents[0], weight)
    return w.dense(handle, weight.T, theta["bias"] if f.use_bias else None)


def _pointwise(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    bias, weight = theta["bias"] if f.use_bias else None, theta["weight"].T
    if len(parents[0].shape) == 3:
        return w.convolution(
            parents[0].handle, weight[:, :, None, None], bias, (1, 1), ((0, 0), (0, 0))
        )
    return w.dense(parents[0].handle, weight, bias)


def _zeros(f: Any, shape: Shape, axis: int) -> tuple[int, int]:
    """Rows or columns of zeros around the input of a convolution."""
    if not isinstance(f.padding, str):
        return f.padding[axis]
    if f.padding == "valid":
        return 0, 0
    size, step = shape[axis], f.stride[axis]
    total = max((-(-size // step) - 1) * step + f.kernel[axis] - size, 0)
    return total // 2, total - total // 2


def _convolution(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u,) = parents
    pads = (_zeros(f, u.shape, 0), _zeros(f, u.shape, 1))
    weight, bias = theta["weight"].transpose(3, 2, 0, 1), theta["bias"] if f.use_bias else None
    return w.convolution(u.handle, weight, bias, f.stride, pads)


def _transposed_convolution(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u,) = parents
    shape, cuts = f.out_shape(u.shape), []
    for axis in (0, 1):
        whole = (u.shape[axis] - 1) * f.stride[axis] + f.kernel[axis]
        first = _zeros(f, shape, axis)[0]
        cuts.append((first, whole - first - shape[axis]))
    weight, bias = theta["weight"].transpose(3, 2, 0, 1), theta["bias"] if f.use_bias else None
    return w.transposed_convolution(u.handle, weight, bias, f.stride, (cuts[0], cuts[1]))


def _pooling(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    return w.pooling(parents[0].handle, f.window, f.stride or f.window)


def _mean(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u,) = parents
    axes = tuple(range(1, len(u.shape)))
    return w.mean(u.handle, (2, 3) if len(u.shape) == 3 else axes)


def _normalisation(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u, shape), one = parents[0], np.ones_like(theta["scale"])
    known = {"mean": 0 * one, "variance": one} | theta
    statistics = [known[name] for name in ("scale", "shift", "mean", "variance")]
    epsilon, tokens = 0.0 if isinstance(f, Scale) else f.epsilon, len(shape) == 2
    u = w.transposed(u, (0, 2, 1)) if tokens else u
    z = w.normalised(u, statistics, epsilon, len(shape) == 3)
    return w.transposed(z, (0, 2, 1)) if tokens else z


def _sum(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    terms = [image(w, g, p, [u]).handle for g, p, u in zip(f.maps, theta, parents, strict=True)]
    return terms[0] if len(terms) == 1 else w.add(terms)


def _residual(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    coefficients = (*f.shortcut, *f.argument, f.factor)
    if not all(isinstance(c, int | float) for c in coefficients):
        raise refused("a Residual with operators", "other frameworks here", "save the network")
    kept = [u for u, b in zip(parents, f.argument, strict=True) if b]
    argument = Tensor(_combined(w, parents, f.argument), kept[0].shape)
    moved = _times(w, image(w, f.map, theta, [argument]).handle, f.factor)
    if not any(f.shortcut):
        return moved
    return w.add([_combined(w, parents, f.shortcut), moved])


def _combined(w: AbstractWriter, tensors: list[Tensor], numbers: tuple[float, ...]) -> Any:
    terms = [_times(w, u.handle, a) for u, a in zip(tensors, numbers, strict=True) if a]
    return terms[0] if len(terms) == 1 else w.add(terms)


def _times(w: AbstractWriter, handle: Any, number: float) -> Any:
    return handle if number == 1 else w.times(handle, float(number))


def _scaled(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    return _times(w, image(w, f.map, theta, parents).handle, f.factor)


def _concatenation(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    rank = len(parents[0].shape)
    return w.concatenation([u.handle for u in parents], 1 if rank == 3 else rank)


def _rearranged(w: AbstractWriter, u: Tensor, split: Shape, axes: Shape, shape: Shape) -> Any:
    """Reshaped, transposed and reshaped in the network's order of entries."""
    handle, now = u.handle, u.shape
    if len(now) == 3:
        handle = w.transposed(handle, (0, 2, 3, 1))
    if axes:
        handle = w.reshaped(handle, split) if split != now else handle
        handle = w.transposed(handle, (0, *(axis + 1 for axis in axes)))
        now = tuple(split[axis] for axis in axes)
    handle = w.reshaped(handle, shape) if shape != now else handle
    return w.transposed(handle, (0, 3, 1, 2)) if len(shape) == 3 else handle


def _reshape(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    return _rearranged(w, parents[0], tuple(f.split), tuple(f.axes), tuple(f.shape))


def _patches(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u,) = parents
    height, width, channels = u.shape
    split = (height // f.size, f.size, width // f.size, f.size, channels)
    return _rearranged(w, u, split, (0, 2, 1, 3, 4), f.out_shape(u.shape))


def _positions(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    (u,) = parents
    return w.moved(u.handle, _channels_first(theta["positions"], len(u.shape)))


def _heads(w: AbstractWriter, u: Tensor, heads: int, axes: Shape) -> Any:
    """(tokens, d) cut into (tokens, heads, d / heads), and their axes in another order."""
    tokens, width = u.shape
    return w.transposed(w.reshaped(u.handle, (tokens, heads, width // heads)), axes)


def _scores(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    q, k = parents
    products = w.product(_heads(w, q, f.heads, (0, 2, 1, 3)), _heads(w, k, f.heads, (0, 2, 3, 1)))
    scaled = w.times(products, (q.shape[1] // f.heads) ** -0.5)
    return w.transposed(scaled, (0, 3, 1, 2))  # as all with three axes: the last one first


def _mix(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    s, v = parents
    weights = w.transposed(s.handle, (0, 2, 3, 1))
    mixed = w.product(weights, _heads(w, v, f.heads, (0, 2, 1, 3)))
    return w.reshaped(w.transposed(mixed, (0, 2, 1, 3)), f.out_shape(s.shape, v.shape))


def _selection(w: AbstractWriter, f: Any, theta: Theta, parents: list[Tensor]) -> Any:
    def taken(rows: Shape, columns: Shape) -> Any:
        return w.selected(w.selected(parents[0].handle, rows, 2), columns, 3)

    first = taken(f.rows, f.columns)
    return w.add([first, w.times(taken(*f.less), -1.0)]) if f.less else first


_MAPS: dict[type, Callable[..., Any]] = {
    **dict.fromkeys((Dense, TransposedDense), _dense),
    **dict.fromkeys((Normalisation, Scale), _normalisation),
    AveragePooling: _pooling,
    Concatenation: _concatenation,
    Convolution: _convolution,
    Identity: lambda w, f, theta, parents: parents[0].handle,
    Mean: _mean,
    Mix: _mix,
    Patches: _patches,
    Pointwise: _pointwise,
    Positions: _positions,
    Reshape: _reshape,
    Residual: _residual,
    Scaled: _scaled,
    Scores: _scores,
    Selection: _selection,
    Sum: _sum,
    TransposedConvolution: _transposed_convolution,
}


def _activated(writer: AbstractWriter, potential: AbstractPotential, z: Tensor) -> Tensor:
    rank = len(z.shape)
    shaped = functools.partial(_channels_first, rank=rank)
    match potential:
        case Linear():
            return z
        case Clip(low=low, high=high) if np.ndim(low) or np.ndim(high):
            handle = writer.clipped(z.handle, shaped(low), shaped(high))
        case SoftThreshold(threshold=t) if np.ndim(t):  # z - clip(z, -t, t)
            inside = writer.clipped(z.handle, shaped(-t), shaped(t))
            handle = writer.add([z.handle, writer.times(inside, -1.0)])
        case Ball(radius=r, axes=axes) if not np.ndim(r):
            handle = writer.projected(z.handle, float(r), _places(axes, rank))
        case LeakyReLU(slope=a) if np.ndim(a):
            raise refused("LeakyReLU with several slopes", "other frameworks here", "use one")
        case _:
            handle = writer.activation(z.handle, potential, rank)
    return z._replace(handle=handle)


def _places(axes: int | Shape | None, rank: int) -> Shape:
    """Axes of an example where they are in the foreign one, behind the samples."""
    own = range(rank) if axes is None else (axes,) if isinstance(axes, int) else axes
    return tuple(1 + (axis % rank + (rank == 3)) % rank for axis in own)


def _channels_first(array: Any, rank: int) -> np.ndarray:
    """Numbers that broadcast against an example, as they do against the foreign one."""
    array = np.asarray(array)
    whole = array.reshape((1,) * (rank - array.ndim) + array.shape)
    return np.moveaxis(whole, -1, 0) if rank == 3 else whole
