"""Inputs that are piecewise affine."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging import AbstractOperator, FiniteDifferences
from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.inversion._reshaped import image_shape
from liftax.potentials import Ball, GroupSoftThreshold


class TGV(AbstractPrior):
    r"""$J(x) = \min_w\sum\|\nabla x - w\|_2 + \beta\sum\|\mathcal Ew\|_F$, of second order.

    $\mathcal E$ is the symmetrised derivative, by the same forward differences. It vanishes exactly
    if $w$ is constant and $\nabla x = w$: unlike total variation it costs ramps nothing inside.

    Attributes:
        second: β; 2 is usual.

    Raises:
        ValueError: unless β is positive.

    Source: Bredies, Kunisch & Pock (2010).
    """

    second: float = 2.0

    def __check_init__(self) -> None:
        if isinstance(self.second, int | float) and not self.second > 0:
            raise ValueError(f"second must be positive, got {self.second}; 2 is usual")

    @property
    def auxiliary(self) -> int:
        return 2

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        joint = (*image_shape(shape, None, "TGV"), 3)
        group = GroupSoftThreshold(1.0, axis=-1)
        ball = Ball(1.0, axes=-1)
        first = Term(_GradientLess(joint), group, dual=ball)
        return first, Term(_Symmetrised(joint), group, dual=ball, weight=self.second)


class _GradientLess(AbstractOperator):
    r"""$(x, w)\mapsto\nabla x - w$; $\|K\|^2 \le 8 + 1$."""

    in_shape: Shape = eqx.field(static=True)

    def apply(self, x: Float[Array, "h w c 3"]) -> Float[Array, "h w c 2"]:
        return FiniteDifferences(self.in_shape[:3]).apply(x[..., 0]) - x[..., 1:]

    def norm(self) -> Float[Array, ""]:
        return jnp.asarray(3.0)


class _Symmetrised(AbstractOperator):
    r"""$(x, w)\mapsto\mathcal Ew$ as $(\partial_1w_1, \partial_2w_2, \sqrt2\,e_{12})$."""

    in_shape: Shape = eqx.field(static=True)

    def apply(self, x: Float[Array, "h w c 3"]) -> Float[Array, "h w c 3"]:
        gradient = FiniteDifferences(self.in_shape[:3]).apply
        first, second = gradient(x[..., 1]), gradient(x[..., 2])
        mixed = (first[..., 1] + second[..., 0]) * jnp.asarray(0.5**0.5, x.dtype)
        return jnp.stack([first[..., 0], second[..., 1], mixed], axis=-1)

    def norm(self) -> Float[Array, ""]:
        return jnp.asarray(8.0**0.5)
