"""Step sizes of block updates."""

import abc
from collections.abc import Callable, Collection
from typing import Any

import equinox as eqx

from liftax.blocks._curvature import Constants, Probes

Measure = Callable[[Probes, int], tuple[Constants, Probes]]


class AbstractStepSize(eqx.Module):
    """A rule that turns the blocks' Lipschitz constants, measured only if asked for, into steps."""

    @abc.abstractmethod
    def sizes(
        self, names: Collection[str], measure: Measure, probes: Probes
    ) -> tuple[dict[str, Any], Probes]:
        """Steps by node and the probes after it; ``measure(probes, iterations)`` gives L."""


class Lipschitz(AbstractStepSize):
    """``scale / L``, with L from `power_iterations` more power iterations on a carried vector.

    Proximal gradient descends for every scale below 2; the default 1 is the majorising step.
    """

    scale: float = 1.0
    power_iterations: int = 1

    def __check_init__(self) -> None:
        if not 0 < self.scale < 2 or self.power_iterations < 1:
            raise ValueError(
                "scale must lie in (0, 2) and power_iterations be at least 1, got "
                f"{self.scale} and {self.power_iterations}"
            )

    def sizes(
        self, names: Collection[str], measure: Measure, probes: Probes
    ) -> tuple[dict[str, Any], Probes]:
        constants, probes = measure(probes, self.power_iterations)
        return {name: self.scale / constants[name] for name in names}, probes


class Fixed(AbstractStepSize):
    """The same step everywhere, whatever the curvature: no promise of descent."""

    step: float

    def __check_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step must be positive, got {self.step}")

    def sizes(
        self, names: Collection[str], measure: Measure, probes: Probes
    ) -> tuple[dict[str, Any], Probes]:
        return dict.fromkeys(names, self.step), probes
