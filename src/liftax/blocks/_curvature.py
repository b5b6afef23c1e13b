"""Lipschitz constants of the blocks, by power iteration from a carried vector."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax import _tree
from liftax._iterate import repeat
from liftax.affine import AbstractBilinear, adjoint, parameter_adjoint
from liftax.blocks._block import Constants, Probes
from liftax.networks import INPUT, Network, Node, Params, States
from liftax.objectives import LiftedEnergy, scaled

# Fewer operators of one kind, or more entries in all, are iterated on one by one: a stack of them
# is a copy.
_MANY, _LARGEST = 8, 2**22


class _Gram(NamedTuple):
    """A positive semi-definite operator, by its data.

    Attributes:
        apply: (data, vector) → image.
        data: of this operator.
        kind: what else it is made of, a map first; operators of equal kinds have the same `apply`.
    """

    apply: Callable[[Any, Any], Any]
    data: Any
    kind: tuple[Any, ...]

    def like(self, other: "_Gram") -> bool:
        """Whether both could be parts of one stack."""
        if self.kind[1:] != other.kind[1:]:
            return False
        shapes = [
            jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), gram.data) for gram in (self, other)
        ]
        # Maps with arrays in them give no plain answer.
        return shapes[0] == shapes[1] and eqx.tree_equal(self.kind[0], other.kind[0]) is True


def state_probes(network: Network, key: PRNGKeyArray, dtype: Any, group: tuple[str, ...]) -> Probes:
    """A random start vector for every edge from the group, in the shape of the parent's example.

    Bilinear maps have none: they bound their norms themselves.
    """
    shapes, found = network.shapes, edges(network, group)
    probes = {edge: jnp.zeros((1, *shapes[parent]), dtype) for edge, parent in found.items()}
    return _tree.normal(key, probes)


def edges(network: Network, group: tuple[str, ...]) -> dict[str, str]:
    """Names of the edges that leave nodes of the group, with the parent; without bilinear maps."""
    return {
        _edge(node, position): parent
        for node in network.nodes
        for position, parent in enumerate(node.parents)
        if parent in group and not isinstance(node.affine, AbstractBilinear)
    }


def parameter_probes(network: Network, key: PRNGKeyArray, dtype: Any) -> Probes:
    """A random start vector for every node with parameters, shaped for one output channel."""
    shapes = network.shapes
    probes = {
        node.name: node.affine.thin().init(key, *(shapes[p] for p in node.parents), dtype=dtype)
        for node in network.nodes
    }
    return _tree.normal(
        key, {name: probe for name, probe in probes.items() if jax.tree.leaves(probe)}
    )


def state_curvature(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    probes: Probes,
    group: tuple[str, ...],
    steps: int,
) -> tuple[Constants, Probes]:
    r"""Lipschitz constants in the $u_j$ of a group of nodes that move at the same time.

    For one node, $L_j = \sum_c w_c\|\partial f_c/\partial u_j\|^2$ over its children. For nodes of
    the group that interact with $j$ the norms of the mixed second derivatives are added
    (Gershgorin): $w_j\|\partial f_j/\partial u_i\|$ for a parent $i$,
    $w_i\|\partial f_i/\partial u_j\|$ for a child,
    $w_c\|\partial f_c/\partial u_i\|\|\partial f_c/\partial u_j\|$ for a shared child $c$. Then the
    simultaneous step is a proximal gradient step of the joint energy, and descends as single ones
    do.

    Returns:
        The constants, for the energy of one sample, and the probes after `steps` power iterations.
    """
    network = energy.network
    norms, probes = _edge_norms(network, params, states, probes, group, steps)
    constants = {}
    for name in group:
        moving = set(group) - {name}
        total = jnp.zeros((), jax.tree.leaves(norms)[0].dtype)
        for child, position in network.children(name):
            own = norms[_edge(child, position)]
            # A node may be a parent twice.
            others = [k for k, p in enumerate(child.parents) if p in group and k != position]
            coupled = [norms[_edge(child, k)] for k in others]
            if child.name in moving:
                coupled.append(jnp.ones_like(own))
            # A contrastive phase may weight the loss negatively.
            factor = abs(energy.weight(child.name)) * energy.loss_at(child.name).smoothness
            total = total + scaled(factor, own * sum(coupled, start=own))
        # The input, a block when a network is inverted, has no parents.
        parents = () if name == INPUT else network.node(name).parents
        for position, parent in enumerate(parents):
            if parent in moving:
                total = total + scaled(
                    energy.weight(name), norms[_edge(network.node(name), position)]
                )
        constants[name] = total
    return constants, probes


def parameter_curvature(
    energy: LiftedEnergy, states: States, probes: Probes, steps: int
) -> tuple[Constants, Probes]:
    r"""Lipschitz constants in the $\theta_j$, $w_j\|\partial f_j/\partial\theta_j\|^2/s$.

    For a dense layer with the batch $U$ in its rows that is $w_j\|UU^\top\|/s$. Under the name of
    parameters that several nodes use stands the sum of their constants.
    """
    network, constants = energy.network, {}
    operators = {name: _design(network.node(name), states) for name in probes}
    found = _power(operators, probes, steps)
    for name, (norm, _) in found.items():
        owner = network.node(name).owner
        own = scaled(energy.weight(name) * energy.loss_at(name).smoothness, norm)
        constants[owner] = constants[owner] + own if owner in constants else own
    return constants, {name: unit for name, (_, unit) in found.items()}


def _design(node: Node, states: States) -> _Gram:
    """Gram operator of a node's parameters, for one output channel, as a mean over samples."""
    thin, inputs = node.affine.thin(), tuple(states[p] for p in node.parents)
    samples = inputs[0].shape[0]

    def squared(inputs: tuple[Array, ...], theta: Params) -> Params:
        gradient = parameter_adjoint(thin, theta, inputs, thin.apply(theta, *inputs))
        return jax.tree.map(lambda g: g / samples, gradient)

    return _Gram(squared, inputs, (thin,))


def _edge(node: Node, position: int) -> str:
    return f"{node.parents[position]}->{node.name}.{position}"


def _edge_norms(
    network: Network,
    params: Params,
    states: States,
    probes: Probes,
    group: tuple[str, ...],
    steps: int,
) -> tuple[Constants, Probes]:
    """Norms of the maps along all edges that leave or join nodes of the group."""
    maps, norms = {}, {}
    for node in network.nodes:
        for position, parent in enumerate(node.parents):
            if parent not in group:
                continue
            if isinstance(node.affine, AbstractBilinear):
                inputs = (states[node.parents[0]], states[node.parents[1]])
                norms[_edge(node, position)] = jnp.max(node.affine.norms(inputs, position))
            else:
                maps[_edge(node, position)] = _along(network, params, node, position)
    found = _power(maps, {edge: probes[edge] for edge in maps}, steps)
    norms |= {edge: jnp.sqrt(square) for edge, (square, _) in found.items()}
    return norms, {**probes, **{edge: unit for edge, (_, unit) in found.items()}}


def _along(network: Network, params: Params, node: Node, position: int) -> _Gram:
    """The map along one edge, followed by its adjoint."""
    shapes, affine = network.shapes, node.affine
    given = tuple(shapes[p] for p in node.parents)

    def squared(theta: Any, u: Array) -> Array:
        rest = tuple(jnp.zeros((1, *shape), u.dtype) for shape in given)
        inputs = (*rest[:position], u, *rest[position + 1 :])
        linear = affine.apply(theta, *inputs) - affine.apply(theta, *rest)
        return adjoint(affine, theta, rest, position, linear)

    return _Gram(squared, params[node.owner], (affine, given, position))


def _stacks(operators: dict[str, _Gram]) -> list[tuple[str, ...]]:
    """Names by operators that differ in their data only, if there are enough to be worth it."""
    kinds: list[list[str]] = []
    for name, gram in operators.items():
        for known in kinds:
            if gram.like(operators[known[0]]):
                known.append(name)
                break
        else:
            kinds.append([name])
    found: list[tuple[str, ...]] = []
    for names in kinds:
        size = sum(leaf.size for leaf in jax.tree.leaves(operators[names[0]].data))
        worth = len(names) >= _MANY and len(names) * size <= _LARGEST
        found += [tuple(names)] if worth else [(name,) for name in names]
    return found


def _power(
    operators: dict[str, _Gram], vectors: Probes, steps: int
) -> dict[str, tuple[Float[Array, ""], Any]]:
    """Largest eigenvalues of positive semi-definite operators, from below, and the vectors reached.

    A zero operator gives a tiny constant and leaves its vector. An estimate that is up to two times
    too small still gives steps that descend (proximal gradient descends for every step below 2/L).
    """

    def one(gram: _Gram, data: Any, vector: Any) -> tuple[Array, Any]:
        tiny = jnp.finfo(jax.tree.leaves(vector)[0].dtype).tiny
        scale = 1 / jnp.maximum(_tree.norm(vector), tiny)
        unit = jax.tree.map(lambda v: v * scale, vector)
        image = gram.apply(data, unit)
        size = _tree.norm(image)
        new = jax.tree.map(lambda i, v: jnp.where(size > tiny, i, v), image, unit)
        return jnp.maximum(size, jnp.sqrt(tiny)), new

    # Operators of one kind go through one program, which compiles in a time free of the depth.
    names = _stacks(operators)
    runs, data, state = [], [], []
    for group in names:
        run: Any = functools.partial(one, operators[group[0]])
        given = operators[group[0]].data, vectors[group[0]]
        shape: tuple[int, ...] = ()
        if len(group) > 1:
            run, shape = jax.vmap(run), (len(group),)
            given = _stacked([(operators[name].data, vectors[name]) for name in group])
        runs.append(run)
        data.append(given[0])
        state.append((jnp.zeros(shape, jax.tree.leaves(given[1])[0].dtype), given[1]))

    def step(state: list[tuple[Array, Any]]) -> list[tuple[Array, Any]]:
        return [run(d, v) for run, d, (_, v) in zip(runs, data, state, strict=True)]

    state = step(state) if steps == 1 else repeat(step, state, steps)
    found = {}
    for group, reached in zip(names, state, strict=True):
        for place, name in enumerate(group):
            part = (lambda leaf, k=place: leaf[k]) if len(group) > 1 else (lambda leaf: leaf)
            found[name] = jax.tree.map(part, reached)
    return found


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
