"""Equal maps of many layers as one map."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape

Link = Literal["each", "shifted", "shared"] | int


class Stacked(AbstractAffine):
    r"""`copies` equal maps, or one map that reads from stacks; see `networks.stack`.

    A stack is a node that holds equal nodes of many layers: its examples, and its parameters, have
    one more axis, of length `copies`, in front. The map $f$ reads each of its parents by a link:

    - ``"each"``: copy $l$ reads copy $l$ of the parent, a stack of the same length.
    - ``"shifted"``: copy $l$ reads copy $l - 1$ of the parent. Two inputs, the node that copy 0
      reads and the stack.
    - ``"shared"``: all copies read the same node.
    - a number: copy of that number of a stack, the only link (beside ``"shared"``) for
      ``copies=0``, which is $f$ itself with one parent or several picked from stacks.

    Attributes:
        affine: $f$.
        copies: number of copies, 0 for the map itself.
        links: one for each parent of $f$.
        stages: equal parts, one after the other, that a forward pass has the copies in, so that
            each may lie on a device of its own.
    """

    affine: AbstractAffine
    copies: int
    links: tuple[Link, ...]
    stages: int = 1

    @property
    def slots(self) -> tuple[tuple[int, ...], ...]:
        """For each parent of $f$ the positions of its inputs: two where shifted, else one."""
        found, position = [], 0
        for link in self.links:
            size = 2 if link == "shifted" else 1
            found.append(tuple(range(position, position + size)))
            position += size
        return tuple(found)

    @property
    def axes(self) -> tuple[int | None, ...]:
        """Axis of the copies in each of `gathered`; None where all read the same."""
        return tuple(0 if link in ("each", "shifted") else None for link in self.links)

    def gathered(self, *inputs: Float[Array, "samples ..."]) -> tuple[Array, ...]:
        """The inputs of $f$, with copies in front where these differ."""
        return tuple(
            _linked(link, [inputs[k] for k in slot], self.stages)
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
        return jnp.swapaxes(jax.vmap(self.affine.apply, (0, *self.axes))(params, *given), 0, 1)

    def thin(self) -> "Stacked":
        return Stacked(self.affine.thin(), self.copies, self.links, self.stages)

    def inner(self, shapes: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the parents of $f$ for shapes of the inputs."""
        inner = []
        for link, (position, *_) in zip(self.links, self.slots, strict=True):
            stack = link == "each" or isinstance(link, int)
            inner.append(tuple(shapes[position][1:]) if stack else tuple(shapes[position]))
        return inner


def _linked(link: Link, inputs: list[Array], stages: int) -> Array:
    if link == "shared":
        return inputs[0]
    if isinstance(link, int):
        return inputs[0][:, link]
    if link == "each":
        return jnp.swapaxes(inputs[0], 0, 1)
    first, stack = inputs[0], jnp.swapaxes(inputs[1], 0, 1)
    if stages == 1:
        return jnp.concatenate([first[None], stack[:-1]])
    # Of a rotation XLA's partitioner sends what crosses borders only.
    begins = (jnp.arange(len(stack)) == 0).reshape(-1, *(1,) * (stack.ndim - 1))
    return jnp.where(begins, first[None], jnp.roll(stack, 1, 0))
