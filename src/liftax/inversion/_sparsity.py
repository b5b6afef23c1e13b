"""Sparse inputs."""

from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.potentials import Clip, SoftThreshold


class L1(AbstractPrior):
    r"""$J(x) = \|x\|_1$: few entries differ from 0."""

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        return (Term(None, SoftThreshold(1.0), dual=Clip(-1.0, 1.0)),)
