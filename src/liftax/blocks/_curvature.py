"""Lipschitz constants of the blocks, by power iteration from a carried vector."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax import _tree
from liftax._iterate import repeat
from liftax.affine import AbstractAffine, adjoint, parameter_adjoint
from liftax.networks import Network, Node, Params, States
from liftax.objectives import LiftedEnergy

Probes = dict[str, Any]


def state_probes(network: Network, key: PRNGKeyArray, dtype: Any) -> Probes:
    """A random start vector for every edge of the graph, in the shape of the parent's example."""
    shapes = network.shapes
    probes = {
        _edge(node, position): jnp.zeros((1, *shapes[parent]), dtype)
        for node in network.nodes
        for position, parent in enumerate(node.parents)
    }
    return _tree.normal(key, probes)


def parameter_probes(network: Network, key: PRNGKeyArray, dtype: Any) -> Probes:
    """A random start vector for every node with parameters, in the shape of one output channel's."""
    shapes = network.shapes
    probes = {
        node.name: _thin(node).init(key, *(shapes[p] for p in node.parents), dtype=dtype)
        for node in network.nodes
    }
    return _tree.normal(key, {name: probe for name, probe in probes.items() if jax.tree.leaves(probe)})


def state_curvature(
    energy: LiftedEnergy, params: Params, probes: Probes, name: str, group: tuple[str, ...], steps: int
) -> tuple[Float[Array, ""], Probes]:
    r"""Lipschitz constant in $u_j$ of the energy's smooth part, $\sum_c w_c\|\partial f_c/\partial u_j\|^2$.

    The nodes of `group` move at the same time. For those that interact with $j$ the norms of the mixed
    second derivatives are added (Gershgorin): $w_j\|\partial f_j/\partial u_i\|$ for a parent $i$,
    $w_i\|\partial f_i/\partial u_j\|$ for a child, $w_c\|\partial f_c/\partial u_i\|\|\partial
    f_c/\partial u_j\|$ for a shared child $c$. Then the simultaneous step is a proximal gradient step
    of the joint energy, and descends as the single ones do.

    Returns:
        The constant, for one sample, and the probes after `steps` power iterations.
    """
    network = energy.network
    moving = set(group) - {name}

    def norm(node: Node, position: int) -> Array:
        edge = _edge(node, position)
        square, probes[edge] = _edge_norm(network, params, node, position, probes[edge], steps)
        return jnp.sqrt(square)

    probes = dict(probes)
    total = jnp.zeros((), probes[_edge(network.nodes[0], 0)].dtype)
    for child, position in network.children(name):
        own = norm(child, position)
        others = [k for k, p in enumerate(child.parents) if p in moving]
        coupled = sum((norm(child, k) for k in others), start=own)
        total = total + energy.weight(child.name) * own * coupled
        if child.name in moving:
            total = total + energy.weight(child.name) * own
    node = network.node(name)
    for position, parent in enumerate(node.parents):
        if parent in moving:
            total = total + energy.weight(name) * norm(node, position)
    return total, probes


def parameter_curvature(
    energy: LiftedEnergy, states: States, probes: Probes, name: str, steps: int
) -> tuple[Float[Array, ""], Probes]:
    r"""Lipschitz constant in $\theta_j$, $w_j\|\partial f_j/\partial\theta_j\|^2/s$ (dense: $\|UU^\top\|/s$)."""
    node = energy.network.node(name)
    thin = _thin(node)
    inputs = tuple(states[p] for p in node.parents)
    samples = inputs[0].shape[0]

    def squared(theta: Params) -> Params:
        gradient = parameter_adjoint(thin, theta, inputs, thin.apply(theta, *inputs))
        return jax.tree.map(lambda g: g / samples, gradient)

    norm, probe = _power(squared, probes[name], steps)
    return energy.weight(name) * norm, {**probes, name: probe}


def _edge(node: Node, position: int) -> str:
    return f"{node.parents[position]}->{node.name}.{position}"


def _thin(node: Node) -> AbstractAffine:
    return node.affine.thin()


def _edge_norm(
    network: Network, params: Params, node: Node, position: int, probe: Array, steps: int
) -> tuple[Array, Array]:
    shapes = network.shapes
    rest = tuple(jnp.zeros((1, *shapes[p]), probe.dtype) for p in node.parents)

    def slot(u: Array) -> Array:
        inputs = (*rest[:position], u, *rest[position + 1 :])
        return node.affine.apply(params[node.name], *inputs)

    def squared(u: Array) -> Array:
        return adjoint(node.affine, params[node.name], rest, position, slot(u) - offset)

    offset = slot(rest[position])
    return _power(squared, probe, steps)


def _power(
    operator: Callable[[Any], Any], vector: Any, steps: int
) -> tuple[Float[Array, ""], Any]:
    """Largest eigenvalue of a positive semi-definite operator, from below.

    A zero operator gives a tiny constant and leaves the vector. An estimate that is up to two times too
    small still gives steps that descend (proximal gradient descends for every step below 2/L).
    """
    tiny = jnp.finfo(jax.tree.leaves(vector)[0].dtype).tiny

    def step(carry: tuple[Any, Array]) -> tuple[Any, Array]:
        unit, _ = carry
        image = operator(unit)
        size = _tree.norm(image)
        scale = 1 / jnp.maximum(size, tiny)
        new = jax.tree.map(lambda i, v: jnp.where(size > tiny, i * scale, v), image, unit)
        return new, size

    size = _tree.norm(vector)
    unit = jax.tree.map(lambda v: v / jnp.maximum(size, tiny), vector)
    start = (unit, jnp.zeros_like(size))
    unit, norm = step(start) if steps == 1 else repeat(step, start, steps)
    return jnp.maximum(norm, jnp.sqrt(tiny)), unit
