"""Bounds on the entries of the input."""

from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.potentials import Clip, ReLU


class NonNegative(AbstractPrior):
    r"""$J(x) = 0$ if $x \ge 0$ in every entry, else $+\infty$."""

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        return (Term(None, ReLU()),)


class Box(AbstractPrior):
    r"""$J(x) = 0$ if $l \le x \le h$ in every entry, else $+\infty$.

    Attributes:
        low: $l$.
        high: $h$.

    Raises:
        ValueError: unless low < high are finite.
    """

    low: float = 0.0
    high: float = 1.0

    def __check_init__(self) -> None:
        Clip(self.low, self.high)

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        return (Term(None, Clip(self.low, self.high), coercive=True),)
