"""The hinge loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._loss import AbstractLoss
from liftax.potentials import AbstractPotential


class Hinge(AbstractLoss):
    r"""One-against-all hinge loss of one-hot targets, $\sum_k h_\mu(1 - t_k z_k)$, $t = 2y - 1$.

    $h_\mu$ is the Moreau envelope of $\max(0, \cdot)$: 0 for $m \le 0$, $m^2/(2\mu)$ up to μ,
    $m - \mu/2$ above. It is the loss of a free output behind an identity, minimised in closed form,
    and tends to the hinge as μ → 0. The activation of the output node is not used, except to
    report outputs.

    Attributes:
        smoothing: μ; steps are proportional to it.

    Raises:
        ValueError: unless μ is positive.

    Source: Crammer & Singer (2001) for the classes; Rennie & Srebro (2005) for the smoothing.
    """

    smoothing: float = 0.1

    def __check_init__(self) -> None:
        if not self.smoothing > 0:
            raise ValueError(f"smoothing must be positive, got {self.smoothing}; try 0.1")

    @property
    def smoothness(self) -> float:
        return 1 / self.smoothing

    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        margin = 1 - (2 * u - 1) * z
        inside = jnp.clip(margin, 0, self.smoothing)
        return jnp.sum(inside * inside / (2 * self.smoothing) + jnp.maximum(margin - inside, 0))

    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        sign = 2 * u - 1
        return -sign * jnp.clip((1 - sign * z) / self.smoothing, 0, 1)
