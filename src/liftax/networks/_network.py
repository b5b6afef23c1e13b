"""A network: a directed acyclic graph of proximal nodes."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine import AbstractAffine
from liftax.networks._node import Node
from liftax.potentials import AbstractPotential

Params = dict[str, Any]
States = dict[str, Array]

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
        known = {INPUT}
        for node in self.nodes:
            if node.name in known:
                raise ValueError(f"two nodes are named {node.name!r}; give each a name of its own")
            for parent in node.parents:
                if parent not in known:
                    raise ValueError(
                        f"node {node.name!r} has the parent {parent!r}, which is no earlier node "
                        f"(known here: {', '.join(sorted(known))}); order nodes parents first"
                    )
            known.add(node.name)
        _ = self.shapes

    @property
    def output(self) -> str:
        """Name of the output node."""
        return self.nodes[-1].name

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of the nodes between input and output, parents first."""
        return tuple(node.name for node in self.nodes[:-1])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one example at each node, the input included."""
        shapes = {INPUT: tuple(self.input_shape)}
        for node in self.nodes:
            try:
                shapes[node.name] = node.affine.out_shape(*(shapes[p] for p in node.parents))
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

    def init(self, key: PRNGKeyArray, dtype: Any = jnp.float32) -> Params:
        """Random parameters by node name."""
        shapes = self.shapes
        keys = jax.random.split(key, len(self.nodes))
        return {
            node.name: node.affine.init(k, *(shapes[p] for p in node.parents), dtype=dtype)
            for node, k in zip(self.nodes, keys, strict=True)
        }

    def preactivation(self, params: Params, states: States, name: str) -> Array:
        """$z_j$ of a node, for the states of its parents."""
        node = self.node(name)
        return node.affine.apply(params[name], *(states[p] for p in node.parents))

    def forward(
        self, params: Params, x: Float[Array, "samples ..."]
    ) -> tuple[States, dict[str, Array]]:
        """States $u$ (the input included) and pre-activations $z$ of a forward pass."""
        states, z = {INPUT: x}, {}
        for node in self.nodes:
            z[node.name] = self.preactivation(params, states, node.name)
            states[node.name] = jax.vmap(node.potential.activation)(z[node.name])
        return states, z

    def __call__(self, params: Params, x: Float[Array, "samples ..."]) -> Array:
        """The network's output for a batch."""
        return self.forward(params, x)[0][self.output]


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
