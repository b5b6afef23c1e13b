"""The metric in which the gradient of the parameters is taken."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array

from liftax.blocks._design import inner_gram, outer_gram, split, stacked
from liftax.blocks._parameter_block import parameter_gradient
from liftax.blocks._solve import LARGEST, cholesky_solve, newton_step
from liftax.networks import Node, Params, States
from liftax.objectives import LiftedEnergy


class AbstractMetric(eqx.Module):
    """How signals at the pre-activations become a gradient of the parameters."""

    @abc.abstractmethod
    def gradient(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        signals: States,
    ) -> Params:
        r"""From signals $r_j$; for tied parameters under their owner's name."""


class Euclidean(AbstractMetric):
    r"""The gradient, $\frac1s\sum_i(\partial f_j/\partial\theta_j)^\top r_j^i$."""

    def gradient(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        signals: States,
    ) -> Params:
        return parameter_gradient(energy, params, states, signals)


class Implicit(AbstractMetric):
    r"""The implicit step $\Delta_j = (J_j^\top J_j/s + I/\tau)^{-1}G_j$, downwards.

    With $J_j = \partial f_j/\partial\theta_j$ it minimises the majorised energy
    $\frac1{2s}\|J\Delta - r\|^2 + \frac1{2\tau}\|\Delta\|^2$ (a penalty with a 1-smooth conjugate
    is below it). For a dense layer with the batch in the rows of
    $A$ (and ones for the bias) $\Delta W = A^\top(AA^\top + \frac s\tau I)^{-1}R$ if there are
    fewer rows than columns, else $(A^\top A + \frac s\tau I)^{-1}A^\top R$; for a convolution the
    same with its patches in the rows; for other maps conjugate gradients. As τ → 0 it tends to
    τ times the gradient; as τ grows to a least-squares fit of the signals.

    Attributes:
        step_size: τ.

    Raises:
        ValueError: unless τ is positive.

    Source: Toulis & Airoldi (2017) for implicit steps; Frerix et al. (2018) for layers.
    """

    step_size: float = 10.0

    def __check_init__(self) -> None:
        if not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size}")

    def gradient(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        signals: States,
    ) -> Params:
        nodes = energy.network.nodes
        shared = {node.tied_to for node in nodes} - {None}
        tall, wide, rest = {}, {}, []
        for node in nodes:
            inputs, signal = tuple(states[p] for p in node.parents), signals[node.name]
            own = node.name not in shared and node.tied_to is None
            gram = outer_gram(node.affine, inputs) if own else None
            inner = inner_gram(node.affine, inputs) if own and gram is None else None
            if gram is not None and len(gram) <= LARGEST:
                # AᵀS is the gradient for the signals S.
                found = self._solve(gram, signal.reshape(len(gram), -1), len(signal))
                wide[node.name] = len(signal) * found.reshape(signal.shape)
            elif inner is not None and len(inner) <= LARGEST:
                tall[node.name] = inner
            else:
                rest.append(node)
        slopes = parameter_gradient(energy, params, states, {name: signals[name] for name in tall})
        steps = {}
        for name, gram in tall.items():
            samples = len(signals[name])
            step = self._solve(gram, samples * stacked(slopes[name]), samples)
            steps[name] = split(step, params[name])
        of_wide = parameter_gradient(energy, params, states, wide)
        owners = {node.owner for node in rest if jax.tree.leaves(params[node.owner])}
        if owners:
            slopes = parameter_gradient(energy, params, states, signals)
            of_rest = {name: slopes[name] for name in sorted(owners)}
            damping = dict.fromkeys(of_rest, 1 / self.step_size)
            steps |= newton_step(energy, params, states, of_rest, damping, weighted=False)
        steps |= of_wide
        return {name: steps.get(name, params[name]) for name in _owners(params, nodes)}

    def _solve(self, gram: Array, right: Array, samples: int) -> Array:
        return cholesky_solve(gram, samples / self.step_size, right)


def _owners(params: Params, nodes: tuple[Node, ...]) -> list[str]:
    return [node.name for node in nodes if node.tied_to is None and node.name in params]
