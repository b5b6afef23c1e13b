"""What a training step needs of memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from liftax.methods import AbstractMethod
from liftax.networks import Network
from liftax.objectives import LiftedEnergy


class Memory(NamedTuple):
    """Bytes of one compiled training step, as the compiler states them.

    Attributes:
        temporary: buffers that live inside the step: activations, signals, gradients.
        arguments: parameters, the method's state, the batch.
    """

    temporary: int
    arguments: int

    @property
    def peak(self) -> int:
        """Both together."""
        return self.temporary + self.arguments


def step_memory(energy: LiftedEnergy | Network, method: AbstractMethod, batch_size: int) -> Memory:
    """Memory of a step of the method on a batch, compiled but not run.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        method: a training method.
        batch_size: samples.

    Raises:
        ValueError: for a batch without samples, and where the compiler does not tell.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    shapes, output = energy.network.shapes, energy.network.output
    x = jax.ShapeDtypeStruct((batch_size, *energy.network.input_shape), jnp.float32)
    y = jax.ShapeDtypeStruct((batch_size, *shapes[output]), jnp.float32)
    key = jax.random.key(0)
    params = jax.eval_shape(energy.network.init, key)
    state = jax.eval_shape(lambda p, x, y: method.init(energy, p, x, y, key), params, x, y)
    step = jax.jit(lambda *given: method.step(energy, *given))
    found = step.lower(params, state, x, y).compile().memory_analysis()
    if found is None:
        raise ValueError("this backend's compiler does not say what a program needs of memory")
    return Memory(found.temp_size_in_bytes, found.argument_size_in_bytes)
