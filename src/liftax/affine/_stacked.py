"""Equal maps of many layers as one map."""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax._iterate import scan
from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._convolution import Convolution
from liftax.affine._link import AbstractLink
from liftax.affine._transposed_convolution import TransposedConvolution
from liftax.imaging import AbstractOperator


class Stacked(AbstractAffine):
    r"""`copies` equal maps, or one map that reads from stacks; see `networks.stack`.

    A stack is a node that holds equal nodes of many layers: its examples, and its parameters, have
    one more axis, of length `copies`, in front. The map $f$ reads each of its parents by a link:
    `Each`, `Shifted` or `Shared`; for ``copies=0``, which is $f$ itself with parents in stacks,
    `Picked` or `Shared`.

    Attributes:
        affine: $f$.
        copies: number of copies, 0 for the map itself.
        links: one for each parent of $f$.
        stages: equal parts, one after the other, that a forward pass has the copies in, so that
            each may lie on a device of its own.
    """

    affine: AbstractAffine
    copies: int
    links: tuple[AbstractLink, ...]
    stages: int = 1

    @property
    def slots(self) -> tuple[tuple[int, ...], ...]:
        """For each parent of $f$ the positions of its inputs: two where shifted, else one."""
        sizes = [link.source(1)[0] + 1 for link in self.links]
        ends = itertools.accumulate(sizes)
        return tuple(tuple(range(end - n, end)) for end, n in zip(ends, sizes, strict=True))

    @property
    def axes(self) -> tuple[int | None, ...]:
        """Axis of the copies in each of `gathered`; None where all read the same."""
        return tuple(None if link.source(0) == link.source(1) else 0 for link in self.links)

    def gathered(self, *inputs: Float[Array, "samples ..."]) -> tuple[Array, ...]:
        """The inputs of $f$, with copies in front where these differ."""
        return tuple(
            link.gathered(tuple(inputs[k] for k in slot), self.stages)
            for link, slot in zip(self.links, self.slots, strict=True)
        )

    def out_shape(self, *shapes: Shape) -> Shape:
        shape = self.affine.out_shape(*self.inner(shapes))
        return (self.copies, *shape) if self.copies else shape

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        if not self.copies:
            return self.affine.init(key, *self.inner(shapes), dtype=dtype)
        keys = jax.random.split(key, self.copies)
        return jax.vmap(lambda k: self.affine.init(k, *self.inner(shapes), dtype=dtype))(keys)

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        given = self.gathered(*inputs)
        if not self.copies:
            return self.affine.apply(params, *given)
        # Copies stand in front in the product only: a batched product wants them there, and all
        # else the samples. The exchange costs nothing, being a question of layout.
        return jnp.swapaxes(self.over(self.affine.apply, (0, *self.axes))(params, *given), 0, 1)

    @property
    def batched(self) -> bool:
        """Whether one batched operation computes all copies.

        Convolutions and fixed operators are computed one after the other: as one grouped
        convolution they take several times as long on a CPU, and XLA's partitioner gathers them.
        """
        return not any(map(_single, jax.tree.leaves(self.affine, is_leaf=_single)))

    def over(self, function: Callable[..., Any], axes: tuple[Any, ...]) -> Callable[..., Any]:
        """The function for every copy, axes as of `jax.vmap`; results have copies in front."""
        return jax.vmap(function, axes) if self.batched else _one_by_one(function, axes)

    def thin(self) -> "Stacked":
        return Stacked(self.affine.thin(), self.copies, self.links, self.stages)

    def inner(self, shapes: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the parents of $f$ for shapes of the inputs."""
        pairs = zip(self.links, (shapes[slot[0]] for slot in self.slots), strict=True)
        return [tuple(s if link.source(0)[1] is None else s[1:]) for link, s in pairs]


def _single(part: Any) -> bool:
    return isinstance(part, Convolution | TransposedConvolution | AbstractOperator)


def _one_by_one(function: Callable[..., Any], axes: tuple[Any, ...]) -> Callable[..., Any]:
    """`jax.vmap` as a loop."""
    mapped = jax.tree.map(lambda axis: axis is not None, axes, is_leaf=lambda axis: axis is None)

    def run(*given: Any) -> Any:
        copies, rest = eqx.partition(given, mapped)
        return scan(lambda _, own: (None, function(*eqx.combine(own, rest))), None, copies)[1]

    return run
