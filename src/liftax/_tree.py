"""Inner products and norms of parameter trees."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def norm(tree: Any) -> Float[Array, ""]:
    """Euclidean norm over all leaves."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def normal(key: Any, tree: Any) -> Any:
    """Independent standard normal entries in the shapes and dtypes of ``tree``."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [
        jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)


def inner(a: Any, b: Any) -> Float[Array, ""]:
    """Sum of the products of all entries."""
    return sum(
        (jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)),
        start=jnp.zeros((), jax.tree.leaves(a)[0].dtype),
    )


def minus(a: Any, b: Any) -> Any:
    """The difference."""
    return jax.tree.map(jnp.subtract, a, b)
