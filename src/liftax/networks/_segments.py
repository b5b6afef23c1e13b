"""Forward passes of which little is kept for the backward pass."""

import itertools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.networks._network import INPUT, Network, Params, States


def forward_in_segments(
    network: Network,
    params: Params,
    x: Float[Array, "samples ..."],
    segments: int,
    keep: Collection[str] = (),
) -> tuple[States, Array]:
    r"""A forward pass that a derivative computes again, segment by segment.

    Consecutive nodes form `segments` groups of nearly equal length. Of each group the backward pass
    keeps what later groups read, and recomputes the rest: for a chain of $J$ nodes about
    $\sqrt J$ segments keep the least, at the price of a second forward pass.

    Args:
        network: the graph.
        params: of the network.
        x: inputs.
        segments: number of groups, at most one a node.
        keep: nodes whose states are returned, besides the output.

    Returns:
        The states of the output and of `keep`, and the output's pre-activation.

    Source: Chen, Xu, Zhang & Guestrin, arXiv 1604.06174.
    """
    nodes = network.at(params).nodes
    count = min(segments, len(nodes))
    cuts = [round(i * len(nodes) / count) for i in range(count + 1)]
    live: States = {INPUT: x}
    z = x
    for first, last in itertools.pairwise(cuts):
        later = {parent for node in nodes[last:] for parent in node.parents}
        needed = later | set(keep) | {network.output}

        def segment(
            params: Params, live: States, first=first, last=last, needed=needed
        ) -> tuple[States, Array]:
            states, z = dict(live), x
            for node in nodes[first:last]:
                z = network.preactivation(params, states, node.name)
                states[node.name] = node.activated(z)
            return {name: u for name, u in states.items() if name in needed}, z

        live, z = jax.checkpoint(_apart(segment))(params, live)
    return live, z


def _apart(segment: Callable[[Params, States], Any]) -> Callable[[Params, States], Any]:
    """The same function as the branch of a condition that holds unless the input is NaN.

    XLA drops optimisation barriers on a CPU and would find that the second evaluation equals the
    first; it does not look across branches.
    """

    def guarded(params: Params, live: States) -> Any:
        number = next(iter(live.values())).ravel()[0]
        like = jax.eval_shape(segment, params, live)
        lost = jax.tree.map(lambda a: jnp.full(a.shape, jnp.nan, a.dtype), like)
        return jax.lax.cond(number == number, segment, lambda *_: lost, params, live)

    return guarded
