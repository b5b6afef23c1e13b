"""How the data term enters primal-dual iterations."""

import abc
import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.inversion._data import DataTerm

_SHARE = 0.2  # of W in 1/τ


class Steps(NamedTuple):
    r"""Lengths: $\tau$ of the primal step, $s$ of the terms' duals, of the data's dual $s_W$, and
    the relaxation ω of the whole step.
    """

    primal: Array
    dual: Array
    data: Array
    relaxation: Array


class AbstractDataStep(eqx.Module):
    r"""Moves the dual variable $p$ of the data term, and chooses the lengths of all steps."""

    @abc.abstractmethod
    def steps(
        self,
        lipschitz: Float[Array, ""],
        size: Float[Array, ""],
        alpha: Float[Array, ""],
        trusted: float | None = None,
    ) -> Steps:
        r"""For $\|W\|^2$, for $\alpha^2\sum_i\|K_i\|^2$, 0 without dual terms, and α.

        `trusted` is that of a term which is known by its prox only: ω is 1 then.
        """

    @abc.abstractmethod
    def dual(
        self, data: DataTerm, y: Array, at: tuple[Array, Array, Array], step: Float[Array, ""]
    ) -> Float[Array, "..."]:
        r"""$p^+$ from the old $p$, from $z^+ = Wx^+ + b$, and from $2z^+ - z$."""


class GradientData(AbstractDataStep):
    r"""$p^+ = \sigma(z^+) - y$, the gradient: Condat and Vũ.

    $s = \mathrm{ratio}\,\|W\|^2/(\alpha^2\sum\|K_i\|^2)$ and $1/\tau = \|W\|^2 +
    s\alpha^2\sum\|K_i\|^2$, ω = 1.4 of the 1.5 that these allow. Slow where α is small against
    $\|W\|^2$: τ is too short for what W does not see.

    Attributes:
        ratio: see above.

    Raises:
        ValueError: unless the ratio is positive.
    """

    ratio: float = 1.0

    def __check_init__(self) -> None:
        check_ratio(self.ratio)

    def steps(
        self,
        lipschitz: Float[Array, ""],
        size: Float[Array, ""],
        alpha: Float[Array, ""],
        trusted: float | None = None,
    ) -> Steps:
        positive = size > 0
        s = jnp.where(positive, self.ratio * lipschitz / jnp.where(positive, size, 1), 1.0)
        tau = 1 / (lipschitz + s * size)
        return Steps(tau, s, jnp.ones_like(s), jnp.full_like(s, 1.4 if trusted is None else 1.0))

    def dual(
        self, data: DataTerm, y: Array, at: tuple[Array, Array, Array], step: Float[Array, ""]
    ) -> Float[Array, "..."]:
        return data.residual(y, at[1])


class ProximalData(AbstractDataStep):
    r"""$p^+ = \mathrm{prox}_{s_WF^*}(p + s_W(2z^+ - z))$ with $F^*(p) = \varphi(y + p) -
    \varphi(y)$: Chambolle and Pock.

    That is $\mathrm{prox}_{s_W\varphi}(y + p + s_W(2z^+ - z)) - y$. No length is bound by
    $\|W\|^2$: the steps have the preconditioners of the blocks W and K. Of $1/\tau =
    s_W\|W\|^2 + s\alpha^2\sum\|K_i\|^2$ the share $s_W\tau\|W\|^2$ is a fifth, and
    $\tau = \mathrm{ratio}/(\alpha\sqrt{\sum\|K_i\|^2})$. Without dual terms it is the whole, and
    $\tau = \mathrm{ratio}/\alpha$. ω = 1.9.

    Attributes:
        ratio: None for 0.03, without dual terms 0.3, and for the τ that a `PlugAndPlay` trusts. A
            longer τ moves the input faster and the dual
            variables slower; which one the gap waits for is a matter of scale.

    Raises:
        ValueError: unless the ratio is positive.

    Source: Chambolle & Pock (2011); Pock & Chambolle (2011) for a length a block.
    """

    ratio: float | None = None

    def __check_init__(self) -> None:
        check_ratio(1.0 if self.ratio is None else self.ratio)

    def steps(
        self,
        lipschitz: Float[Array, ""],
        size: Float[Array, ""],
        alpha: Float[Array, ""],
        trusted: float | None = None,
    ) -> Steps:
        dual = size > 0
        own = jnp.where(dual, size, 1)
        ratio = jnp.where(dual, 0.03, 0.3) if self.ratio is None else self.ratio
        tau = jnp.asarray(ratio, size.dtype) / jnp.where(dual, jnp.sqrt(own), alpha)
        if trusted is not None and self.ratio is None:
            tau = trusted / alpha
        s = jnp.where(dual, (1 - _SHARE) / (tau * own), 1.0)
        data = jnp.where(dual, _SHARE, 1.0) / (tau * lipschitz)
        return Steps(tau, s, data, jnp.full_like(s, 1.9 if trusted is None else 1.0))

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
