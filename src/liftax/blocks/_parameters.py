"""Proximal gradient updates of the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from liftax.affine import parameter_adjoint
from liftax.blocks._curvature import Probes, parameter_curvature
from liftax.blocks._step_size import AbstractStepSize
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy


def parameter_gradient(
    energy: LiftedEnergy, params: Params, states: States, signals: dict[str, Array]
) -> Params:
    r"""$G_j = \frac1s\sum_i(\partial f_j/\partial\theta_j)^\top r_j^i$ for the signals $r_j$ of all nodes."""
    scale = 1 / states[INPUT].shape[0]
    gradients = {}
    for node in energy.network.nodes:
        inputs = tuple(states[p] for p in node.parents)
        # Scaling the signal instead of the gradient touches fewer numbers.
        signal = scale * signals[node.name]
        gradients[node.name] = parameter_adjoint(node.affine, params[node.name], inputs, signal)
    return gradients


def sweep_parameters(
    energy: LiftedEnergy,
    step: AbstractStepSize,
    params: Params,
    states: States,
    z: dict[str, Array],
    probes: Probes,
    anchor: tuple[Params, Any] | None = None,
) -> tuple[Params, Probes]:
    r"""One proximal gradient step on every $\theta_j$ (given $U$ they are independent of each other).

    With an `anchor` $(\Theta^k, \tau)$ the energy has $\frac1{2\tau}\|\Theta-\Theta^k\|^2$ added, by its
    prox: $\theta \leftarrow (\theta - \gamma G + \frac\gamma\tau\theta^k)/(1 + \frac\gamma\tau)$.
    """
    signals = {n.name: energy.residual(states, z, n.name) for n in energy.network.nodes}
    gradients = parameter_gradient(energy, params, states, signals)
    new = {}
    for name, theta in params.items():
        if not jax.tree.leaves(theta):
            new[name] = theta
            continue
        gamma, probes = step.size(
            lambda p, k, name=name: parameter_curvature(energy, states, p, name, k), probes
        )
        moved = jax.tree.map(lambda t, g, gamma=gamma: t - gamma * g, theta, gradients[name])
        if anchor is not None:
            pull = gamma / anchor[1]
            moved = jax.tree.map(
                lambda t, a, pull=pull: (t + pull * a) / (1 + pull), moved, anchor[0][name]
            )
        dtypes = jax.tree.map(lambda t: t.dtype, theta)
        new[name] = jax.tree.map(lambda m, d: jnp.asarray(m, d), moved, dtypes)
    return new, probes
