"""Step sizes of block updates."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from liftax.blocks._curvature import Probes

Measure = Callable[[Probes, int], tuple[Float[Array, ""], Probes]]


class AbstractStepSize(eqx.Module):
    """A rule that turns a block's Lipschitz constant, measured only if asked for, into a step."""

    @abc.abstractmethod
    def size(self, measure: Measure, probes: Probes) -> tuple[Any, Probes]:
        """The step and the probes after it; ``measure(probes, power_iterations)`` gives L."""


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

    def size(self, measure: Measure, probes: Probes) -> tuple[Any, Probes]:
        constant, probes = measure(probes, self.power_iterations)
        return self.scale / constant, probes


class Fixed(AbstractStepSize):
    """The same step everywhere, whatever the curvature: no promise of descent."""

    step: float

    def __check_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step must be positive, got {self.step}")

    def size(self, measure: Measure, probes: Probes) -> tuple[Any, Probes]:
        return self.step, probes
