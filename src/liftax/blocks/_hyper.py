"""Gradients in the hyper-parameters that potentials learn."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from liftax._fusion import apart
from liftax.networks import Params, States, potential_key
from liftax.objectives import LiftedEnergy, scaled
from liftax.potentials import Ball, Clip


def hyper_gradient(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    z: States,
    duals: States | None = None,
    factor: float = 1.0,
) -> Params:
    r"""$\frac cs\sum_i\partial_\rho\,w_j C_j$ by node, without a derivative of σ in $z$.

    For the Bregman penalty $\partial_\rho\Psi_\rho(u) - \partial_\rho\Psi_\rho(\sigma(z))$ (the
    envelope theorem). With `duals` $\tilde z\in\partial\varphi(u)$ the first term is taken as
    $-\partial_\rho\varphi^*(\tilde z)$, which also serves where the domain depends on ρ. Keys as in
    the parameters, $c$ is `factor`.

    Raises:
        ValueError: without duals, for the levels of `Clip` and the radius of `Ball`: they bound
            the domain, which given activations fill.
    """
    found = {}
    for node in energy.network.nodes:
        if not node.learn:
            continue
        if duals is None and isinstance(node.potential, Clip | Ball):
            kind = type(node.potential).__name__
            raise ValueError(
                f"node {node.name!r} learns the domain of {kind}, which block descent cannot move "
                "at given activations; use OneSweep, or learn a threshold"
            )
        key, name = potential_key(node.name), node.name
        dual = z[name] if duals is None else duals[name]

        def value(values: Params, node=node, name=name, dual=dual) -> Array:
            def cost(values: Params, u: Array, z: Array, dual: Array) -> Array:
                given = None if duals is None else dual
                return energy.penalty.sensitivity(node.learnt(values).potential, u, z, given)

            each = jax.vmap(cost) if node.copies else cost
            axis = 0 if node.potential.separable else None
            return jnp.sum(jax.vmap(each, (axis, 0, 0, 0))(values, states[name], z[name], dual))

        def spread(values: Params, node=node, shape=z[name].shape) -> Params:
            if not node.potential.separable:
                return values
            return jax.tree.map(lambda leaf: _spread(leaf, shape, node.copies), values)

        # With a value for every entry, what pulls at these is summed up in one pass.
        values, pull = jax.vjp(spread, params[key])
        slope = jax.tree.map(apart, jax.grad(value)(values))
        scale = scaled(energy.weight(name), jnp.asarray(factor / len(z[name]), z[name].dtype))
        found[key] = jax.tree.map(lambda g, c=scale: c * g, pull(slope)[0])
    return found


def hyper_curvature(energy: LiftedEnergy, params: Params, z: States) -> dict[str, Array]:
    """Second derivatives of φ* are at most 1 in a threshold or level: entries that share one.

    For the slope of a leaky ReLU, where Ψ curves too, a guide only.
    """
    found = {}
    for node in energy.network.nodes:
        if node.learn:
            key, own = potential_key(node.name), z[node.name]
            sharing = own[0].size / min(leaf.size for leaf in jax.tree.leaves(params[key]))
            found[key] = jnp.asarray(energy.weight(node.name) * sharing, own.dtype)
    return found


def _spread(leaf: Array, shape: tuple[int, ...], copies: int) -> Array:
    """A hyper-parameter for every entry of a batch; in a stack every copy has its own."""
    ones = (1,) * (len(shape) - 1 - leaf.ndim) if copies else ()
    return jnp.broadcast_to(leaf.reshape(*leaf.shape[:1], *ones, *leaf.shape[1:]), shape)
