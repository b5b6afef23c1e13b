"""Half-quadratic splitting: a denoiser and a least-squares problem by turns."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from liftax._iterate import scan
from liftax.imaging._operator import AbstractOperator, adjoint, measured


def half_quadratic(
    operator: AbstractOperator,
    y: ArrayLike,
    denoiser: Callable[[Array, Array], Array],
    levels: ArrayLike | Sequence[float],
    noise: ArrayLike,
    *,
    weight: ArrayLike = 0.25,
    start: ArrayLike | None = None,
    inner: int = 20,
) -> Float[Array, "h w c"]:
    r"""$x_k = \operatorname{argmin}_x\frac12\|Ax - y\|^2 + \frac{\rho_k}{2}\|x - z_{k-1}\|^2$,
    $z_k = D(x_k, \sigma_k)$, with $\rho_k = \mathrm{weight}\,(\mathrm{noise}/\sigma_k)^2$.

    As $\sigma_k$ falls, z and x approach each other; the result is the last z. Few denoisings are
    enough (8 for a blur), but it converges to no fixed point; `plug_and_play` does.

    Args:
        operator: $A$.
        y: measurements, of the operator's `out_shape`.
        denoiser: (image, standard deviation of its noise) → image; a function of JAX.
        levels: $\sigma_1 > \sigma_2 > \dots$; the last one is about the noise of y.
        noise: standard deviation of the noise of y, positive.
        weight: larger trusts the denoiser more.
        start: $z_0$; None for $A^\top y$.
        inner: iterations of conjugate gradients for x.

    Raises:
        ValueError: for measurements or a start of another shape, integers and values that are not
            finite, levels that are not positive, or
            noise that is not.

    Source: Geman & Yang (1995); Zhang et al., "Plug-and-play image restoration with deep denoiser
    prior" (2021).
    """
    data = measured(operator, y)
    first = adjoint(operator, data) if start is None else jnp.asarray(start, data.dtype)
    if first.shape != operator.in_shape:
        raise ValueError(f"start has the shape {first.shape}, images have {operator.in_shape}")
    sigmas = jnp.atleast_1d(jnp.asarray(levels, data.dtype))
    if not (float(jnp.min(sigmas)) > 0 and float(jnp.asarray(noise)) > 0):
        raise ValueError(f"levels and noise must be positive, got {levels} and {noise}")
    rho = jnp.asarray(weight, data.dtype) * (jnp.asarray(noise, data.dtype) / sigmas) ** 2
    return _iterate((operator, denoiser), data, first, sigmas, rho, inner)


@eqx.filter_jit
def _iterate(
    problem: tuple[AbstractOperator, Callable[[Array, Array], Array]],
    y: Array,
    start: Array,
    sigmas: Array,
    rho: Array,
    inner: int,
) -> Array:
    operator, denoiser = problem
    right = adjoint(operator, y)

    def step(z: Array, numbers: tuple[Array, Array]) -> tuple[Array, None]:
        sigma, penalty = numbers
        # For the difference to z: where A is blind, rounding leaves z alone.
        residual = right - adjoint(operator, operator.apply(z))
        change, _ = jax.scipy.sparse.linalg.cg(
            lambda v: adjoint(operator, operator.apply(v)) + penalty * v,
            residual,
            tol=1e-6,
            maxiter=inner,
        )
        return denoiser(z + change, sigma), None

    return scan(step, start, (sigmas, rho))[0]
