"""What is known of an input before its output is seen: convex regularisers, term by term."""

import abc
import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging import AbstractOperator, adjoint
from liftax.potentials import AbstractPotential

Shape = tuple[int, ...]
Weight = float | Float[Array, ""]


class Term(eqx.Module):
    r"""$h(Kx)$ with $h(v) = w\,g(v - c)$: one summand of a regulariser.

    $h^*(q) = \langle q, c\rangle + w\,g^*(q/w)$. All methods act on one example.

    Attributes:
        operator: $K$; None for the identity.
        function: $g$, its value, prox and conjugate.
        dual: $g^*$ as a potential of its own, whose prox then does not come by Moreau's identity:
            a projection hits its set, a difference misses it by rounding.
        weight: $w > 0$.
        shift: $c$, of the shape of $Kx$ or one that broadcasts; None for 0.
        convexity: a $\mu \ge 0$ for which $g - \frac\mu2\|\cdot\|^2$ is convex.
        coercive: whether $g^*$ is finite everywhere.
        orthogonal: whether $K^\top K = KK^\top = I$.
        trusted: for a function of which only the prox is known, and values are NaN: a τ at which
            that is good; None for all others.

    Raises:
        ValueError: for a weight that is not positive.
    """

    operator: AbstractOperator | None
    function: AbstractPotential
    dual: AbstractPotential | None = None
    weight: Weight = 1.0
    shift: Float[Array, "..."] | None = None
    convexity: float = 0.0
    coercive: bool = eqx.field(static=True, default=False)
    orthogonal: bool = eqx.field(static=True, default=False)
    trusted: float | None = None

    def __check_init__(self) -> None:
        weight = self.weight
        if isinstance(weight, int | float) and not (weight > 0 and math.isfinite(weight)):
            raise ValueError(f"weight must be positive, got {weight}; leave the term out instead")

    @property
    def direct(self) -> bool:
        r"""Whether $x \mapsto h(Kx)$ has a prox in closed form."""
        return self.operator is None or self.orthogonal

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """$Kx$."""
        return x if self.operator is None else self.operator.apply(x)

    def adjoint(self, q: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""$K^\top q$."""
        return q if self.operator is None else adjoint(self.operator, q)

    def norm(self) -> Float[Array, ""]:
        r"""$\|K\|$, or a lower bound of it where the operator's own `norm` is one."""
        return jnp.ones(()) if self.operator is None else self.operator.norm()

    def value(self, v: Float[Array, "..."]) -> Float[Array, ""]:
        """$h(v)$."""
        return self._weight(v) * self.function.value(self._shifted(v, -1.0))

    def conjugate(self, q: Float[Array, "..."]) -> Float[Array, ""]:
        """$h^*(q)$."""
        weight = self._weight(q)
        inner = q / weight
        own = self.function.conjugate(inner) if self.dual is None else self.dual.value(inner)
        linear = 0.0 if self.shift is None else jnp.sum(q * self.shift.astype(q.dtype))
        return weight * own + linear

    def prox(self, v: Float[Array, "..."], tau: Weight) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau h}(v)$."""
        step = jnp.asarray(tau, v.dtype) * self._weight(v)
        return self._shifted(self.function.prox(self._shifted(v, -1.0), step), 1.0)

    def dual_prox(self, q: Float[Array, "..."], tau: Weight) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau h^*}(q)$."""
        step, weight = jnp.asarray(tau, q.dtype), self._weight(q)
        v = q if self.shift is None else q - step * self.shift.astype(q.dtype)
        if self.dual is not None:
            return weight * self.dual.prox(v / weight, step / weight)
        # Moreau: prox of τ (w g)* is v - τ prox_{w g/τ}(v/τ).
        return v - step * self.function.prox(v / step, weight / step)

    def direct_prox(self, x: Float[Array, "..."], tau: Weight) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau h(K\cdot)}(x)$ of a term that is `direct`.

        Raises:
            ValueError: for any other.
        """
        if not self.direct:
            raise ValueError(
                f"{type(self.operator).__name__} is not orthogonal, so that the term has no prox "
                "in closed form; use its dual"
            )
        return self.adjoint(self.prox(self.forward(x), tau))

    def _weight(self, v: Array) -> Array:
        return jnp.asarray(self.weight, v.dtype)

    def _shifted(self, v: Array, sign: float) -> Array:
        return v if self.shift is None else v + sign * self.shift.astype(v.dtype)


class AbstractPrior(eqx.Module):
    r"""A convex regulariser $J(x) = \min_w\sum_ih_i(K_i(x, w))$ of one input of any shape.

    Most have no auxiliary variable $w$. With m of them, each of the shape of x, the joint variable
    is $\xi$ of the shape `(*shape, 1 + m)` with $x$ in ``ξ[..., 0]``; all terms act on it.

    Source: Chambolle & Pock (2016), for regularisers in this form.
    """

    @property
    @abc.abstractmethod
    def auxiliary(self) -> int:
        """m, the number of auxiliary variables of the shape of x."""

    @abc.abstractmethod
    def terms(self, shape: Shape) -> tuple[Term, ...]:
        r"""The summands for inputs of this shape.

        Raises:
            ValueError: if the regulariser does not take inputs of this shape.
        """

    def valued(self, shape: Shape) -> bool:
        """Whether J has values: not where a term is known by its prox only."""
        return all(term.trusted is None for term in self.terms(shape))

    def joint_shape(self, shape: Shape) -> Shape:
        """Shape of the variable that the terms act on."""
        return (*shape, 1 + self.auxiliary) if self.auxiliary else tuple(shape)

    def joint(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The joint variable with the auxiliary ones 0; x itself without any."""
        if not self.auxiliary:
            return x
        zeros = jnp.zeros((*x.shape, self.auxiliary), x.dtype)
        return jnp.concatenate([x[..., None], zeros], axis=-1)

    def input(self, joint: Float[Array, "..."]) -> Float[Array, "..."]:
        """The input x of a joint variable."""
        return joint[..., 0] if self.auxiliary else joint

    def value(self, joint: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\sum_ih_i(K_i\xi)$: $J(x)$ without auxiliary variables, else an upper bound of it."""
        shape = joint.shape[:-1] if self.auxiliary else joint.shape
        values = [term.value(term.forward(joint)) for term in self.terms(shape)]
        return sum(values[1:], values[0])


def check_values(prior: AbstractPrior, shape: Shape) -> None:
    """Raise a ValueError for a regulariser without values."""
    if not prior.valued(shape):
        raise ValueError(
            f"regulariser: {type(prior).__name__} has no values, only a proximal map; take "
            "another, such as total variation, or choose alpha by `discrepancy`"
        )
