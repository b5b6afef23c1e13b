"""What changes in the energy while a method runs: weights and multipliers."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from liftax.networks import INPUT, States
from liftax.objectives import LiftedEnergy
from liftax.potentials import Identity


class AbstractMultipliers(eqx.Module):
    """A rule that changes the energy's weights or offsets from step to step."""

    @abc.abstractmethod
    def init(self, energy: LiftedEnergy, states: States) -> Any:
        """What it starts with, for the activations of the first step."""

    @abc.abstractmethod
    def at(self, energy: LiftedEnergy, state: Any) -> LiftedEnergy:
        """The energy of the step to come."""

    @abc.abstractmethod
    def update(self, energy: LiftedEnergy, state: Any, states: States, z: States) -> Any:
        """After a step, with its activations and pre-activations; `energy` is the step's."""


class Constant(AbstractMultipliers):
    """The energy as it is."""

    def init(self, energy: LiftedEnergy, states: States) -> Any:
        return ()

    def at(self, energy: LiftedEnergy, state: Any) -> LiftedEnergy:
        return energy

    def update(self, energy: LiftedEnergy, state: Any, states: States, z: States) -> Any:
        return state


class Continuation(AbstractMultipliers):
    r"""$w_j^{k+1} = \min(c\,w_j^k, w_j^{\max})$ on the hidden nodes: the constraints harden.

    Attributes:
        growth: $c > 1$, per step.
        largest: $w_j^{\max}$ as a multiple of the energy's own weight.

    Raises:
        ValueError: unless both are above 1.

    Source: Carreira-Perpiñán & Wang (2014).
    """

    growth: float = 1.1
    largest: float = 1e4

    def __check_init__(self) -> None:
        if not (self.growth > 1 and self.largest > 1):
            raise ValueError(
                f"growth and largest must be above 1, got {self.growth} and {self.largest}"
            )

    def init(self, energy: LiftedEnergy, states: States) -> Any:
        return jnp.ones((), states[INPUT].dtype)

    def at(self, energy: LiftedEnergy, state: Any) -> LiftedEnergy:
        return energy.weighted({n: state * energy.weight(n) for n in energy.network.hidden})

    def update(self, energy: LiftedEnergy, state: Any, states: States, z: States) -> Any:
        return jnp.minimum(self.growth * state, self.largest)


class DualAscent(AbstractMultipliers):
    r"""Fenchel lifted networks: $\frac1s\sum_i C_j(u_j^i, z_j^i) \le \varepsilon_j$ by multipliers.

    $\lambda_j \leftarrow \max(\lambda_{\min}, \lambda_j + \eta(\frac1s\sum_iC_j - \varepsilon_j))$
    after each step; the λ's are the weights of the hidden nodes and start at the energy's own.

    Attributes:
        rate: η.
        tolerance: $\varepsilon_j$, one number or one by node name (others: 0).
        smallest: $\lambda_{\min} > 0$, which keeps the activations in their domains.

    Raises:
        ValueError: for a rate or floor that is not positive, or a negative tolerance.

    Source: Gu, Askari & El Ghaoui (2020).
    """

    rate: float = 0.1
    tolerance: float | Mapping[str, float] = 0.0
    smallest: float = 1e-3

    def __check_init__(self) -> None:
        if not (self.rate > 0 and self.smallest > 0):
            raise ValueError(
                f"rate and smallest must be positive, got {self.rate} and {self.smallest}"
            )
        given = self.tolerance
        values = list(given.values()) if isinstance(given, Mapping) else [given]
        if any(not value >= 0 for value in values):
            raise ValueError(f"tolerance must be at least 0, got {given}")

    def init(self, energy: LiftedEnergy, states: States) -> Any:
        dtype = states[INPUT].dtype
        return {n: jnp.asarray(energy.weight(n), dtype) for n in energy.network.hidden}

    def at(self, energy: LiftedEnergy, state: Any) -> LiftedEnergy:
        return energy.weighted(state)

    def update(self, energy: LiftedEnergy, state: Any, states: States, z: States) -> Any:
        terms = energy.terms(states, z)
        given = self.tolerance

        def bound(name: str) -> float:
            return given.get(name, 0.0) if isinstance(given, Mapping) else given

        return {
            name: jnp.maximum(self.smallest, old + self.rate * (terms[name] - bound(name)))
            for name, old in state.items()
        }


class ADMM(AbstractMultipliers):
    r"""Scaled multipliers on the nodes with identity activation: $p_j \leftarrow p_j + u_j - z_j$.

    The node's penalty becomes $\frac{w_j}2\|u_j + p_j - z_j\|^2$, the augmented Lagrangian of
    $u_j = z_j$ up to a constant. In a three-split graph these are the nodes $v_j = W_ju_{j-1}+b_j$.

    Raises:
        ValueError: if no hidden node has the identity as activation.

    Source: Taylor et al. (2016); Boyd et al. (2011) for the scaled form.
    """

    def init(self, energy: LiftedEnergy, states: States) -> Any:
        hidden = energy.network.nodes[:-1]
        names = [n.name for n in hidden if isinstance(n.potential, Identity)]
        if not names:
            raise ValueError(
                "multipliers=ADMM() needs hidden nodes with the identity as activation; split each "
                "layer with networks.split"
            )
        return {name: jnp.zeros_like(states[name]) for name in names}

    def at(self, energy: LiftedEnergy, state: Any) -> LiftedEnergy:
        return energy.offset(state)

    def update(self, energy: LiftedEnergy, state: Any, states: States, z: States) -> Any:
        # z is already less the old multiplier.
        return {name: states[name] - z[name] for name in state}
