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
from liftax.affine import (
    AbstractAffine,
    AbstractBilinear,
    Shared,
    Stacked,
    adjoint,
    parameter_adjoint,
)
from liftax.blocks._block import Constants, Probes
from liftax.networks import Network, Node, Params, States
from liftax.objectives import LiftedEnergy, scaled

# Fewer operators of one kind, or more entries in all, are iterated on one by one: a stack of them
# is a copy.
_MANY, _LARGEST = 8, 2**22


class _Gram(NamedTuple):
    """A positive semi-definite operator, by its data.

    Attributes:
        apply: (data, vector) → image.
        data: of this operator.
        kind: what else it is made of, a map first, and its stage; operators of equal kinds have the
            same `apply`.
        stack: the stack's map, if there are data and vectors for each of its copies.
        axes: of the copies in the data.
    """

    apply: Callable[[Any, Any], Any]
    data: Any
    kind: tuple[Any, ...]
    stack: Stacked | None = None
    axes: Any = 0

    def like(self, other: "_Gram") -> bool:
        """Whether both could be parts of one stack."""
        if self.stack or other.stack or self.kind[1:] != other.kind[1:]:
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
    probes = {
        edge: jnp.zeros((*((node.copies,) if node.copies else ()), 1, *shapes[k]), dtype)
        for edge, node, k in _edges(network, group)
        for shapes in (_inner(network, node)[1],)
    }
    return _tree.normal(key, probes)


def edges(network: Network, group: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the edges that leave nodes of the group; without bilinear maps."""
    return tuple(edge for edge, _, _ in _edges(network, group))


def _edges(network: Network, group: tuple[str, ...]) -> list[tuple[str, Node, int]]:
    """The same edges, with the node that they end in and the number of its map's parent."""
    return [
        (_edge(node, k), node, k)
        for node in network.nodes
        for k, slot in enumerate(node.slots)
        if not isinstance(node.affine, AbstractBilinear)
        and any(node.parents[position] in group for position in slot)
    ]


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
    dtype = jax.tree.leaves(norms)[0].dtype
    # The input, a block when a network is inverted, is no node.
    copies = {node.name: node.copies for node in network.nodes}
    totals = {n: jnp.zeros((copies[n],) if copies.get(n) else (), dtype) for n in group}
    for node in network.nodes:
        found = {
            k: norms[_edge(node, k)] for k in range(len(node.slots)) if _edge(node, k) in norms
        }
        moving = {k: _among(node, k, group, norm) for k, norm in found.items()}
        # A contrastive phase may weight the loss negatively.
        factor = abs(energy.weight(node.name)) * energy.loss_at(node.name).smoothness
        for k, own in found.items():
            # A node may be a parent twice.
            met = sum((norm for other, norm in moving.items() if other != k), start=own)
            met = met + 1 if node.name in group else met
            totals = _delivered(totals, node, k, scaled(factor, own * met))
        if node.name in group and moving:
            own = scaled(energy.weight(node.name), sum(moving.values(), jnp.zeros((), dtype)))
            totals[node.name] = totals[node.name] + own
    constants = {
        name: total.reshape(*total.shape, *(1,) * (states[name].ndim - 2)) if total.ndim else total
        for name, total in totals.items()
    }
    return constants, probes


def _among(node: Node, k: int, group: tuple[str, ...], norm: Array) -> Array:
    """The norm along the edge from the node's parent number `k`, 0 where that does not move."""
    inside = [float(node.parents[position] in group) for position in node.slots[k]]
    if len(inside) == 1:
        return inside[0] * norm
    return norm * jnp.asarray([inside[0], *inside[1:] * (node.copies - 1)], norm.dtype)


def _delivered(totals: Constants, node: Node, k: int, value: Array) -> Constants:
    """The totals with what a node's parent number `k` has to add, copy by copy."""
    names = [node.parents[position] for position in node.slots[k]]
    link = node.affine.links[k] if isinstance(node.affine, Stacked) else Shared()
    moved = zip(names, link.delivered(value), strict=True)
    return {**totals, **{name: totals[name] + own for name, own in moved if name in totals}}


def _inner(network: Network, node: Node) -> tuple[AbstractAffine, tuple[tuple[int, ...], ...]]:
    """A node's map, of one copy if it is a stack, and the shapes of its parents."""
    shapes = tuple(network.shapes[parent] for parent in node.parents)
    if isinstance(node.affine, Stacked):
        return node.affine.affine, tuple(node.affine.inner(shapes))
    return node.affine, shapes


def _stack(node: Node) -> Stacked | None:
    return node.affine if isinstance(node.affine, Stacked) and node.copies else None


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
    affine, inputs = node.affine, tuple(states[p] for p in node.parents)
    samples, axes = inputs[0].shape[0], 0
    if isinstance(affine, Stacked):
        affine, inputs, axes = affine.affine, affine.gathered(*inputs), affine.axes
    thin = affine.thin()

    def squared(inputs: tuple[Array, ...], theta: Params) -> Params:
        gradient = parameter_adjoint(thin, theta, inputs, thin.apply(theta, *inputs))
        return jax.tree.map(lambda g: g / samples, gradient)

    return _Gram(squared, inputs, (thin, node.stage), _stack(node), axes)


def _edge(node: Node, k: int) -> str:
    return f"{node.parents[node.slots[k][-1]]}->{node.name}.{k}"


def _edge_norms(
    network: Network,
    params: Params,
    states: States,
    probes: Probes,
    group: tuple[str, ...],
    steps: int,
) -> tuple[Constants, Probes]:
    """Norms of the maps along all edges that leave or join nodes of the group."""
    maps = {edge: _along(network, params, node, k) for edge, node, k in _edges(network, group)}
    norms = {
        _edge(node, k): jnp.max(node.affine.norms((states[first], states[second]), k))
        for node in network.nodes
        if isinstance(node.affine, AbstractBilinear)
        for first, second in (node.parents,)
        for k, parent in enumerate(node.parents)
        if parent in group
    }
    found = _power(maps, {edge: probes[edge] for edge in maps}, steps)
    norms |= {edge: jnp.sqrt(square) for edge, (square, _) in found.items()}
    return norms, {**probes, **{edge: unit for edge, (_, unit) in found.items()}}


def _along(network: Network, params: Params, node: Node, position: int) -> _Gram:
    """The map along one edge, followed by its adjoint."""
    affine, given = _inner(network, node)

    def squared(theta: Any, u: Array) -> Array:
        rest = tuple(jnp.zeros((1, *shape), u.dtype) for shape in given)
        inputs = (*rest[:position], u, *rest[position + 1 :])
        linear = affine.apply(theta, *inputs) - affine.apply(theta, *rest)
        return adjoint(affine, theta, rest, position, linear)

    kind = affine, given, position, node.stage
    return _Gram(squared, params[node.owner], kind, _stack(node))


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
        gram = operators[group[0]]
        given, stack = (gram.data, vectors[group[0]]), gram.stack
        if len(group) > 1:
            given = _stacked([(operators[name].data, vectors[name]) for name in group])
            stack = Stacked(gram.kind[0], len(group), ())
        run: Any = functools.partial(one, gram)
        runs.append(stack.over(run, (gram.axes, 0)) if stack else run)
        data.append(given[0])
        shape = (stack.copies,) if stack else ()
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
