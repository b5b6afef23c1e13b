"""Proximal gradient updates of the activations."""

import jax
from jaxtyping import Array

from liftax.affine import adjoint
from liftax.blocks._curvature import Probes, state_curvature
from liftax.blocks._order import Groups
from liftax.blocks._step_size import AbstractStepSize
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

Z = dict[str, Array]


def state_gradient(energy: LiftedEnergy, params: Params, states: States, z: Z, name: str) -> Array:
    r"""$g_j = \sum_c (\partial f_c/\partial u_j)^\top w_c\nabla_z C_c(u_c, z_c)$, per sample."""
    signals = {c.name: energy.residual(states, z, c.name) for c, _ in energy.network.children(name)}
    return pulled_back(energy, params, states, signals, name)


def pulled_back(
    energy: LiftedEnergy, params: Params, states: States, signals: Z, name: str
) -> Array:
    """Sum over the children of the adjoint of their map, applied to their signal."""
    pulls = [
        adjoint(
            child.affine,
            params[child.name],
            tuple(states[p] for p in child.parents),
            position,
            signals[child.name],
        )
        for child, position in energy.network.children(name)
    ]
    return sum(pulls[1:], start=pulls[0])


def state_step(
    energy: LiftedEnergy, u: Array, z: Array, gradient: Array, name: str, tau: float | Array
) -> Array:
    r"""One proximal gradient step on the activation of a node, for every sample:

    $$u_j \leftarrow \mathrm{prox}_{\tau(w_j\kappa_j + s_j)}(u_j - \tau(g_j - w_j c_j(z_j))).$$

    With Bregman and lifted penalties $\kappa=\varphi$, $c(z)=z$; with MAC-QP
    $\kappa=\frac12\|\cdot\|^2$, $c=\sigma$. $\tau$ multiplies the energy of one sample. An $\ell_1$
    activity term is applied first, which is exact for a convex $f$ with its minimum at 0:
    $\mathrm{prox}_{f+\alpha|\cdot|} = \mathrm{prox}_f\circ\mathrm{prox}_{\alpha|\cdot|}$.

    Source: arXiv 2510.09796, section 4.
    """
    potential, penalty = energy.network.node(name).potential, energy.penalty_at(name)
    weight = energy.weight(name)
    centre = jax.vmap(lambda z: penalty.linear(potential, z))(z)
    v = u - tau * (gradient - weight * centre)
    if name in energy.activity:
        v = jax.vmap(lambda v: energy.activity[name].prox(v, tau))(v)
    return jax.vmap(lambda v: penalty.prox(potential, v, tau * weight))(v)


def sweep_states(
    energy: LiftedEnergy,
    groups: Groups,
    step: AbstractStepSize,
    params: Params,
    states: States,
    z: Z,
    probes: Probes,
) -> tuple[States, Z, Probes]:
    """Update every group once, in order; recomputes $z$ only where parents moved."""
    fresh: dict[str, Array] = dict(z)

    def current(name: str) -> Array:
        if name not in fresh:
            fresh[name] = energy.network.preactivation(params, states, name)
        return fresh[name]

    for group in groups:
        taus, probes = step.sizes(
            group,
            lambda p, k, group=group: state_curvature(energy, params, p, group, k),
            probes,
        )
        moved = {}
        for name in group:
            needed = {c.name: current(c.name) for c, _ in energy.network.children(name)}
            gradient = state_gradient(energy, params, states, needed, name)
            u, z_own = states[name], current(name)
            moved[name] = state_step(energy, u, z_own, gradient, name, taus[name])
        states = {**states, **moved}
        for name in moved:
            for child, _ in energy.network.children(name):
                fresh.pop(child.name, None)
    return states, {n.name: current(n.name) for n in energy.network.nodes}, probes
