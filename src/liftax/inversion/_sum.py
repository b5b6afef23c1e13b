"""Several regularisers at once."""

import dataclasses
import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging import AbstractOperator
from liftax.inversion._regulariser import AbstractPrior, Shape, Term, Weight


class _Slots(AbstractOperator):
    """Some of the variables along the last axis; one alone without that axis."""

    in_shape: Shape = eqx.field(static=True)
    slots: tuple[int, ...] = eqx.field(static=True)
    operator: AbstractOperator | None

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        chosen = x[..., 0] if len(self.slots) == 1 else x[..., list(self.slots)]
        return chosen if self.operator is None else self.operator.apply(chosen)

    def norm(self) -> Float[Array, ""]:
        return jnp.ones(()) if self.operator is None else self.operator.norm()


class Sum(AbstractPrior):
    r"""$J(x) = \sum_kw_kJ_k(x)$.

    Attributes:
        priors: $J_k$.
        weights: $w_k > 0$, relative to each other; None for 1 each. A constraint such as `Box`
            is the same for every weight.

    Raises:
        ValueError: without regularisers, for another number of weights, and weights that are not
            positive.
    """

    priors: tuple[AbstractPrior, ...]
    weights: tuple[Weight, ...]

    def __init__(self, *priors: AbstractPrior, weights: tuple[Weight, ...] | None = None):
        """See the class."""
        self.priors = priors
        self.weights = (1.0,) * len(priors) if weights is None else tuple(weights)

    def __check_init__(self) -> None:
        if not self.priors or len(self.weights) != len(self.priors):
            raise ValueError(
                f"weights: got {len(self.weights)} for {len(self.priors)} regularisers; give at "
                "least one regulariser, and one weight for each"
            )
        for weight in self.weights:
            if isinstance(weight, int | float) and not (weight > 0 and math.isfinite(weight)):
                raise ValueError(
                    f"weights must be positive, got {weight}; leave that regulariser out"
                )

    @property
    def auxiliary(self) -> int:
        return sum(prior.auxiliary for prior in self.priors)

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        joint, used = self.joint_shape(shape), 1
        found: list[Term] = []
        for prior, weight in zip(self.priors, self.weights, strict=True):
            slots = (0, *range(used, used + prior.auxiliary))
            used += prior.auxiliary
            for term in prior.terms(shape):
                operator, whole = term.operator, not self.auxiliary or len(slots) == joint[-1]
                found.append(
                    dataclasses.replace(
                        term,
                        weight=term.weight * weight,
                        operator=operator if whole else _Slots(joint, slots, operator),
                        orthogonal=term.orthogonal and whole,
                    )
                )
        return tuple(found)
