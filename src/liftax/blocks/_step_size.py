"""Step sizes of proximal gradient steps."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax import _tree
from liftax._iterate import until
from liftax.blocks._block import AbstractBlock, Constants, Probes, Steps, Variables


class AbstractStepSize(eqx.Module):
    """A rule that gives every variable of a block its step."""

    @abc.abstractmethod
    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        """What the rule carries from step to step."""

    @abc.abstractmethod
    def sizes(
        self, block: AbstractBlock, state: Any, start: Variables, direction: Variables, factor: Any
    ) -> tuple[Steps, Any]:
        """Steps by node for a move from `start` along `-direction`, multiplied by `factor`."""

    @abc.abstractmethod
    def held(self, block: AbstractBlock, state: Any) -> Any:
        """The state for updates during which nothing but activations changes."""


class Held(NamedTuple):
    """Lipschitz constants that do not change, and the probes that they came from."""

    constants: Constants
    probes: Probes


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

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        return block.probes(key)

    def sizes(
        self, block: AbstractBlock, state: Any, start: Variables, direction: Variables, factor: Any
    ) -> tuple[Steps, Any]:
        if isinstance(state, Held):
            constants = state.constants
        else:
            constants, state = block.curvature(state, self.power_iterations)
        # Nothing but the prox acts where all children have the weight 0.
        least = float(jnp.finfo(jax.tree.leaves(block.x)[0].dtype).tiny) ** 0.5
        steps: Steps = {
            name: jax.tree.map(lambda c: self.scale / jnp.maximum(c, least), constants[name])
            for name in block.x
        }
        return times(steps, factor), state

    def held(self, block: AbstractBlock, state: Any) -> Any:
        if not block.steady:
            return state
        probes = state.probes if isinstance(state, Held) else state
        return Held(*block.curvature(probes, self.power_iterations))


class Fixed(AbstractStepSize):
    """The same step everywhere, whatever the curvature: no promise of descent."""

    step: float

    def __check_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step must be positive, got {self.step}")

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        return ()

    def sizes(
        self, block: AbstractBlock, state: Any, start: Variables, direction: Variables, factor: Any
    ) -> tuple[Steps, Any]:
        return times(dict.fromkeys(block.x, self.step), factor), state

    def held(self, block: AbstractBlock, state: Any) -> Any:
        return state


class Backtracking(AbstractStepSize):
    r"""The first step $\tau$ in a falling sequence that keeps the majorant above $f$:

    $$f(x^+) \le f(x) + \langle\nabla f(x), x^+-x\rangle + \tfrac1{2\tau}\|x^+-x\|^2.$$

    One step for all variables of a block. It starts at `growth` times the last one, so that steps
    follow the curvature down and up; no Lipschitz constant is needed, but values are.

    Attributes:
        first: the very first step to try.
        shrink: factor in (0, 1) after a failure.
        growth: factor ≥ 1 before the first trial.
        trials: at most so many.

    Raises:
        ValueError: for values outside these ranges.

    Source: Beck & Teboulle (2009).
    """

    first: float = 1.0
    shrink: float = 0.5
    growth: float = 1.5
    trials: int = 40

    def __check_init__(self) -> None:
        if not (self.first > 0 and 0 < self.shrink < 1 and self.growth >= 1 and self.trials > 0):
            raise ValueError(
                "first must be positive, shrink in (0, 1), growth and trials at least 1, got "
                f"{self.first}, {self.shrink}, {self.growth}, {self.trials}"
            )

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        return jnp.asarray(self.first / self.growth, jax.tree.leaves(block.x)[0].dtype)

    def sizes(
        self, block: AbstractBlock, state: Any, start: Variables, direction: Variables, factor: Any
    ) -> tuple[Steps, Any]:
        here = block.value(start)
        slack = 10 * float(jnp.finfo(here.dtype).eps)

        def enough(tau: Array) -> Array:
            steps = times(dict.fromkeys(block.x, tau), factor)
            move = _tree.minus(proximal_step(block, start, direction, steps), start)
            there = block.value(jax.tree.map(jnp.add, start, move))
            model = _tree.inner(direction, move) + 0.5 * _tree.inner(move, move) / tau
            return there - here <= model + slack * (jnp.abs(here) + jnp.abs(there))

        def shorter(trial: tuple[Array, Array]) -> tuple[Array, Array]:
            tau = self.shrink * trial[0]
            return tau, enough(tau)

        longest = self.growth * state
        (tau, _), _ = until(shorter, (longest, enough(longest)), lambda t: t[1], self.trials)
        return times(dict.fromkeys(block.x, tau), factor), tau

    def held(self, block: AbstractBlock, state: Any) -> Any:
        return state


def times(steps: Steps, factor: Any) -> Steps:
    """Steps multiplied by a number, or for each variable by arrays in its form."""
    if factor is None:
        return steps
    if isinstance(factor, float):
        return jax.tree.map(lambda step: factor * step, steps)
    return {
        name: jax.tree.map(jnp.multiply, factor[name], _spread(step, factor[name]))
        for name, step in steps.items()
    }


def _spread(step: Any, like: Any) -> Any:
    """A step for all, or one in the form of the variable, in the latter."""
    if jax.tree.structure(step) == jax.tree.structure(like):
        return step
    return jax.tree.map(lambda _: step, like)


def proximal_step(
    block: AbstractBlock, start: Variables, direction: Variables, steps: Steps
) -> Variables:
    """The prox of `start` less the direction times the steps."""
    ahead = {}
    for name, step in steps.items():
        sizes = _spread(step, start[name])
        ahead[name] = jax.tree.map(
            lambda x, d, s: jnp.asarray(x - s * d, x.dtype), start[name], direction[name], sizes
        )
    return block.prox(ahead, steps)
