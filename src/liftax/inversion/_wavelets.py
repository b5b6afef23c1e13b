"""Inputs that are sparse in a wavelet basis."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from liftax.imaging import Wavelets
from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.inversion._reshaped import image_shape, on_images
from liftax.potentials import Clip, SoftThreshold


class WaveletL1(AbstractPrior):
    r"""$J(x) = \|D x\|_1$ with the details D of an orthogonal wavelet transform.

    Attributes:
        wavelet: a name in PyWavelets.
        levels: of the transform; the approximations of the last one are free.
        image: (height, width, channels) of the image that x is, where x has another shape.

    Source: Donoho (1995).
    """

    wavelet: str = eqx.field(static=True, default="db2")
    levels: int = eqx.field(static=True, default=3)
    image: Shape | None = eqx.field(static=True, default=None)

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        size = image_shape(shape, self.image, "WaveletL1")
        operator = on_images(Wavelets(size, self.wavelet, self.levels), shape)
        weights = np.ones(size)
        weights[: size[0] >> self.levels, : size[1] >> self.levels] = 0
        rho = jnp.asarray(weights)
        return (Term(operator, SoftThreshold(rho), dual=Clip(-rho, rho), orthogonal=True),)
