"""Softmax along the last axis."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import until
from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._rounding import slack
from liftax.potentials._scalar import best_tangent, increasing_root

VANISHED = -100.0  # a point where e^z no longer counts
CONTRACTIONS = 60


class Softmax(AbstractPotential):
    r"""$\Psi(u) = \sum u_i\log u_i - \frac12\|u\|^2$ on the unit simplex; $\sigma$ is softmax.

    Simplices lie along the last axis, Ψ sums over the others; entries that miss the sum 1 by
    rounding are in the domain. Ψ is convex as $1/u_i \ge 1$. $\varphi(u) = \sum u_i\log u_i$ and
    $\varphi^*(z) = \log\sum e^{z_i}$. $\mathrm{prox}_{\tau\Psi}(v) = e^z$ with
    $(1-\tau)e^{z_i} + \tau z_i = v_i - \lambda$ and the multiplier λ of $\sum_i u_i = 1$.
    $\Psi^*(s) = \langle u, s\rangle - \Psi(u)$ with $u = \mathrm{softmax}(z)$, $z - u = s$.
    """

    separable: ClassVar[bool] = False

    def value(self, u: Float[Array, "... n"]) -> Float[Array, ""]:
        near = jnp.abs(jnp.sum(u, -1) - 1) <= slack(u) * u.shape[-1]
        inside = near & jnp.all(u >= 0, -1)
        w = jnp.where(inside[..., None], u, 0)
        # Imported here: it would take a third of the time of `import liftax`.
        from jax.scipy.special import xlogy

        psi = jnp.sum(xlogy(w, w) - 0.5 * w * w, -1)
        return jnp.sum(jnp.where(inside, psi, jnp.inf))

    def prox(self, v: Float[Array, "... n"], tau: Tau) -> Float[Array, "... n"]:
        t = jnp.asarray(tau, v.dtype)
        # λ = max v + t - 1 + gap: at gap 0 the largest entry alone has mass 1. The mass is convex
        # and decreasing in the gap, so Newton's method is monotone from there
        below = v - jax.lax.stop_gradient(jnp.max(v, -1, keepdims=True))
        start = jnp.zeros_like(below[..., :1])
        gap = increasing_root(_mass_equation, (below, t), start)
        u = jnp.exp(_log_entries(below - gap, t))
        return u / jnp.sum(u, -1, keepdims=True)

    def conjugate(self, s: Float[Array, "... n"]) -> Float[Array, ""]:
        frozen = jax.lax.stop_gradient(s)
        tolerance = 0.1 * float(jnp.finfo(s.dtype).eps) ** 0.5

        # z = s + softmax(z) contracts with factor 1/2
        def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
            new = jax.nn.softmax(frozen + state[0], -1)
            return new, jnp.max(jnp.abs(new - state[0]))

        start = (jax.nn.softmax(frozen, -1), jnp.asarray(jnp.inf, s.dtype))
        (u, _), _ = until(step, start, lambda state: ~(state[1] > tolerance), CONTRACTIONS)
        # the supremum is stationary in u: its error is squared, its gradient in s is u itself
        log_u = jax.nn.log_softmax(frozen + u, -1)
        u = jnp.exp(log_u)
        return jnp.sum(u * (s - log_u + 0.5 * u))

    def activation(self, z: Float[Array, "... n"]) -> Float[Array, "... n"]:
        return jax.nn.softmax(z, -1)

    def phi_conjugate(self, z: Float[Array, "... n"]) -> Float[Array, ""]:
        return jnp.sum(jax.nn.logsumexp(z, axis=-1))


def _log_entries(w: Array, t: Array) -> Array:
    """The z <= 0 with (1-t) (e^z - 1) + t z = w, for w <= 0."""
    # where the two parts have one slope; none for t >= 1/2
    knee = jnp.log(jnp.minimum(t / jnp.maximum(1 - t, t), 1))
    start = best_tangent(_entry_equation, (w, t), (0.0, knee, VANISHED), 1 - t)
    return increasing_root(_entry_equation, (w, t), start)


def _entry_equation(z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of (1-t) (e^z - 1) + t z = w on z <= 0, convex for t < 1 and concave above."""
    w, t = data
    e = jnp.expm1(jnp.minimum(z, 0))  # z > 0 by rounding only
    return (1 - t) * e + t * z - w, 1 + (1 - t) * e


def _mass_equation(gap: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of 1 = sum u(gap), increasing in it, with du/dgap = -u / ((1-t) u + t)."""
    below, t = data
    u = jnp.exp(_log_entries(below - gap, t))
    slope = jnp.sum(u / ((1 - t) * u + t), -1, keepdims=True)
    return 1 - jnp.sum(u, -1, keepdims=True), slope
