"""The squared distance to an anchor."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.potentials import ElasticNet


class Tikhonov(AbstractPrior):
    r"""$J(x) = \frac12\|x - a\|^2$.

    Attributes:
        anchor: $a$, such as the output of a trained decoder; None for 0.

    Source: Tikhonov (1963).
    """

    anchor: Float[Array, "..."] | None

    def __init__(self, anchor: ArrayLike | None = None):
        """See the class."""
        self.anchor = None if anchor is None else jnp.asarray(anchor)

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        if self.anchor is not None and self.anchor.shape not in ((), tuple(shape)):
            raise ValueError(
                f"anchor has the shape {self.anchor.shape}, inputs have {tuple(shape)}; give one "
                "anchor, or use jax.vmap for one an example"
            )
        square = ElasticNet(0.0, 1.0)
        return (Term(None, square, shift=self.anchor, convexity=1.0, coercive=True),)
