"""Inner products and norms of parameter trees."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def norm(tree: Any) -> Float[Array, ""]:
    """Euclidean norm over all leaves."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def normal(key: Any, tree: Any) -> Any:
    """Independent standard normal entries in the shapes and dtypes of ``tree``."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        return tree
    # One draw for all: a generator for each leaf takes long to compile.
    sizes = [leaf.size for leaf in leaves]
    drawn = jax.random.normal(key, (sum(sizes),), jnp.result_type(*leaves))
    parts = iter(jnp.split(drawn, np.cumsum(sizes)[:-1]))
    return jax.tree.map(lambda leaf: next(parts).reshape(leaf.shape).astype(leaf.dtype), tree)


def inner(a: Any, b: Any) -> Float[Array, ""]:
    """Sum of the products of all entries."""
    return sum(
        (jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)),
        start=jnp.zeros((), jax.tree.leaves(a)[0].dtype),
    )


def minus(a: Any, b: Any) -> Any:
    """The difference."""
    return jax.tree.map(jnp.subtract, a, b)
