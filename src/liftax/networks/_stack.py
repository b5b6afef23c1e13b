"""Equal layers of a network as stacks."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from liftax.affine import (
    AbstractBilinear,
    AbstractLink,
    Each,
    Picked,
    Shared,
    Shifted,
    Stacked,
)
from liftax.networks._network import INPUT, Network, potential_key
from liftax.networks._node import Node, Params, States

# Layers that repeat later than after so many nodes are not looked for.
_LONGEST = 8


class Stacking(NamedTuple):
    """A network, and the same with runs of equal layers as stacks.

    Attributes:
        plain: the network.
        network: with stacks, each under the name of its first node.
        copies: the names of the nodes in each stack.
    """

    plain: Network
    network: Network
    copies: dict[str, tuple[str, ...]]

    def stacked(self, params: Params) -> Params:
        """Parameters of the plain network for the stacked one."""
        keys = self._keys()
        inside = {key for own in keys.values() for key in own}
        joined = {
            stack: jax.tree.map(lambda *leaves: jnp.stack(leaves), *[params[k] for k in own])
            for stack, own in keys.items()
            if stack in params
        }
        return {**{k: v for k, v in params.items() if k not in inside}, **joined}

    def unstacked(self, params: Params) -> Params:
        """Parameters of the stacked network for the plain one, in its order."""
        apart = dict(params)
        for stack, own in self._keys().items():
            if stack in params:
                theta = apart.pop(stack)
                for place, key in enumerate(own):
                    apart[key] = jax.tree.map(lambda leaf, k=place: leaf[k], theta)
        names = [node.name for node in self.plain.nodes]
        return {key: apart[key] for key in (*names, *map(potential_key, names)) if key in apart}

    def _keys(self) -> dict[str, list[str]]:
        """Keys of the copies' parameters, by the stack's."""
        return {
            key(stack): [key(name) for name in names]
            for stack, names in self.copies.items()
            for key in (str, potential_key)
        }

    def unstacked_states(self, states: States) -> States:
        """States, or pre-activations, of the stacked network for the plain one."""
        apart = {}
        for name, array in states.items():
            names = self.copies.get(name)
            apart |= (
                {name: array}
                if names is None
                else {own: array[:, place] for place, own in enumerate(names)}
            )
        return apart


def stack(
    network: Network,
    least: int = 4,
    alike: Callable[[str], Any] = lambda name: None,
    stages: int = 1,
) -> Stacking | None:
    r"""Find runs of layers that repeat, and make stacks of them.

    Layers repeat after a number of nodes, the period: the same maps and potentials, and parents
    that move along by one period or are the same for all. Each node of the period becomes a stack
    whose copies are updated by one batched product (convolutions in a loop, see `Stacked`), so that
    a program's size does not grow with depth. The period is so long that no two copies in a stack
    interact: two layers of an MLP, two blocks of a residual network. A sweep over the stacks in the
    order `Jacobi` is the sweep over the layers, and so is one in `RedBlack` along a chain; with
    shortcuts the stacks may be coloured otherwise. In `GaussSeidel` sweeps go from copy to copy
    (see `unfold`), as they do from layer to layer.

    Left alone are the output, nodes with a bilinear map, what such nodes read, maps and potentials
    that hold arrays, and nodes that share parameters with others outside.

    Args:
        network: the graph.
        least: copies that make a stack worth it.
        alike: of a node's name, what else has to agree.
        stages: a number that divides the number of copies, such as that of devices; see `Stacked`.
            With several, layers are left alone that would be computed one after the other.

    Returns:
        The stacking, or None if nothing repeats often enough.
    """
    runs: list[_Run] = []
    begin, last = 0, len(network.nodes) - 1
    search = _Search(network, max(least, stages), alike, stages)
    while begin < last:
        found = search.longest(begin, runs)
        if found:
            runs.append(found)
        begin = found.end if found else begin + 1
    return _built(search, runs) if runs else None


class _Run(NamedTuple):
    """`copies` times `period` nodes from the number `begin` on."""

    begin: int
    period: int
    copies: int

    @property
    def end(self) -> int:
        return self.begin + self.period * self.copies

    def place(self, number: int) -> tuple[int, int] | None:
        """The number of the stack's first node, and of the copy, of a node in the run."""
        if not self.begin <= number < self.end:
            return None
        copy, offset = divmod(number - self.begin, self.period)
        return self.begin + offset, copy


class _Search:
    """Looks for runs in a network; nodes by number, the input being -1."""

    def __init__(self, network: Network, least: int, alike: Callable[[str], Any], stages: int):
        self.network, self.nodes, self.shapes = network, network.nodes, network.shapes
        self.least, self.alike, self.stages = least, alike, stages
        self.number = {INPUT: -1, **{node.name: k for k, node in enumerate(network.nodes)}}
        self.ties = [(k, self.number[n.tied_to]) for k, n in enumerate(self.nodes) if n.tied_to]

    def longest(self, begin: int, earlier: list[_Run]) -> _Run | None:
        best = None
        for period in range(1, _LONGEST + 1):
            run = _Run(begin, period, self.copies(begin, period))
            # A few nodes more are not worth a longer period.
            better = best is None or run.end >= best.end + period
            if run.copies >= self.least and better and self.fits(run, earlier):
                best = run
        return best

    def copies(self, begin: int, period: int) -> int:
        end = begin + period
        nodes = self.nodes[begin:end]
        if end > len(self.nodes) - 1 or not all(map(self.suits, nodes)):
            return 0
        if self.stages > 1 and not all(Stacked(n.affine, 1, ()).batched for n in nodes):
            return 0
        while end < len(self.nodes) - 1 and self.repeats(end, begin, period):
            end += 1
        return (end - begin) // period // self.stages * self.stages

    def suits(self, node: Node) -> bool:
        """Whether the map is linear in all parents together."""

        def bilinear(part: Any) -> bool:
            return isinstance(part, AbstractBilinear)

        return not any(map(bilinear, jax.tree.leaves(node.affine, is_leaf=bilinear)))

    def repeats(self, number: int, begin: int, period: int) -> bool:
        """Whether a node is like the one a period before."""
        node, before = self.nodes[number], self.nodes[number - period]
        same = [(n.affine, n.potential, n.learn, self.alike(n.name)) for n in (node, before)]
        if eqx.tree_equal(*same) is not True or len(node.parents) != len(before.parents):
            return False
        if (node.tied_to is None) != (before.tied_to is None):
            return False
        if node.tied_to and self.number[node.tied_to] - self.number[before.tied_to or ""] != period:
            return False
        return all(
            self.shapes[p] == self.shapes[q]
            and self.number[p] - self.number[q]
            in ((0, period) if self.number[p] < begin else (period,))
            for p, q in zip(node.parents, before.parents, strict=True)
        )

    def fits(self, run: _Run, earlier: list[_Run]) -> bool:
        """Whether parents and shared parameters are where a stack can have them."""
        inside = range(run.begin, run.end)
        for number, node in enumerate(self.nodes):
            reads = number not in inside and any(self.number[p] in inside for p in node.parents)
            if reads and not self.suits(node):
                return False
        if any((user in inside) != (owner in inside) for user, owner in self.ties):
            return False
        for offset in range(run.period):
            number = run.begin + offset
            found: set[Any] = {(self.nodes[number].name, Each)}
            for slot, parent in enumerate(self.nodes[number].parents):
                place, link = self.number[parent], self.link(run, number, slot)
                if place < run.begin and any(r.place(place) for r in earlier):
                    return False
                if isinstance(link, Shifted):
                    if place < run.begin - run.period or self.shape(place) != self.shape(
                        place + run.period
                    ):
                        return False
                    place += run.period
                found.add((self.nodes[place].name if place >= 0 else INPUT, type(link)))
            # Two copies of a stack in one penalty would interact.
            if len({name for name, _ in found}) < len(found):
                return False
        return True

    def link(self, run: _Run, number: int, slot: int) -> AbstractLink:
        """How the first copy reads a parent."""
        here, there = (self.nodes[k].parents[slot] for k in (number, number + run.period))
        if self.number[here] == self.number[there]:
            return Shared()
        return Each() if self.number[here] >= run.begin else Shifted()

    def shape(self, number: int) -> tuple[int, ...]:
        return self.shapes[self.nodes[number].name if number >= 0 else INPUT]


def _built(search: _Search, runs: list[_Run]) -> Stacking:
    network = search.network
    nodes: list[Node] = []
    copies: dict[str, tuple[str, ...]] = {}
    for number, node in enumerate(network.nodes):
        run = next((run for run in runs if run.place(number)), None)
        if run is None:
            nodes.append(_reading(node, search, runs))
        elif number < run.begin + run.period:
            nodes.append(_stacked(node, search, run))
            names = [n.name for n in network.nodes[number : run.end : run.period]]
            copies[node.name] = tuple(names)
    return Stacking(network, Network(tuple(nodes), network.input_shape), copies)


def _stacked(node: Node, search: _Search, run: _Run) -> Node:
    number, links, parents = search.number[node.name], [], []
    for slot, parent in enumerate(node.parents):
        link = search.link(run, number, slot)
        links.append(link)
        parents.append(parent)
        if isinstance(link, Shifted):
            parents.append(search.nodes[search.number[parent] + run.period].name)
    affine = Stacked(node.affine, run.copies, tuple(links), search.stages)
    values = {field: jnp.asarray(getattr(node.potential, field)) for field in node.learn}
    own = {k: jnp.broadcast_to(v, (run.copies, *v.shape)) for k, v in values.items()}
    own = node.learnt(own).potential
    return Node(node.name, affine, own, tuple(parents), node.tied_to, node.learn)


def _reading(node: Node, search: _Search, runs: list[_Run]) -> Node:
    """A node of its own, which may read from stacks."""
    links: dict[str, tuple[str, AbstractLink]] = {p: (p, Shared()) for p in node.parents}
    for run, parent in itertools.product(runs, links):
        place = run.place(search.number[parent])
        if place:
            links[parent] = search.nodes[place[0]].name, Picked(place[1], run.copies)
    if all(isinstance(link, Shared) for _, link in links.values()):
        return node
    parents, own = zip(*(links[p] for p in node.parents), strict=True)
    affine = Stacked(node.affine, 0, own)
    return Node(node.name, affine, node.potential, parents, node.tied_to, node.learn)
