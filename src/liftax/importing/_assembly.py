"""A network put together from the layers of a foreign one."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax.affine import (
    AbstractAffine,
    AveragePooling,
    Concatenation,
    Convolution,
    Dense,
    Identity,
    Mean,
    Pointwise,
    Scale,
    Sum,
    TransposedConvolution,
)
from liftax.importing._piece import Piece, united
from liftax.importing._value import Shape, Value, checked, native, natural, reordering
from liftax.importing._verified import verify
from liftax.networks import INPUT, Network, Node, Params, max_pooling
from liftax.potentials import AbstractPotential, LeakyReLU, ReLU, Softmax

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


class Assembly:
    """Takes layers with channels first, and gives the network with channels last.

    Reshapes and transpositions cost nothing: a `Value` remembers where its entries lie, dense
    weights are reordered accordingly, and a `Reshape` stands only where a layer needs the order.
    """

    def __init__(self, input_shape: Sequence[int]):
        if not isinstance(input_shape, Sequence) or isinstance(input_shape, str):
            raise ValueError(
                "input_shape must be the shape of one example without samples, such as (64,) or "
                f"(channels, height, width), got {input_shape!r}"
            )
        shape = checked(tuple(input_shape))
        self._input_shape = native(shape)
        self._pieces: list[Piece] = []
        self._shapes: dict[str, Shape] = {INPUT: self._input_shape}
        self.input = natural(INPUT, shape)
        self.label = "layer"  # of the layers that follow

    def dense(self, value: Value, weight: np.ndarray, bias: np.ndarray | None) -> Value:
        """``weight`` is (features, inputs)."""
        features, inputs = weight.shape
        if value.shape[-1] != inputs or len(value.shape) > 2:
            raise ValueError(
                f"a dense layer of {inputs} inputs follows the shape {value.shape}; flatten first"
            )
        if len(value.shape) == 2:
            params = _with_bias({"weight": weight.T}, bias)
            affine: Any = Pointwise(features, use_bias=bias is not None)
            return self._natural(affine, params, [self.arranged(value)])
        reordered = np.empty((inputs, features), weight.dtype)
        reordered[value.order] = weight.T
        params = _with_bias({"weight": reordered}, bias)
        name = self._add(Dense(features, use_bias=bias is not None), params, (value.piece,))
        return natural(name, (features,))

    def convolution(
        self, value: Value, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads
    ) -> Value:
        """``weight`` is (features, channels, kernel height, kernel width)."""
        features, channels, *kernel = weight.shape
        self._check_channels(value, channels)
        affine = Convolution(features, _pair(kernel), stride, pads, bias is not None)
        params = _with_bias({"weight": weight.transpose(2, 3, 1, 0)}, bias)
        return self._natural(affine, params, [self.arranged(value)])

    def transposed_convolution(
        self,
        value: Value,
        weight: np.ndarray,
        bias: np.ndarray | None,
        stride: Pair,
        pads: Pads,
        extra: Pair,
    ) -> Value:
        """``weight`` is (channels, features, height, width); ``extra`` the output padding."""
        channels, features, *kernel = weight.shape
        self._check_channels(value, channels)
        height, width = (
            (value.shape[a + 1] - 1) * stride[a] + kernel[a] - sum(pads[a]) + extra[a]
            for a in (0, 1)
        )
        affine = TransposedConvolution(
            features, _pair(kernel), stride, pads, bias is not None, shape=(height, width)
        )
        params = _with_bias({"weight": weight.transpose(2, 3, 1, 0)}, bias)
        return self._natural(affine, params, [self.arranged(value)])

    def scale(self, value: Value, factor: np.ndarray, shift: np.ndarray) -> Value:
        """A number and an offset per channel (the first axis of a picture, the last of others)."""
        value = self.arranged(value)
        channels = native(value.shape)[-1]
        params = {
            name: np.broadcast_to(array, (channels,)).copy()
            for name, array in (("scale", factor), ("shift", shift))
        }
        return self._natural(Scale(), params, [value])

    def pooling(self, value: Value, window: Pair, stride: Pair) -> Value:
        """Means over windows."""
        return self._natural(AveragePooling(window, stride), {}, [self.arranged(value)])

    def max_pooling(self, value: Value, window: Pair, stride: Pair, pads: Pads) -> Value:
        """Maxima over windows, by nodes with ReLU."""
        value = self.arranged(value)
        names, shape = {INPUT: value.piece}, self._shapes[value.piece]
        for node in max_pooling("max", INPUT, shape, window, stride, pads):
            params = tuple({} for _ in node.affine.maps) if isinstance(node.affine, Sum) else {}
            parents = tuple(names[parent] for parent in node.parents)
            names[node.name] = self._add(node.affine, params, parents, node.potential)
        shape = self._shapes[names["max"]]
        return natural(names["max"], (shape[-1], *shape[:-1]))

    def global_mean(self, value: Value) -> Value:
        """Means over height and width, (c, h, w) to (c, 1, 1)."""
        if len(value.shape) != 3:
            raise ValueError(f"the mean over positions needs a picture, got {value.shape}")
        mean = self._natural(Mean(), {}, [self.arranged(value)])
        return mean.reshaped((value.shape[0], 1, 1))

    def activation(self, value: Value, potential: AbstractPotential) -> Value:
        """An activation that acts on single entries."""
        name = self._add(Identity(), {}, (value.piece,), potential)
        return Value(name, value.order)

    def rectifier(self, value: Value, slopes: np.ndarray) -> Value:
        """A leaky ReLU with one slope, or one a channel (as in `scale`)."""
        if not np.all((slopes > 0) & (slopes <= 1)):
            if not slopes.any():
                return self.activation(value, ReLU())
            raise ValueError("slopes outside (0, 1] make it no proximal map; retrain within")
        if np.all(slopes == slopes[0]):
            return self.activation(value, LeakyReLU(float(slopes[0])))
        return self.activation(self.arranged(value), LeakyReLU(jnp.asarray(slopes)))

    def softmax(self, value: Value, axis: int) -> Value:
        """``axis`` counts without samples."""
        axis = axis + len(value.shape) if axis < 0 else axis
        if axis != (0 if len(value.shape) == 3 else len(value.shape) - 1):
            raise ValueError("Softmax is known along the channels only; choose that axis")
        return self.activation(self.arranged(value), Softmax())

    def add(self, values: Sequence[Value]) -> Value:
        """The sum of values of one shape."""
        if len({value.shape for value in values}) > 1:
            shapes = ", ".join(str(value.shape) for value in values)
            raise ValueError(f"shapes {shapes} are added; only equal ones can be")
        copies = Sum(tuple(Identity() for _ in values))
        arranged = [self.arranged(value) for value in values]
        return self._natural(copies, tuple({} for _ in values), arranged)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """``axis`` counts without samples."""
        rank = len(values[0].shape)
        if (axis + rank if axis < 0 else axis) != (0 if rank == 3 else rank - 1):
            raise ValueError("concatenation is known along the channels only")
        return self._natural(Concatenation(), {}, [self.arranged(value) for value in values])

    def arranged(self, value: Value) -> Value:
        """The value with every entry at its natural place."""
        wanted = natural(value.piece, value.shape)
        same = np.array_equal(wanted.order, value.order)
        if same and self._shapes[value.piece] == native(value.shape):
            return value
        name = self._add(reordering(value), {}, (value.piece,))
        return natural(name, value.shape)

    def finish(self, output: Value) -> tuple[Network, Params]:
        """The network with this output, and its parameters."""
        output = self.arranged(output)
        last = output.piece
        if last == INPUT:
            last = self._add(Identity(), {}, (INPUT,))
        pieces = united(self._pieces, last)
        nodes = tuple(Node(p.name, p.affine, p.potential, p.parents) for p in pieces)
        params = {piece.name: jax.tree.map(jnp.asarray, piece.params) for piece in pieces}
        network = Network(nodes, self._input_shape)
        verify(network, params)
        return network, params

    def _natural(self, affine: AbstractAffine, params: Any, values: Sequence[Value]) -> Value:
        name = self._add(affine, params, tuple(value.piece for value in values))
        shape = self._shapes[name]
        return natural(name, (shape[-1], *shape[:-1]) if len(shape) == 3 else shape)

    def _add(
        self,
        affine: AbstractAffine,
        params: Any,
        parents: tuple[str, ...],
        potential: AbstractPotential | None = None,
    ) -> str:
        label = re.sub(r"\W", "_", self.label).strip("_") or "layer"
        label = f"layer{label}" if label[0].isdigit() else label
        name, count = label, 1
        while name in self._shapes:
            count += 1
            name = f"{label}_{count}"
        self._shapes[name] = affine.out_shape(*(self._shapes[p] for p in parents))
        extra = () if potential is None else (potential,)
        self._pieces.append(Piece(name, affine, params, parents, *extra))
        return name

    def _check_channels(self, value: Value, channels: int) -> None:
        if len(value.shape) != 3 or value.shape[0] != channels:
            raise ValueError(
                f"a convolution of {channels} channels follows the shape {value.shape}; it needs "
                "(channels, height, width)"
            )


def _with_bias(params: dict[str, np.ndarray], bias: np.ndarray | None) -> dict[str, np.ndarray]:
    return params if bias is None else {**params, "bias": np.asarray(bias).reshape(-1)}


def _pair(sizes: Sequence[int]) -> Pair:
    height, width = sizes
    return height, width
