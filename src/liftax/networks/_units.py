"""Layers as single units."""

from typing import Any

import jax

from liftax.affine import Dense, Sum
from liftax.networks._network import Network, Params
from liftax.networks._node import Node


def units(network: Network, params: Params) -> tuple[Network, Params]:
    r"""The same network with a node for every unit of a hidden dense layer.

    Block-coordinate descent then is coordinate descent, and a proximal gradient step with the step
    $1/L$ of a unit that one node with the identity follows is its minimiser: in
    $N(u_0) = \sum_jc_j\sigma(w_ju_0 + b_j)$
    $$u_l^+ = \mathrm{prox}_{\Psi_l/(1+c_l^2)}\Big(\big[c_l(f - \sum_{j\ne l}c_ju_j) + w_lu_0 +
    b_l\big]/(1 + c_l^2)\Big).$$

    The units of the node ``a`` are ``a.0``, ``a.1``, ... Layers are divided whose potential acts on
    single entries and knows no others, and that only dense layers follow.

    Args:
        network: any; other nodes stay as they are.
        params: of it.

    Source: arXiv 2510.09796, section 5.
    """
    divided = {node.name for node in network.nodes[:-1] if _divisible(network, node)}
    nodes, new = [], dict(params)
    for node in network.nodes:
        if node.name not in divided and not divided.intersection(node.parents):
            nodes.append(node)
            continue
        del new[node.name]
        (parent,), theta = node.parents, params[node.name]
        rows, columns = theta["weight"].shape
        inputs = [(f"{parent}.{i}", slice(i, i + 1)) for i in range(rows)]
        outputs = [(f"{node.name}.{k}", slice(k, k + 1)) for k in range(columns)]
        inputs = inputs if parent in divided else [(parent, slice(None))]
        outputs = outputs if node.name in divided else [(node.name, slice(None))]
        for name, part in outputs:
            weights = [theta["weight"][own, part] for _, own in inputs]
            bias = theta["bias"][part] if "bias" in theta else None
            affine, new[name] = _part(weights, bias)
            nodes.append(Node(name, affine, node.potential, tuple(p for p, _ in inputs)))
    return Network(tuple(nodes), network.input_shape), new


def _divisible(network: Network, node: Node) -> bool:
    family = [node, *(child for child, _ in network.children(node.name))]
    own = not node.learn and not any(leaf.ndim for leaf in jax.tree.leaves(node.potential))
    users = [n for n in network.nodes if n.tied_to in {member.name for member in family}]
    dense = all(isinstance(n.affine, Dense) and n.tied_to is None for n in family)
    return dense and own and node.potential.separable and not users


def _part(weights: list[Any], bias: Any) -> tuple[Dense | Sum, Any]:
    """Dense maps of several parents, of which the first has the bias."""
    maps, params = [], []
    for place, weight in enumerate(weights):
        biased = place == 0 and bias is not None
        maps.append(Dense(weight.shape[1], use_bias=biased))
        params.append({"weight": weight, "bias": bias} if biased else {"weight": weight})
    return (maps[0], params[0]) if len(maps) == 1 else (Sum(tuple(maps)), tuple(params))
