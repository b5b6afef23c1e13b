"""A network: a directed acyclic graph of proximal nodes."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine import AbstractAffine, Residual, Stacked
from liftax.networks._climb import climb
from liftax.networks._node import Node, Params, States
from liftax.potentials import AbstractPotential

INPUT = "input"


class Network(eqx.Module):
    r"""$u_j = \sigma_j(z_j)$ with $z_j = f_j(u_{\mathrm{parents}(j)};\theta_j)$.

    The last node is the output.
    The input is a node too, named ``"input"``; `nodes` stand in an order in which every parent
    comes before its children. Parameters and states are dictionaries by node name.

    Source: arXiv 2510.09796, section 2 (there as $Mu = V\,\mathrm{prox}_\Psi(Wu + b)$).
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]

    def __check_init__(self) -> None:
        if not self.nodes:
            raise ValueError("nodes is empty; a network needs at least one node")
        known, stacks = {INPUT}, {node.name for node in self.nodes if node.copies}
        for node in self.nodes:
            if node.name in known:
                raise ValueError(f"two nodes are named {node.name!r}; give each a name of its own")
            for parent in node.parents:
                # Copies of a stack read earlier ones of another.
                if parent not in known and not (node.copies and parent in stacks):
                    raise ValueError(
                        f"node {node.name!r} has the parent {parent!r}, which is no earlier node "
                        f"(known here: {', '.join(sorted(known))}); order nodes parents first"
                    )
            known.add(node.name)
        used = {parent for node in self.nodes for parent in node.parents}
        for name in self.hidden:
            if name not in used:
                raise ValueError(
                    f"node {name!r} is no parent and not the last, so that nothing depends on it; "
                    "remove it, or put the output last"
                )
        _ = self.shapes
        for place, node in enumerate(self.nodes):
            if node.tied_to is not None:
                self._check_tie(node, self.nodes[:place])

    @property
    def output(self) -> str:
        """Name of the output node."""
        return self.nodes[-1].name

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of the nodes between input and output, parents first."""
        return tuple(node.name for node in self.nodes[:-1])

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one example at each node, the input included."""
        shapes = {INPUT: tuple(self.input_shape)}
        for node in self.nodes:
            try:
                # The shape of a stack is known without the stacks that it reads shifted.
                given = (shapes.get(p, ()) for p in node.parents)
                shapes[node.name] = node.affine.out_shape(*given)
            except ValueError as error:
                raise ValueError(f"node {node.name!r}: {error}") from None
        return shapes

    def node(self, name: str) -> Node:
        """The node of that name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise ValueError(
            f"the network has no node {name!r}; its nodes are "
            f"{', '.join(node.name for node in self.nodes)}"
        )

    def children(self, name: str) -> tuple[tuple[Node, int], ...]:
        """The children of a node, each with the position that the node has among its parents."""
        return tuple(
            (node, position)
            for node in self.nodes
            for position, parent in enumerate(node.parents)
            if parent == name
        )

    @property
    def families(self) -> tuple[tuple[str, ...], ...]:
        """Nodes whose activations meet in one penalty: a node and its parents, for every node.

        A stack has two, of its first copy and of the others.
        """
        return tuple((node.name, *parents) for node in self.nodes for parents in node.readings)

    @property
    def runs(self) -> tuple[tuple[Node, ...], ...]:
        """The nodes in their order, stacks of as many copies that follow each other together."""
        groups = itertools.groupby(self.nodes, lambda node: node.copies)
        return tuple(tuple(nodes) for _, nodes in groups)

    def init(self, key: PRNGKeyArray, dtype: Any = jnp.float32) -> Params:
        """Random parameters by node name.

        A tied node has none; hyper-parameters that the node ``a`` learns are in ``"a.potential"``.
        """
        shapes = self.shapes
        keys = jax.random.split(key, len(self.nodes))
        params = {
            node.name: node.affine.init(k, *(shapes[p] for p in node.parents), dtype=dtype)
            for node, k in zip(self.nodes, keys, strict=True)
            if node.tied_to is None
        }
        for node in self.nodes:
            if node.learn:
                params[potential_key(node.name)] = {
                    field: jnp.asarray(getattr(node.potential, field), dtype)
                    for field in node.learn
                }
        return params

    def at(self, params: Params) -> "Network":
        """The network with the learnt hyper-parameters of its potentials put in."""
        if not any(node.learn for node in self.nodes):
            return self
        nodes = [
            node.learnt(params[potential_key(node.name)]) if node.learn else node
            for node in self.nodes
        ]
        return Network(tuple(nodes), self.input_shape)

    def on_stages(self, stages: Mapping[str, int]) -> "Network":
        """The same network with its nodes on these stages, by name; see `Node.on_stage`."""
        nodes = tuple(node.on_stage(stages[node.name]) for node in self.nodes)
        return Network(nodes, self.input_shape)

    def admissible(self, params: Params) -> Params:
        """Learnt hyper-parameters moved to their intervals (a threshold to ≥ 0), weights bounded.

        The latter where a `Residual` states a bound.
        """
        moved = {}
        for node in self.nodes:
            affine = node.affine.affine if isinstance(node.affine, Stacked) else node.affine
            if isinstance(affine, Residual) and node.tied_to is None:
                bounded = jax.vmap(affine.admissible) if node.copies else affine.admissible
                moved[node.name] = bounded(params[node.name])
            key, ranges = potential_key(node.name), node.potential.learnable
            if node.learn:
                moved[key] = {f: jnp.clip(params[key][f], *ranges[f]) for f in node.learn}
        return {**params, **moved} if moved else params

    def with_statistics(self, params: Params, x: Float[Array, "samples ..."]) -> Params:
        """The parameters with the batch's own statistics at every `Normalisation` node."""
        if not any(node.normalisation for node in self.nodes):
            return params
        return self._passed(params, x, {}, renew=True)[2]

    def averaged(self, old: Params, new: Params) -> Params:
        """New parameters with the moving averages of the statistics, from the old ones on."""
        moved = {
            node.owner: node.normalisation.averaged(old[node.owner], new[node.owner])
            for node in self.nodes
            if node.normalisation
        }
        return {**new, **moved} if moved else new

    def preactivation(self, params: Params, states: States, name: str) -> Array:
        """$z_j$ of a node, for the states of its parents."""
        node = self.node(name)
        return node.affine.apply(params[node.owner], *(states[p] for p in node.parents))

    def forward(
        self, params: Params, x: Float[Array, "samples ..."], moves: States | None = None
    ) -> tuple[States, States]:
        """States $u$ (the input included) and pre-activations $z$ of a forward pass.

        `moves` are added to the pre-activations of the nodes that they name.
        """
        return self._passed(params, x, moves or {}, renew=False)[:2]

    def __call__(self, params: Params, x: Float[Array, "samples ..."]) -> Array:
        """The network's output for a batch."""
        return self.forward(params, x)[0][self.output]

    def _passed(
        self, params: Params, x: Array, moves: States, renew: bool
    ) -> tuple[States, States, Params]:
        """A forward pass, and the parameters that it is one of: with `renew` new statistics."""
        states, z = {INPUT: x}, {}
        for run in self.at(params).runs:
            if run[0].copies:
                states, z, params = climb(run, params, states, z, moves, renew)
                continue
            for node in run:
                # Not by `preactivation`: a bound method flattens the whole network every time.
                inputs = tuple(states[parent] for parent in node.parents)
                if renew and node.normalisation:
                    read = (
                        node.affine.gathered(*inputs)
                        if isinstance(node.affine, Stacked)
                        else inputs
                    )
                    new = node.normalisation.statistics(params[node.owner], *read)
                    params = {**params, node.owner: new}
                z[node.name] = node.affine.apply(params[node.owner], *inputs)
                if node.name in moves:
                    z[node.name] = z[node.name] + moves[node.name]
                states[node.name] = node.activated(z[node.name])
        return states, z, params

    def _check_tie(self, node: Node, earlier: tuple[Node, ...]) -> None:
        if node.tied_to not in [other.name for other in earlier if other.tied_to is None]:
            raise ValueError(
                f"node {node.name!r} is tied to {node.tied_to!r}, which is no earlier node with "
                "parameters of its own; tie it to one of these"
            )
        shapes, owner = self.shapes, self.node(node.owner)

        def apply(key: PRNGKeyArray) -> Array:
            given = [shapes[p] for p in owner.parents]
            theta = owner.affine.init(key, *given, dtype=jnp.float32)
            inputs = [jnp.zeros((1, *shapes[p]), jnp.float32) for p in node.parents]
            return node.affine.apply(theta, *inputs)

        try:
            out = jax.eval_shape(apply, jax.random.key(0)).shape[1:]
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(
                f"node {node.name!r} cannot use the parameters of {node.tied_to!r}: {error}"
            ) from None
        if out != shapes[node.name]:
            raise ValueError(
                f"node {node.name!r} has the shape {shapes[node.name]}, but {out} with the "
                f"parameters of {node.tied_to!r}"
            )


def potential_key(name: str) -> str:
    """Where the parameters hold what a node's potential learns."""
    return f"{name}.potential"


def chain(
    input_shape: tuple[int, ...], layers: Sequence[tuple[AbstractAffine, AbstractPotential | str]]
) -> Network:
    """A network without branches: pairs of an affine map and a potential (or its name).

    Nodes are named ``layer1``, ``layer2``, ...
    """
    names = [INPUT, *(f"layer{j}" for j in range(1, len(layers) + 1))]
    nodes = tuple(
        Node(names[j + 1], affine, potential, (names[j],))
        for j, (affine, potential) in enumerate(layers)
    )
    return Network(nodes, tuple(input_shape))
