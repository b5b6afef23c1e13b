"""Inputs of small variation."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging import AbstractOperator, FiniteDifferences
from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.inversion._reshaped import image_shape, on_images
from liftax.potentials import Ball, Clip, GroupSoftThreshold, SoftThreshold


class TotalVariation(AbstractPrior):
    r"""$J(x) = \sum_{ijc}\|(\nabla x)_{ijc}\|_2$, or $\|\nabla x\|_1$: piecewise constant images.

    Forward differences with the Neumann boundary, every channel for itself.

    Attributes:
        isotropic: the ℓ2 norm of the gradient at every pixel, else the ℓ1 norm.
        image: (height, width, channels) of the image that x is, where x has another shape, such as
            that of a flat vector.

    Source: Rudin, Osher & Fatemi (1992).
    """

    isotropic: bool = eqx.field(static=True, default=True)
    image: Shape | None = eqx.field(static=True, default=None)

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        size = image_shape(shape, self.image, "TotalVariation")
        gradient = on_images(_Gradient(size), shape)
        if self.isotropic:
            return (Term(gradient, GroupSoftThreshold(1.0, axis=0), dual=Ball(1.0, axes=0)),)
        return (Term(gradient, SoftThreshold(1.0), dual=Clip(-1.0, 1.0)),)


class _Gradient(AbstractOperator):
    """`FiniteDifferences` with the two directions along the first axis, twice as fast on CPUs."""

    in_shape: Shape = eqx.field(static=True)

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "2 h w c"]:
        down = jnp.pad(x[1:] - x[:-1], ((0, 1), (0, 0), (0, 0)))
        return jnp.stack([down, jnp.pad(x[:, 1:] - x[:, :-1], ((0, 0), (0, 1), (0, 0)))])

    def norm(self) -> Float[Array, ""]:
        return FiniteDifferences(self.in_shape).norm()
