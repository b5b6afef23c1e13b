"""How the copies in a stack read a parent."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractLink(eqx.Module):
    """How the copies of a map read one of its parents; see `Stacked`."""

    @abc.abstractmethod
    def source(self, copy: int) -> tuple[int, int | None]:
        """Of what a copy reads the place among the link's inputs, and the number in that stack.

        None instead of a number for a node of its own.
        """

    @abc.abstractmethod
    def gathered(self, inputs: tuple[Float[Array, "samples ..."], ...], stages: int) -> Array:
        """What the copies read, with these in front where they read different things."""

    @abc.abstractmethod
    def delivered(self, value: Float[Array, "*copies"]) -> tuple[Array, ...]:
        """The transpose: for each input, copy by copy, the sum over those that read it."""


class Each(AbstractLink):
    """Copy $l$ reads copy $l$ of a stack of the same length."""

    def source(self, copy: int) -> tuple[int, int | None]:
        return 0, copy

    def gathered(self, inputs: tuple[Float[Array, "samples ..."], ...], stages: int) -> Array:
        return jnp.swapaxes(inputs[0], 0, 1)

    def delivered(self, value: Float[Array, "*copies"]) -> tuple[Array, ...]:
        return (value,)


class Shifted(AbstractLink):
    """Copy $l$ reads copy $l - 1$: two inputs, the node that copy 0 reads, and the stack."""

    def source(self, copy: int) -> tuple[int, int | None]:
        return (1, copy - 1) if copy else (0, None)

    def gathered(self, inputs: tuple[Float[Array, "samples ..."], ...], stages: int) -> Array:
        first, stack = inputs[0], jnp.swapaxes(inputs[1], 0, 1)
        if stages == 1:
            return jnp.concatenate([first[None], stack[:-1]])
        # Of a rotation XLA's partitioner sends what crosses borders only.
        begins = (jnp.arange(len(stack)) == 0).reshape(-1, *(1,) * (stack.ndim - 1))
        return jnp.where(begins, first[None], jnp.roll(stack, 1, 0))

    def delivered(self, value: Float[Array, "*copies"]) -> tuple[Array, ...]:
        # By masks: XLA's partitioner was seen to divide slices and updates of such vectors wrongly.
        last = jnp.arange(len(value)) == len(value) - 1
        return value[0], jnp.where(last, 0, jnp.roll(value, -1))


class Shared(AbstractLink):
    """All copies read the same node."""

    def source(self, copy: int) -> tuple[int, int | None]:
        return 0, None

    def gathered(self, inputs: tuple[Float[Array, "samples ..."], ...], stages: int) -> Array:
        return inputs[0]

    def delivered(self, value: Float[Array, "*copies"]) -> tuple[Array, ...]:
        return (jnp.sum(value),)


class Picked(AbstractLink):
    """A node of its own reads the copy of that number of a stack with so many."""

    number: int
    copies: int

    def source(self, copy: int) -> tuple[int, int | None]:
        return 0, self.number

    def gathered(self, inputs: tuple[Float[Array, "samples ..."], ...], stages: int) -> Array:
        return inputs[0][:, self.number]

    def delivered(self, value: Float[Array, "*copies"]) -> tuple[Array, ...]:
        return (jnp.where(jnp.arange(self.copies) == self.number, value, 0),)
