"""Lifted training by liftax: forward pass, sweeps over the activations, one step on the weights."""

import sys
from typing import Any

import jax
import optax
from _worker import batch, serve

import liftax
from liftax.blocks import GaussSeidel, Jacobi


def build(widths: list[int], iterations: int) -> Any:
    """The step of `Contrastive` with β = 1, whose free phase is the forward pass, compiled."""
    network = liftax.mlp(widths)
    energy = liftax.LiftedEnergy(network)
    order = Jacobi() if "jacobi" in sys.argv else GaussSeidel()
    method = liftax.Contrastive(optax.adam(1e-3), beta=1.0, inner=iterations, order=order)
    x, y = (jax.numpy.asarray(a) for a in batch(widths))
    params = network.init(jax.random.key(0))
    carry = [params, method.init(energy, params, x, y, jax.random.key(1))]

    def move(params: Any, state: Any) -> Any:
        done = method.step(energy, params, state, x, y)
        return done.params, done.state

    if "bfloat16" in sys.argv:
        move = liftax.rounded_products(move)
    train = jax.jit(move, donate_argnums=(0, 1))

    def step() -> None:
        carry[:] = train(*carry)
        jax.block_until_ready(carry)

    return step


if __name__ == "__main__":
    serve(build)
