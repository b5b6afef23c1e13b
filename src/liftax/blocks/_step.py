"""Updates of a block."""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
from jaxtyping import PRNGKeyArray

from liftax._solution import NoClosedForm
from liftax.blocks._acceleration import AbstractAcceleration, Plain
from liftax.blocks._block import AbstractBlock, Variables
from liftax.blocks._parameter_block import ParameterBlock
from liftax.blocks._step_size import AbstractStepSize, Lipschitz, proximal_step

if TYPE_CHECKING:
    import optax


class AbstractBlockStep(eqx.Module):
    """How the variables of a block are updated: a record; what it remembers is passed."""

    @abc.abstractmethod
    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        """The memory before the first update."""

    @abc.abstractmethod
    def restart(self, memory: Any, block: AbstractBlock, hold: bool = False) -> Any:
        """The memory for a block with new variables of the same shapes: inertia is dropped.

        With `hold` nothing but activations will change until the next restart, so that what
        depends on the rest is computed here once.
        """

    @abc.abstractmethod
    def update(self, block: AbstractBlock, memory: Any) -> tuple[Variables, Any]:
        """New variables, and the memory after it."""


class Memory(NamedTuple):
    """Of the step sizes, and of the acceleration."""

    sizes: Any
    momentum: Any


class ProximalGradient(AbstractBlockStep):
    r"""$x \leftarrow \mathrm{prox}_{\tau h}(y - \tau\nabla f(y'))$, $y$, $y'$ by the acceleration.

    With the defaults (Lipschitz steps, no acceleration) the energy never increases.

    Attributes:
        step_size: rule for τ.
        acceleration: `Plain`, `Nesterov`, `HeavyBall` or `Adam`.
    """

    step_size: AbstractStepSize = Lipschitz()
    acceleration: AbstractAcceleration = Plain()

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Memory:
        return Memory(self.step_size.init(block, key), self.acceleration.init(block.x))

    def restart(self, memory: Memory, block: AbstractBlock, hold: bool = False) -> Memory:
        sizes = self.step_size.held(block, memory.sizes) if hold else memory.sizes
        return Memory(sizes, self.acceleration.init(block.x))

    def update(self, block: AbstractBlock, memory: Memory) -> tuple[Variables, Memory]:
        start, point = self.acceleration.points(memory.momentum, block.x)
        d, factor, momentum = self.acceleration.direction(memory.momentum, block.gradient(point))
        steps, sizes = self.step_size.sizes(block, memory.sizes, start, d, factor)
        new = proximal_step(block, start, d, steps)
        momentum = self.acceleration.after(momentum, block.x, start, new)
        return new, Memory(sizes, momentum)


class Solve(AbstractBlockStep):
    r"""The block's minimiser of $f + h + \frac\alpha2\|\cdot - x\|^2$, in closed form.

    For parameters the variable-metric step $-(w_jJ_j^\top J_j/s + \alpha I)^{-1}G_j$, where
    $J_j=\partial f_j/\partial\theta_j$: the minimiser where the penalty is quadratic (ridge
    regression), the minimiser of a majorant, hence a descent, with the Bregman and the lifted
    penalty. For activations see `blocks.StateBlock.solve`; the energy is that of one sample there
    and the mean over samples here.

    Attributes:
        proximal: α ≥ 0, one for all or one by node name (others: 0).
        otherwise: what to do for blocks without a closed form; None makes them an error.

    Raises:
        ValueError: for a negative α; for a block without a closed form.

    Source: Chouzenoux, Pesquet & Repetti (2016); Zeng et al. (2019).
    """

    proximal: float | Mapping[str, float] = 0.0
    otherwise: AbstractBlockStep | None = None

    def __check_init__(self) -> None:
        given = self.proximal
        if any(not a >= 0 for a in (given.values() if isinstance(given, Mapping) else [given])):
            raise ValueError(f"proximal must be at least 0, got {self.proximal}")

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        return () if self.otherwise is None else self.otherwise.init(block, key)

    def restart(self, memory: Any, block: AbstractBlock, hold: bool = False) -> Any:
        return memory if self.otherwise is None else self.otherwise.restart(memory, block, hold)

    def update(self, block: AbstractBlock, memory: Any) -> tuple[Variables, Any]:
        try:
            return block.solve(self._by_name(block)), memory
        except NoClosedForm:
            if self.otherwise is None:
                raise
            return self.otherwise.update(block, memory)

    def _by_name(self, block: AbstractBlock) -> dict[str, float]:
        if isinstance(self.proximal, Mapping):
            return {name: self.proximal.get(name, 0.0) for name in block.x}
        return dict.fromkeys(block.x, self.proximal)


class Optimiser(AbstractBlockStep):
    r"""A step of an optax optimiser on the smooth part, then the prox of $h$; for parameters.

    Schedules, clipping, accumulation and decoupled weight decay are optax's. No promise of descent.

    Attributes:
        optimiser: any `optax.GradientTransformation`.
        proximal_step: the step of the prox of regularisers, usually the learning rate. Projections
            need no particular one.

    Raises:
        ValueError: on activations, whose prox needs the step of the gradient.
    """

    optimiser: "optax.GradientTransformation"
    proximal_step: float = 1e-3

    def init(self, block: AbstractBlock, key: PRNGKeyArray) -> Any:
        if not isinstance(block, ParameterBlock):
            raise ValueError(
                "state_step=Optimiser(...): the prox of an activation needs the step of its "
                "gradient; use ProximalGradient(acceleration=Adam()) there"
            )
        return self.optimiser.init(block.x)

    def restart(self, memory: Any, block: AbstractBlock, hold: bool = False) -> Any:
        return memory

    def update(self, block: AbstractBlock, memory: Any) -> tuple[Variables, Any]:
        import optax

        updates, memory = self.optimiser.update(block.gradient(block.x), memory, block.x)
        ahead: Any = optax.apply_updates(block.x, updates)
        return block.prox(ahead, dict.fromkeys(block.x, self.proximal_step)), memory
