"""Losses through their prox."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._loss import AbstractLoss
from liftax.potentials import AbstractPotential


class Envelope(AbstractLoss):
    r"""$\min_u \Psi(u - y) + \frac1{2\mu}\|u - z\|^2$: the loss $\Psi(u_J - y)$ of a free output.

    The free $u_J$ of an identity output is minimised in closed form: what remains is the Moreau
    envelope, with gradient $(e - \mathrm{prox}_{\mu\Psi}(e))/\mu$ at $e = z - y$. As μ → 0 it tends
    to $\Psi(z - y)$. `Envelope(SoftThreshold(d), 1.0)` is Huber's loss with its corner at d,
    `Envelope(SoftThreshold(), 0.01)` nearly the absolute error, `Envelope(GroupSoftThreshold(1.0))`
    a robust distance of vectors. The activation of the output node is not used.

    Attributes:
        function: Ψ.
        smoothing: μ; steps are proportional to it.

    Raises:
        ValueError: unless μ is positive.

    Source: Moreau (1965); Huber (1964).
    """

    function: AbstractPotential
    smoothing: float = 1.0

    def __check_init__(self) -> None:
        if not self.smoothing > 0:
            raise ValueError(f"smoothing must be positive, got {self.smoothing}; try 0.01")

    @property
    def smoothness(self) -> float:
        return 1 / self.smoothing

    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        error = z - u
        near = self.function.prox(error, self.smoothing)
        return self.function.value(near) + jnp.sum((error - near) ** 2) / (2 * self.smoothing)

    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        error = z - u
        return (error - self.function.prox(error, self.smoothing)) / self.smoothing
