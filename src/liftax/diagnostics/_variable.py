"""One block of variables as rows of numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from liftax.affine import Normalisation
from liftax.networks import Network, Node, Params, States


class Variable(NamedTuple):
    r"""A block $v$ of an energy, cut into rows that do not interact.

    Attributes:
        point: its value: one row for parameters, a row for every sample for activations.
        put: a value → all parameters and states.
        images: the nodes whose pre-activation depends on it.
        state: the node, for activations.
    """

    point: Float[Array, "rows n"]
    put: Callable[[Array], tuple[Params, States]]
    images: tuple[str, ...]
    state: str | None


def names(network: Network, params: Params) -> dict[str, bool]:
    """All blocks of a network, parents first: whether a name stands for activations."""
    found = {}
    for node in network.nodes:
        if node.tied_to is None and jax.tree.leaves(_trained(node, params[node.name])):
            found[node.name] = False
        if node.name != network.output:
            found[f"{node.name}.u"] = True
    return found


def variable(network: Network, params: Params, states: States, name: str) -> Variable:
    """The block of that name."""
    if not names(network, params)[name]:
        return _parameters(network, params, states, name)
    name = name.removesuffix(".u")
    shape = states[name].shape

    def put(rows: Array) -> tuple[Params, States]:
        return params, {**states, name: rows.reshape(shape)}

    children = dict.fromkeys(child.name for child, _ in network.children(name))
    return Variable(states[name].reshape(shape[0], -1), put, tuple(children), name)


def _parameters(network: Network, params: Params, states: States, name: str) -> Variable:
    theta = params[name]
    point, unravel = ravel_pytree(_trained(network.node(name), theta))

    def put(rows: Array) -> tuple[Params, States]:
        new = unravel(rows[0])
        return {**params, name: {**theta, **new} if isinstance(theta, dict) else new}, states

    users = tuple(node.name for node in network.nodes if node.owner == name)
    return Variable(point[None], put, users, None)


def _trained(node: Node, theta: Any) -> Any:
    """Without the statistics of a normalisation."""
    if isinstance(node.affine, Normalisation):
        return {field: theta[field] for field in ("scale", "shift")}
    return theta
