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
    energy: LiftedEnergy,
    params: Params,
    states: States,
    signals: dict[str, Array],
    factor: float = 1.0,
) -> Params:
    r"""$G_j = \frac{c}s\sum_i(\partial f_j/\partial\theta_j)^\top r_j^i$, $c$ being `factor`."""
    scale = factor / states[INPUT].shape[0]
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
    r"""One proximal gradient step on every $\theta_j$ (given $U$ they do not interact).

    With an `anchor` $(\Theta^k, \tau)$ the energy has $\frac1{2\tau}\|\Theta-\Theta^k\|^2$ added,
    by its prox: $\theta \leftarrow (\theta - \gamma G + c\theta^k)/(1 + c)$ with $c = \gamma/\tau$.
    """
    signals = {n.name: energy.residual(states, z, n.name) for n in energy.network.nodes}
    gradients = parameter_gradient(energy, params, states, signals)
    gammas, probes = step.sizes(
        probes.keys(), lambda p, k: parameter_curvature(energy, states, p, k), probes
    )
    new = dict(params)
    for name, gamma in gammas.items():
        # With no anchor the pull is zero and the parameters are their own anchor.
        reference, pull = (
            (params[name], 0.0) if anchor is None else (anchor[0][name], gamma / anchor[1])
        )

        def update(t: Array, g: Array, a: Array, gamma=gamma, pull=pull) -> Array:
            return jnp.asarray((t - gamma * g + pull * a) / (1 + pull), t.dtype)

        new[name] = jax.tree.map(update, params[name], gradients[name], reference)
    return new, probes
