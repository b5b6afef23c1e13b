"""The noise of outputs that were measured several times."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


class Repeats(NamedTuple):
    r"""Means of repeated measurements, and what noise is left in them.

    Attributes:
        mean: over the repeats, for each output.
        delta: an estimate of $\|\mathrm{mean} - y\|$, the norm of the noise of each mean: what
            `discrepancy` takes.
        sigma: the standard deviation of a single measurement of a number, for each output.
    """

    mean: Float[Array, "samples ..."]
    delta: Float[Array, " samples"]
    sigma: Float[Array, " samples"]


def repeats(y: ArrayLike) -> Repeats:
    r"""Mean and noise of R measurements $y^{(r)}$ of the same outputs.

    $$s^2 = \frac1{R-1}\sum_r\|y^{(r)} - \bar y\|^2,\qquad \delta^2 = s^2/R,\qquad
      \sigma^2 = s^2/m$$
    for outputs of m numbers: $E\,\delta^2 = E\|\bar y - y\|^2$ for independent noise of mean 0,
    whatever its distribution is, and if it differs from number to number.

    Args:
        y: (repeats, samples, ...), at least two repeats.

    Raises:
        ValueError: for fewer repeats, and values that are not finite.
    """
    values = jnp.asarray(y)
    if values.ndim < 3 or len(values) < 2:
        raise ValueError(
            f"y must be (repeats, samples, ...) with at least two repeats, got {values.shape}"
        )
    if not bool(jnp.isfinite(values).all()):
        raise ValueError("y has values that are not finite; leave those measurements out")
    count, samples = values.shape[:2]
    mean = jnp.mean(values, axis=0)
    apart = (values - mean).reshape(count, samples, -1)
    square = jnp.sum(apart**2, axis=(0, 2)) / (count - 1)
    return Repeats(mean, jnp.sqrt(square / count), jnp.sqrt(square / apart.shape[2]))
