"""Some nodes' activations as a block."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine import AbstractBilinear, adjoint
from liftax.blocks._block import WARM_UP, AbstractBlock, Constants, Probes, Steps, Variables
from liftax.blocks._curvature import edges, state_curvature, state_probes
from liftax.blocks._solve import solve_states
from liftax.networks import Node, Params, States
from liftax.objectives import LiftedEnergy, scaled
from liftax.potentials import AbstractPotential


class StateBlock(AbstractBlock):
    r"""The activations of a group of nodes, for the energy of one sample (summed, not averaged).

    $$f(u) = \sum_c w_c\,C_c(u_c, z_c) - \sum_j w_j\langle u_j, c_j(z_j)\rangle,\qquad
      h(u) = \sum_j w_j\kappa_j(u_j) + s_j(u_j)$$

    with the children $c$ of the nodes $j$; where these move too, $d_c(z_c)$ in place of $C_c$. The
    proximal gradient step of one node is

    $$u_j \leftarrow \mathrm{prox}_{\tau(w_j\kappa_j + s_j)}(u_j - \tau(g_j - w_j c_j(z_j))).$$

    With Bregman and lifted penalties $\kappa=\varphi$, $c(z)=z$; with MAC-QP
    $\kappa=\frac12\|\cdot\|^2$, $c=\sigma$.

    `warm` are probes of these nodes, and perhaps others, that were iterated on already. Where
    `loud` nodes are named, the penalties of all others have no slope at the current variables.

    Source: arXiv 2510.09796, section 4.
    """

    x: Variables
    energy: LiftedEnergy
    params: Params
    given: States
    z: States
    warm: Probes | None
    loud: frozenset[str] | None

    def __init__(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        z: States,
        group: tuple[str, ...],
        warm: Probes | None = None,
        loud: frozenset[str] | None = None,
    ):
        self.x = {name: states[name] for name in group}
        self.energy, self.params, self.given, self.z = energy, params, states, z
        self.warm, self.loud = warm, loud

    @property
    def steady(self) -> bool:
        children = [c for name in self.x for c, _ in self.energy.network.children(name)]
        return not any(isinstance(child.affine, AbstractBilinear) for child in children)

    def value(self, x: Variables) -> Float[Array, ""]:
        states, z = self._at(x)
        total = jnp.zeros((), jax.tree.leaves(x)[0].dtype)
        for node in self._touched():
            loss, penalty = self.energy.loss_at(node.name), self.energy.penalty
            cost: Any = penalty.smooth if node.name in x else loss.value
            terms = node.over(cost)(states[node.name], z[node.name])
            total = total + scaled(self.energy.weight(node.name), jnp.sum(terms))
        return total

    def gradient(self, x: Variables) -> Variables:
        states, z = self._at(x)
        return state_gradient(self.energy, self.params, states, z, tuple(x), self.loud)

    def prox(self, v: Variables, steps: Steps) -> Variables:
        return {name: _prox(self.energy, name, v[name], steps[name]) for name in v}

    def probes(self, key: PRNGKeyArray) -> Probes:
        network, group = self.energy.network, tuple(self.x)
        if self.warm is not None:
            return {edge: self.warm[edge] for edge in edges(network, group)}
        dtype = jax.tree.leaves(self.x)[0].dtype
        return self.curvature(state_probes(network, key, dtype, group), WARM_UP)[1]

    def curvature(self, probes: Probes, iterations: int) -> tuple[Constants, Probes]:
        group = tuple(self.x)
        return state_curvature(self.energy, self.params, self.given, probes, group, iterations)

    def solve(self, proximal: dict[str, float]) -> Variables:
        return solve_states(
            self.energy,
            self.params,
            self.given,
            self.z,
            tuple(self.x),
            proximal,
            self.gradient(self.x),
        )

    def _at(self, x: Variables) -> tuple[States, States]:
        """All states, and the pre-activations of the nodes that have one among their parents."""
        if x is self.x:
            return self.given, self.z
        states, network = {**self.given, **x}, self.energy.network
        below = {child.name for name in x for child, _ in network.children(name)}
        moved = {n: self.energy.preactivation(self.params, states, n) for n in below}
        return states, {**self.z, **moved}

    def _touched(self) -> list[Node]:
        network = self.energy.network
        found = {name: network.node(name) for name in self.x}
        for name in self.x:
            found |= {child.name: child for child, _ in network.children(name)}
        return list(found.values())


def state_gradient(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    z: States,
    group: tuple[str, ...],
    loud: frozenset[str] | None = None,
) -> Variables:
    r"""$g_j - w_j c_j(z_j)$ with $g_j = \sum_c(\partial f_c/\partial u_j)^\top w_c\nabla_zC_c$.

    Children that are not among the `loud` nodes, if these are given, have $\nabla_zC_c = 0$.
    """
    signals = {}
    for name in group:
        for child, _ in energy.network.children(name):
            if child.name not in signals and (loud is None or child.name in loud):
                signals[child.name] = energy.residual(states, z, child.name)
    return {
        name: pulled_back(energy, params, states, signals, name) - target(energy, z[name], name)
        for name in group
    }


def target(energy: LiftedEnergy, z: Array, name: str) -> Array:
    r"""$w_j c_j(z_j)$: what the linear term of a node's penalty pulls its activation to."""
    linear = energy.network.node(name).over(energy.penalty.linear)
    return scaled(energy.weight(name), linear(z))


def pulled_back(
    energy: LiftedEnergy, params: Params, states: States, signals: States, name: str
) -> Array:
    """Sum over the children with a signal of the adjoint of their map, applied to that."""
    pulls = [
        adjoint(
            child.affine,
            params[child.owner],
            tuple(states[p] for p in child.parents),
            position,
            signals[child.name],
        )
        for child, position in energy.network.children(name)
        if child.name in signals
    ]
    return sum(pulls[1:], start=pulls[0]) if pulls else jnp.zeros_like(states[name])


def _prox(energy: LiftedEnergy, name: str, v: Array, tau: Any) -> Array:
    """The prox of a node's penalty and activity term, for every sample.

    An l1 activity term is applied first, which is exact for a convex f with its minimum at 0:
    prox of f + α|.| is the prox of f after that of α|.|.
    """
    node, penalty = energy.network.node(name), energy.penalty
    tau = jnp.asarray(tau, v.dtype)
    every = tau.ndim == v.ndim
    if every and not node.potential.separable:
        raise ValueError(
            f"node {name!r} has the activation {type(node.potential).__name__}, which is not "
            "separable: a step for every entry (Adam) has no prox there; use Plain() or Nesterov()"
        )
    if node.copies and not every:  # one for all copies, or one each
        tau = jnp.broadcast_to(tau.reshape(-1), node.copies)

    def moved(potential: AbstractPotential, v: Array, t: Array) -> Array:
        v = energy.activity[name].prox(v, t) if name in energy.activity else v
        return penalty.prox(potential, v, scaled(energy.weight(name), t))

    return node.over(moved, (0, 0 if every else None))(v, tau)
