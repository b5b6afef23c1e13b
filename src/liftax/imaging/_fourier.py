"""Sampling in Fourier space: magnetic resonance imaging."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from liftax.imaging._operator import AbstractOperator, Shape, check_shape, power_norm


class Fourier(AbstractOperator):
    r"""$m\odot F(s_c\odot x)$ for every coil c, with the orthonormal transform F.

    From real (h, w, 1) or complex (h, w, 2) images to (coils, h, w, 2), real and imaginary parts in
    the last axis. The zero frequency stands first, as in `numpy.fft`. The norm is exact without
    sensitivities, $\max|m|$ (for complex images), else that of `power_norm`.

    Attributes:
        mask: $m$, (h, w), the weight of every frequency, 0 or 1 for most uses.
        sensitivities: $s$, complex (coils, h, w), or None for one coil with $s = 1$.
    """

    in_shape: Shape = eqx.field(static=True)
    mask: Float[Array, "h w"]
    sensitivities: Array | None

    def __init__(
        self, mask: ArrayLike, sensitivities: ArrayLike | None = None, complex_images: bool = False
    ):
        """See the class; `complex_images` chooses (h, w, 2) instead of (h, w, 1)."""
        self.mask = jnp.asarray(mask, jnp.result_type(float))
        if self.mask.ndim != 2:
            raise ValueError(f"mask must be (height, width), got {self.mask.shape}")
        self.in_shape = (*self.mask.shape, 2 if complex_images else 1)
        self.sensitivities = None if sensitivities is None else jnp.asarray(sensitivities)
        if self.sensitivities is not None and (
            self.sensitivities.ndim != 3 or self.sensitivities.shape[1:] != self.mask.shape
        ):
            raise ValueError(
                f"sensitivities must be (coils, height, width) with {self.mask.shape} last, got "
                f"{self.sensitivities.shape}"
            )

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "coils h w 2"]:
        check_shape(x, self.in_shape, "Fourier")
        imaginary = x[..., 1] if x.shape[2] == 2 else jnp.zeros_like(x[..., 0])
        image = jax.lax.complex(x[..., 0], imaginary)[None]
        if self.sensitivities is not None:
            image = self.sensitivities.astype(image.dtype) * image
        spectrum = jnp.fft.fft2(image, norm="ortho")
        mask = self.mask.astype(x.dtype)
        return jnp.stack([mask * jnp.real(spectrum), mask * jnp.imag(spectrum)], axis=-1)

    def norm(self) -> Float[Array, ""]:
        if self.sensitivities is None and self.in_shape[2] == 2:
            return jnp.max(jnp.abs(self.mask))
        return power_norm(self)
