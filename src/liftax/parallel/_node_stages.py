"""Which nodes are on which stage."""

import itertools
import math

import jax
import numpy as np

from liftax.networks import Network

# A number of an activation is read and written as often as costs the time of so many products: 30
# times in a step, see `descent_cost`, of 4 bytes, at a byte for every operation.
_PER_ENTRY = 16


def node_products(network: Network) -> dict[str, float]:
    """Multiplications of a forward pass of one sample, about, by node: those of its affine map."""
    shapes, found = network.shapes, {}
    for node in network.nodes:
        theta = jax.eval_shape(
            lambda key, node=node: node.affine.init(
                key, *(shapes[p] for p in node.parents), dtype=np.float32
            ),
            jax.random.key(0),
        )
        own = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(theta))
        # A kernel meets every position of its output.
        positions = math.prod(shapes[node.name][:-1])
        found[node.name] = own * max(positions, 1)
    return found


def node_stages(network: Network, count: int) -> dict[str, int]:
    r"""Consecutive nodes in so many stages, the costliest of which costs as little as can be.

    A node costs its products and, for what a step reads and writes, 16 for each number of its
    activation. Nodes that share parameters, and all between them, are on one stage.

    Args:
        network: the graph.
        count: of stages.

    Returns:
        Stages, from 0, by node name.

    Raises:
        ValueError: if there are fewer nodes, or pieces that sharing leaves, than stages.
    """
    products, shapes = node_products(network), network.shapes
    places = {node.name: place for place, node in enumerate(network.nodes)}
    fixed: set[int] = set()  # no border before these
    for node in network.nodes:
        fixed |= set(range(places[node.owner] + 1, places[node.name] + 1))
    starts = [place for place in range(len(network.nodes)) if place not in fixed]
    if len(starts) < count:
        raise ValueError(
            f"mesh divides layers into {count} parts, but the network has {len(network.nodes)} "
            f"nodes that sharing of parameters leaves in {len(starts)} pieces; use fewer parts"
        )
    costs = [products[n.name] + _PER_ENTRY * math.prod(shapes[n.name]) for n in network.nodes]
    ends = [*starts[1:], len(costs)]
    pieces = [sum(costs[a:b]) for a, b in zip(starts, ends, strict=True)]
    first = _balanced(pieces, count)
    found = {}
    for stage, (a, b) in enumerate(itertools.pairwise([*first, len(pieces)])):
        last = starts[b] if b < len(pieces) else len(costs)
        found |= {node.name: stage for node in network.nodes[starts[a] : last]}
    return found


def busiest(network: Network, count: int) -> float:
    """The largest stage's share in the cost, times the number of stages: 1 if all are equal."""
    products, shapes, totals = node_products(network), network.shapes, [0.0] * count
    for name, stage in node_stages(network, count).items():
        totals[stage] += products[name] + _PER_ENTRY * math.prod(shapes[name])
    return max(totals) / sum(totals) * count


def _balanced(pieces: list[float], count: int) -> list[int]:
    """First pieces of the parts whose largest sum is least, by dynamic programming."""
    size, sums = len(pieces), [0.0, *itertools.accumulate(pieces)]
    best: list[float] = [math.inf if end == 0 else sums[end] for end in range(size + 1)]
    choices: list[list[int]] = []
    for parts in range(2, count + 1):
        options = [
            min(
                ((max(best[k], sums[end] - sums[k]), k) for k in range(parts - 1, end)),
                default=(math.inf, 0),
            )
            for end in range(size + 1)
        ]
        best = [cost for cost, _ in options]
        choices.append([start for _, start in options])
    found, end = [], size
    for choice in reversed(choices):
        end = choice[end]
        found.append(end)
    return [0, *reversed(found)]
