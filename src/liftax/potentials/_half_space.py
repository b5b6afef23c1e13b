"""Projection on a half-space."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from liftax.potentials._norms import norm
from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._rounding import slack


class HalfSpace(AbstractPotential):
    r"""Ψ is 0 where $\langle a, u\rangle \le b$, else $+\infty$; σ and $\mathrm{prox}$ project.

    $\sigma(z) = z - m(z)\,a$ with $m(z) = \max(\langle a, z\rangle - b, 0)/\|a\|^2$;
    $\varphi^*(z) = \frac12\|z\|^2 - \frac12m(z)^2\|a\|^2$. $\Psi^*(s) = \lambda b$ if
    $s = \lambda a$ with $\lambda \ge 0$, else $+\infty$. Both memberships allow for rounding.

    Attributes:
        normal: $a$, of the shape of the example.
        offset: $b$.

    Raises:
        ValueError: for a normal that vanishes.
    """

    separable: ClassVar[bool] = False
    normal: Float[Array, "..."] = eqx.field(converter=jnp.asarray)
    offset: float | Float[Array, ""] = 0.0

    def __check_init__(self) -> None:
        if not isinstance(self.normal, Tracer) and not np.any(np.asarray(self.normal)):
            raise ValueError("normal must not vanish, got zeros; give a direction")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        a, b = self._plane(u)
        size = jnp.sum(jnp.abs(a * u)) + jnp.abs(b)
        inside = jnp.sum(a * u) - b <= slack(u) * size
        return jnp.where(inside, jnp.zeros((), u.dtype), jnp.inf)

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return self.activation(v)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        a, b = self._plane(s)
        factor = jnp.sum(a * s) / jnp.sum(a * a)
        off = jnp.reshape(norm(s - jnp.maximum(factor, 0) * a, None), ())
        on = off <= slack(s) * jnp.reshape(norm(s, None), ())
        return jnp.where(on, factor * b, jnp.inf)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return z - self._multiplier(z) * jnp.asarray(self.normal, z.dtype)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        u, b = self.activation(z), jnp.asarray(self.offset, z.dtype)
        return 0.5 * jnp.sum(u * u) + self._multiplier(z) * b

    def _plane(self, u: Float[Array, "..."]) -> tuple[Array, Array]:
        return jnp.asarray(self.normal, u.dtype), jnp.asarray(self.offset, u.dtype)

    def _multiplier(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        a, b = self._plane(z)
        return jnp.maximum(jnp.sum(a * z) - b, 0) / jnp.sum(a * a)
