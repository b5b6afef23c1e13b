"""Linear operators of inverse problems."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import repeat

Shape = tuple[int, ...]


class AbstractOperator(eqx.Module):
    r"""A real-linear map $A$ of one image; batches by `jax.vmap`.

    Complex values are stored as real arrays with a last axis of 2 (real part, imaginary part).
    Adjoints come from `adjoint`; a map whose automatic adjoint is slow states its own in `apply`.

    Attributes:
        in_shape: of an image, (height, width, channels).
    """

    in_shape: eqx.AbstractVar[Shape]

    @abc.abstractmethod
    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """$Ax$, in the precision of x.

        Raises:
            ValueError: for another shape than `in_shape`.
        """

    @abc.abstractmethod
    def norm(self) -> Float[Array, ""]:
        r"""$\|A\|$, the largest singular value: exact, or by `power_norm`, as each class states."""

    @property
    def out_shape(self) -> Shape:
        """Shape of $Ax$."""
        x = jax.ShapeDtypeStruct(self.in_shape, jnp.float32)
        return jax.eval_shape(self.apply, x).shape


def adjoint(operator: AbstractOperator, y: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$A^\top y$, exact up to rounding.

    Raises:
        ValueError: for another shape than the operator's `out_shape`.
    """
    if y.shape != operator.out_shape:
        raise ValueError(
            f"y has the shape {y.shape}, the operator maps to {operator.out_shape}; "
            "use jax.vmap for batches"
        )
    return jax.vjp(operator.apply, jnp.zeros(operator.in_shape, y.dtype))[1](y)[0]


def power_norm(operator: AbstractOperator, steps: int = 300) -> Float[Array, ""]:
    r"""$\|A\|$ by power iterations of $A^\top A$ from a fixed random start: a lower bound.

    It exceeds the mean gain of the start after few steps and is within a few tenths of a percent
    after 300, unless many singular values crowd at the largest one, which makes it slower.
    """
    start = jax.random.normal(jax.random.key(0), operator.in_shape)

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        x = state[0] / jnp.linalg.norm(state[0])
        image = adjoint(operator, operator.apply(x))
        return image, jnp.sqrt(jnp.sum(image * x))

    return repeat(step, (start, jnp.zeros((), start.dtype)), steps)[1]


def check_shape(x: Array, shape: Shape, kind: str) -> None:
    """Raise a ValueError unless x has the shape."""
    if x.shape != shape:
        raise ValueError(
            f"x has the shape {x.shape}, this {kind} takes {shape}; use jax.vmap for batches"
        )
