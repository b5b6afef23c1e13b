"""The potential of an activation that is given as a function."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.potentials._inverse import REACH, preimage, safeguarded_root
from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._quadrature import integral

CHECKED, POINTS = 50.0, 10_001  # half-width and size of the grid on which σ is checked


class FromActivation(AbstractPotential):
    r"""The Ψ with $\mathrm{prox}_\Psi = \sigma$, from a monotone, 1-Lipschitz scalar σ alone.

    $\varphi^*(z) = \sum\int_0^z\sigma$ by Gauss-Legendre quadrature, $\Psi(u) = \sum uz -
    \varphi^*(z) - \frac12u^2$ with $\sigma(z) = u$ by bisection ($+\infty$ outside the range of σ),
    $\mathrm{prox}_{\tau\Psi}(v) = \sigma(z)$ with $(1-\tau)\sigma(z) + \tau z = v$ by a safeguarded
    Newton method with derivatives of σ by JAX, $\Psi^*(s) = \varphi^*(z) - \frac12\sigma(z)^2$ with
    $z - \sigma(z) = s$ by bisection. Much slower than the potentials in closed form; $\varphi^*$ is
    as exact as the quadrature: to rounding for smooth σ and for kinks at integers up to 16, else to
    less than a thousandth of the jump of the slope.

    Attributes:
        sigma: σ; takes an array and acts on its entries.
        range: The closure of the range of σ; if not given, an end is the value of σ at 1e8, or
            infinite if σ still grows there.

    Raises:
        ValueError: where a slope of σ between points of a grid on [-50, 50], or at random points,
            does not lie in [0, 1].

    Source: Moreau (1965): σ is a proximal map if and only if it is monotone and 1-Lipschitz.
    """

    separable: ClassVar[bool] = True
    sigma: Callable[[Array], Array] = eqx.field(static=True)
    range: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self, sigma: Callable[[Array], Array], range: tuple[float, float] | None = None
    ) -> None:
        self.sigma = sigma
        with jax.ensure_compile_time_eval():
            _check(sigma)
            self.range = _range(sigma) if range is None else (float(range[0]), float(range[1]))

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        low, high = self.range
        inside = (u >= low) & (u <= high)
        w = jnp.where(inside, u, self.sigma(jnp.zeros_like(u)))
        z, _ = preimage(self.sigma, w)
        psi = w * z - integral(self.sigma, z) - 0.5 * w * w
        return jnp.sum(jnp.where(inside, psi, jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return self.sigma(safeguarded_root(self.sigma, v, jnp.asarray(tau, v.dtype)))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        z, reached = preimage(lambda z: z - self.sigma(z), s)
        z = jnp.where(reached, z, 0)
        u = self.sigma(z)
        # stationary in z at the root
        star = u * (s - z) + integral(self.sigma, z) + 0.5 * u * u
        return jnp.sum(jnp.where(reached, star, jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.sigma(z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(integral(self.sigma, z))


def _check(sigma: Callable[[Array], Array]) -> None:
    """Refuses a σ with slopes outside [0, 1]."""
    grid = np.linspace(-CHECKED, CHECKED, POINTS)
    random = np.random.default_rng(0).uniform(-CHECKED, CHECKED, POINTS)
    # in the precision at hand, neighbours far enough apart for rounding not to matter
    points = np.unique(np.concatenate([grid, random]))
    points = points[np.concatenate([[True], np.diff(points) > 1e-4])]
    z = jnp.asarray(points, float)
    values = sigma(z)
    if values.shape != z.shape:
        raise ValueError(
            f"sigma must act on the entries of an array, got {values.shape} from {z.shape}; "
            "for activations of vectors write an AbstractPotential"
        )
    x, y = np.asarray(z, np.float64), np.asarray(values, np.float64)
    slopes = np.diff(y) / np.diff(x)
    rounding = 8 * float(jnp.finfo(z.dtype).eps) * (np.abs(x[1:]) + np.abs(y[1:])) / np.diff(x)
    excess = np.maximum(slopes - 1, -slopes) - rounding - 1e-9
    excess = np.where(np.isfinite(slopes), excess, np.inf)
    worst = int(np.argmax(excess))
    if excess[worst] > 0:
        raise ValueError(
            "sigma must be monotone with slopes at most 1, but its slope is "
            f"{slopes[worst]:.4g} near z = {x[worst]:.4g}; scale it or choose another"
        )


def _range(sigma: Callable[[Array], Array]) -> tuple[float, float]:
    """The limits of σ; infinite where it still grows."""
    ends = []
    for sign in (-1.0, 1.0):
        near, far = np.asarray(sigma(jnp.asarray([sign * 0.1 * REACH, sign * REACH], float)))
        bounded = abs(far - near) <= 2e-3 * max(1.0, abs(float(far)))
        ends.append(float(far) if bounded else sign * np.inf)
    return ends[0], ends[1]
