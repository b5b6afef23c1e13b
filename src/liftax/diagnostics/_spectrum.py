"""Extreme eigenvalues of a symmetric matrix."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Spectrum(NamedTuple):
    r"""Extreme eigenvalues, and the condition number.

    Attributes:
        smallest: $\lambda_{\min}$.
        largest: $\lambda_{\max}$.
        condition: $\lambda_{\max}/\lambda_{\min}$, ∞ unless $\lambda_{\min} > 0$.
    """

    smallest: Float[Array, ""]
    largest: Float[Array, ""]
    condition: Float[Array, ""]


def spectrum(smallest: Float[Array, ""], largest: Float[Array, ""], dim: int) -> Spectrum:
    r"""Values within rounding, $\epsilon\,n\max|\lambda|$ for $n$ dimensions, become 0."""
    scale = jnp.maximum(jnp.abs(smallest), jnp.abs(largest))
    rounding = jnp.asarray(dim * jnp.finfo(scale.dtype).eps, scale.dtype) * scale
    low, high = (jnp.where(jnp.abs(v) <= rounding, 0, v) for v in (smallest, largest))
    return Spectrum(low, high, jnp.where(low <= 0, jnp.inf, high / low))
