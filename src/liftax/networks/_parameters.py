"""Whether parameters are those of a network."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax.networks._network import Network


def check_params(network: Network, params: Any) -> None:
    """Compare names and shapes of parameters with those that `Network.init` gives.

    Nothing is computed: the shapes come from `jax.eval_shape`.

    Raises:
        ValueError: for parameters of another network, naming the node and both shapes.
    """
    if not isinstance(params, Mapping):
        raise ValueError(
            f"params must be a dictionary by node name, as network.init gives, got "
            f"{type(params).__name__}"
        )
    wanted = jax.eval_shape(network.init, jax.random.key(0))
    missing = [name for name in wanted if name not in params]
    more = [str(name) for name in params if name not in wanted]
    if missing or more:
        lacking = f"lack {', '.join(missing[:5])}" if missing else "have all nodes"
        extra = f" and have {', '.join(more[:5])} beside" if more else ""
        raise ValueError(
            f"params {lacking}{extra}; they belong to another network: take those of network.init, "
            "or the network that they were made for"
        )
    for name, theta in wanted.items():
        need, got = _shapes(theta), _shapes(params[name])
        if need != got:
            raise ValueError(
                f"params: node {name!r} has the shapes {_words(need)} in the network, "
                f"{_words(got)} were given; they belong to another network, or its widths changed"
            )
    for leaf in jax.tree.leaves(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"params must be floating-point numbers, got {jnp.result_type(leaf)}; convert them"
            )


def _shapes(theta: Any) -> dict[str, tuple[int, ...]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(theta)
    names = ("".join(map(str, path)).strip("[]'\"") or "array" for path, _ in leaves)
    return {name: np.shape(leaf) for name, (_, leaf) in zip(names, leaves, strict=True)}


def _words(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
