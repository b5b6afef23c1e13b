"""Back-propagation by JAX, equinox and optax, compiled: what a user without a library writes."""

import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from _worker import batch, serve


def build(widths: list[int], iterations: int) -> Any:
    """ReLU layers, cross-entropy, Adam; the iterations of inference play no part."""
    keys = jax.random.split(jax.random.key(0), len(widths))
    layers = [
        eqx.nn.Linear(m, n, key=k)
        for (m, n), k in zip(itertools.pairwise(widths), keys, strict=False)
    ]
    x, y = (jnp.asarray(a) for a in batch(widths))
    optimiser = optax.adam(1e-3)
    carry = [layers, optimiser.init(layers)]

    def loss(layers: Any, x: Any, y: Any) -> Any:
        for layer in layers[:-1]:
            x = jax.nn.relu(jax.vmap(layer)(x))
        return optax.softmax_cross_entropy(jax.vmap(layers[-1])(x), y).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def train(layers: Any, state: Any, x: Any, y: Any) -> Any:
        updates, state = optimiser.update(jax.grad(loss)(layers, x, y), state, layers)
        return optax.apply_updates(layers, updates), state

    def step() -> None:
        carry[:] = train(*carry, x, y)
        jax.block_until_ready(carry)

    return step


if __name__ == "__main__":
    serve(build)
