"""How the data term enters primal-dual iterations."""

import abc
import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.inversion._data import DataTerm


class Steps(NamedTuple):
    r"""Lengths: $\tau$ of the primal step, $s$ of the terms' duals, and of the data's dual."""

    primal: Array
    dual: Array
    data: Array


class AbstractDataStep(eqx.Module):
    r"""Moves the dual variable $p$ of the data term, and chooses the lengths of all steps."""

    @abc.abstractmethod
    def steps(self, lipschitz: Float[Array, ""], size: Float[Array, ""]) -> Steps:
        r"""For $\|W\|^2$ and $\alpha^2\sum_i\|K_i\|^2$."""

    @abc.abstractmethod
    def dual(
        self, data: DataTerm, y: Array, at: tuple[Array, Array, Array], step: Float[Array, ""]
    ) -> Float[Array, "..."]:
        r"""$p^+$ from the old $p$, from $z^+ = Wx^+ + b$, and from $2z^+ - z$."""


class GradientData(AbstractDataStep):
    r"""$p^+ = \sigma(z^+) - y$, the gradient: Condat and Vũ.

    $s = \mathrm{ratio}\,\|W\|^2/(\alpha^2\sum\|K_i\|^2)$ and $1/\tau = \|W\|^2 +
    s\alpha^2\sum\|K_i\|^2$. Slow where α is small against $\|W\|^2$: τ is too short for what W
    does not see.

    Attributes:
        ratio: see above.

    Raises:
        ValueError: unless the ratio is positive.
    """

    ratio: float = 1.0

    def __check_init__(self) -> None:
        check_ratio(self.ratio)

    def steps(self, lipschitz: Float[Array, ""], size: Float[Array, ""]) -> Steps:
        positive = size > 0
        s = jnp.where(positive, self.ratio * lipschitz / jnp.where(positive, size, 1), 1.0)
        return Steps(1 / (lipschitz + s * size), s, jnp.ones_like(s))

    def dual(
        self, data: DataTerm, y: Array, at: tuple[Array, Array, Array], step: Float[Array, ""]
    ) -> Float[Array, "..."]:
        return data.residual(y, at[1])


class ProximalData(AbstractDataStep):
    r"""$p^+ = \mathrm{prox}_{s_WF^*}(p + s_W(2z^+ - z))$ with $F^*(p) = \varphi(y + p) -
    \varphi(y)$: Chambolle and Pock.

    That is $\mathrm{prox}_{s_W\varphi}(y + p + s_W(2z^+ - z)) - y$. One half of
    $1/\tau = s_W\|W\|^2 + s\alpha^2\sum\|K_i\|^2$ belongs to each, and
    $\tau = \mathrm{ratio}/(\alpha\sqrt{\sum\|K_i\|^2})$, or $\mathrm{ratio}/\|W\|$ without dual
    terms: steps have the preconditioners of the blocks W and K, and no length is bound by
    $\|W\|^2$.

    Attributes:
        ratio: about the size of an entry of the input.

    Raises:
        ValueError: unless the ratio is positive.
    """

    ratio: float = 0.3

    def __check_init__(self) -> None:
        check_ratio(self.ratio)

    def steps(self, lipschitz: Float[Array, ""], size: Float[Array, ""]) -> Steps:
        positive = size > 0
        own = jnp.where(positive, size, 1)
        tau = self.ratio / jnp.where(positive, jnp.sqrt(own), jnp.sqrt(lipschitz))
        s = jnp.where(positive, 0.5 / (tau * own), 1.0)
        return Steps(tau, s, jnp.where(positive, 0.5, 1.0) / (tau * lipschitz))

    def dual(
        self, data: DataTerm, y: Array, at: tuple[Array, Array, Array], step: Float[Array, ""]
    ) -> Float[Array, "..."]:
        p, _, ahead = at
        moved = (y + p + step * ahead) / (1 + step)
        return data.potential.prox(moved, step / (1 + step)) - y


def check_ratio(ratio: float) -> None:
    """Raise a ValueError unless the ratio is positive."""
    if isinstance(ratio, int | float) and not (ratio > 0 and math.isfinite(ratio)):
        raise ValueError(f"ratio must be positive, got {ratio}; the default is a start")
