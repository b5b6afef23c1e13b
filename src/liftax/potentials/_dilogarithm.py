"""The dilogarithm where it is small, by a series that converges quickly."""

import jax.numpy as jnp
from jaxtyping import Array, Float

# B_n / (n+1)! of the even Bernoulli numbers, n = 2, 4, ...
COEFFICIENTS = (
    1 / 36,
    -1 / 3600,
    1 / 211680,
    -1 / 10886400,
    1 / 526901760,
    -691 / 16999766784000,
    1 / 1120863744000,
    -3617 / 181400588328960000,
)


def dilogarithm(a: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\mathrm{Li}_2(1 - e^{-a}) = \sum_n B_n a^{n+1}/(n+1)!$ for $|a| \le \log 2$.

    Relative accuracy of double precision; the terms shrink like $(a/2\pi)^2$.

    Source: Zagier (2007), "The dilogarithm function".
    """
    x = a * a
    total = jnp.zeros_like(a)
    for c in reversed(COEFFICIENTS):
        total = total * x + c
    return a * (1 - 0.25 * a + total * x)
