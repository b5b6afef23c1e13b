"""Whether optimisers move stacks of layers as they move the layers."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax import _tree
from liftax._iterate import scan
from liftax.methods import AbstractMethod
from liftax.networks import Params, Stacking

# Steps of the trial: more than accumulate, or lie between what optimisers do now and then.
_STEPS, _SIDE = 24, 3
# Of the longest way. Rounding is less, and what weight decay of 1e-5 makes of the parameters more.
_APART = 1e-5


def layerwise(method: AbstractMethod, stacking: Stacking) -> bool:
    """Whether an optimiser of the method takes other steps on stacks than on their layers.

    One that works entry by entry, or with the norm of the whole gradient, takes the same. Not so
    where norms or factors of single arrays count, masks look at the number of axes, or layers are
    named. This is tried on small arrays, and the size of the state is compared.
    """
    parts = jax.tree.leaves(method, is_leaf=_is_optimiser)
    return any(_is_optimiser(part) and not _same(part, stacking) for part in parts)


def _is_optimiser(part: Any) -> bool:
    # Without optax, which takes long to import.
    return isinstance(part, tuple) and getattr(part, "_fields", None) == ("init", "update")


def _same(optimiser: Any, stacking: Stacking) -> bool:
    params = jax.eval_shape(stacking.plain.init, jax.random.key(0))
    few = stacking._replace(copies={name: own[:2] for name, own in stacking.copies.items()})
    far = {name for own in stacking.copies.values() for name in own[2:]}
    rng = np.random.default_rng(0)
    small = {
        key: jax.tree.map(lambda leaf: 10 * _drawn(rng, leaf.shape), theta)
        for key, theta in params.items()
        if key.removesuffix(".potential") not in far
    }
    slopes = jax.tree.map(lambda leaf: _drawn(rng, leaf.shape), small)
    try:
        sizes = [_size(optimiser, p) for p in (params, jax.eval_shape(stacking.stacked, params))]
        one, other = jax.jit(lambda: _moves(optimiser, few, small, slopes))()
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    largest = max((float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(one)), default=0.0)
    apart = _tree.norm(_tree.minus(one, other))
    return sizes[0] == sizes[1] and bool(apart <= _APART * largest)


def _drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Positive numbers, which any hyper-parameter may be."""
    return np.float32(rng.uniform(0.1, 1.0, [min(size, _SIDE) for size in shape]))


def _size(optimiser: Any, params: Params) -> int:
    """Entries of the optimiser's state."""
    return sum(
        math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(optimiser.init, params))
    )


def _moves(optimiser: Any, stacking: Stacking, params: Params, slopes: Params) -> tuple[Any, Any]:
    """How far some steps lead, of the layers and of the stacks, in the form of the layers."""
    import optax

    def walked(params: Params, slopes: Params) -> Params:
        def step(carry: Any, _: None) -> Any:
            theta, state, total = carry
            updates, state = optimiser.update(slopes, state, theta)
            total = jax.tree.map(jnp.add, total, updates)
            return (optax.apply_updates(theta, updates), state, total), None

        begin = params, optimiser.init(params), jax.tree.map(jnp.zeros_like, params)
        return scan(step, begin, jnp.arange(_STEPS))[0][2]

    whole = walked(stacking.stacked(params), stacking.stacked(slopes))
    return walked(params, slopes), stacking.unstacked(whole)
