"""Noise, from keys."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from liftax._pixels import check_numbers


def gaussian_noise(key: PRNGKeyArray, x: ArrayLike, sigma: float | Array) -> Float[Array, "..."]:
    r"""$x + \sigma\varepsilon$ with independent standard normal $\varepsilon$; not clipped.

    Raises:
        ValueError: for integers.
    """
    x = jnp.asarray(x)
    check_numbers(x, "x")
    return x + jnp.asarray(sigma, x.dtype) * jax.random.normal(key, x.shape, x.dtype)


def poisson_noise(key: PRNGKeyArray, x: ArrayLike, peak: float | Array) -> Float[Array, "..."]:
    r"""Poisson$(\mathrm{peak}\,x)$/peak: photon counts of mean `peak` where $x = 1$.

    The mean is x, the variance x/peak. Negative entries count as 0.

    Raises:
        ValueError: for integers.
    """
    x = jnp.asarray(x)
    check_numbers(x, "x")
    scale = jnp.asarray(peak, x.dtype)
    return jax.random.poisson(key, scale * jnp.maximum(x, 0), x.shape).astype(x.dtype) / scale


def salt_and_pepper(key: PRNGKeyArray, x: ArrayLike, share: float | Array) -> Float[Array, "..."]:
    """Entries replaced by 0 or 1, each with the probability share/2.

    Raises:
        ValueError: for integers.
    """
    x = jnp.asarray(x)
    check_numbers(x, "x")
    drawn = jax.random.uniform(key, x.shape, x.dtype)
    share = jnp.asarray(share, x.dtype)
    salted = jnp.where(drawn < share, jnp.ones_like(x), x)
    return jnp.where(drawn < share / 2, jnp.zeros_like(x), salted)
