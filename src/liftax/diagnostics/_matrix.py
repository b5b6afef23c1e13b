"""Second derivatives of an energy in one block, as products with vectors."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.diagnostics._variable import Variable
from liftax.networks import States
from liftax.objectives import LiftedEnergy, scaled
from liftax.penalties import AbstractPenalty

Product = Callable[[Array], Array]


def hessian(energy: LiftedEnergy, states: States, block: Variable) -> Product:
    r"""$\nabla_v^2E$; for activations $s\,\nabla_v^2E$."""

    def value(rows: Array) -> Float[Array, ""]:
        params, moved = block.put(rows)
        return _factor(states, block) * energy.value(params, moved)

    return jax.linearize(jax.grad(value), block.point)[1]


def gauss_newton(energy: LiftedEnergy, states: States, block: Variable) -> Product:
    r"""$\frac1s\sum_i\sum_j J_j^\top D_jJ_j + \nabla_v^2R$; for activations $s$ times that.

    $R$ is what does not depend on $z$ through $v$: regularisers, activity terms, a node's own
    penalty as a function of its activation.
    """
    samples = len(states[energy.network.output])
    params, states = block.put(block.point)
    energy = energy.at(params)

    def images(rows: Array) -> States:
        params, moved = block.put(rows)
        return {name: energy.preactivation(params, moved, name) for name in block.images}

    z, pull = jax.vjp(images, block.point)
    # Layers may state their adjoint only: the map itself is the adjoint's adjoint.
    push = jax.linear_transpose(lambda r: pull(r)[0], z)
    feasible = {name: _feasible(energy, states, z, name) for name in z}

    def residuals(z: States) -> States:
        return {name: energy.residual(feasible, z, name) for name in z}

    weigh = jax.linearize(residuals, z)[1]
    own = _rest(energy, states, block)
    share = _factor(states, block) / samples

    def product(rows: Array) -> Array:
        return share * pull(weigh(push(rows)[0]))[0] + own(rows)

    return product


def _feasible(energy: LiftedEnergy, states: States, z: States, name: str) -> Array:
    """Where a penalty has no second derivative of σ: σ(z). Other losses are convex in z."""
    if not isinstance(energy.loss_at(name), AbstractPenalty):
        return states[name]
    return jax.vmap(energy.network.node(name).potential.activation)(z[name])


def _rest(energy: LiftedEnergy, states: States, block: Variable) -> Product:
    """The second derivative of $R$."""
    name = block.state

    def value(rows: Array) -> Float[Array, ""]:
        params, moved = block.put(rows)
        total = _factor(states, block) * energy.total({}, moved, params)
        if name is None:
            return total
        potential, penalty = energy.network.node(name).potential, energy.loss_at(name)
        z = energy.preactivation(params, moved, name)
        costs = jax.vmap(lambda u, z: penalty.value(potential, u, z))(moved[name], z)
        return total + scaled(energy.weight(name), jnp.sum(costs))

    return jax.linearize(jax.grad(value), block.point)[1]


def _factor(states: States, block: Variable) -> int:
    return 1 if block.state is None else len(states[block.state])
