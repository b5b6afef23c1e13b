"""Inputs of small variation."""

import equinox as eqx

from liftax.imaging import FiniteDifferences
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
        gradient = on_images(FiniteDifferences(size), shape)
        if self.isotropic:
            return (Term(gradient, GroupSoftThreshold(1.0, axis=-1), dual=Ball(1.0, axes=-1)),)
        return (Term(gradient, SoftThreshold(1.0), dual=Clip(-1.0, 1.0)),)
