"""Compiled training steps, timed in turn."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import liftax
from liftax.methods import AbstractMethod
from liftax.networks import Network

SECONDS = 0.3


class Step:
    """A step on a random mini-batch, compiled alone, with donated buffers.

    Attributes:
        counts: operations and bytes, as the compiler counts them.
        start: seconds of tracing, compiling and running the start.
        compile: seconds of tracing and compiling the step.
    """

    def __init__(
        self,
        network: Network,
        method: AbstractMethod,
        size: int,
        products: Any = None,
        stack: bool = False,
    ):
        energy = liftax.LiftedEnergy(network)
        stacked = energy.stacked() if stack else None
        energy = energy if stacked is None else stacked[0]
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.random((size, *network.input_shape), np.float32))
        shape = network.shapes[network.output]
        y = x if len(shape) > 1 else jnp.eye(shape[0])[rng.integers(0, shape[0], size)]

        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            done = method.step(energy, params, state, x, y)
            return done.params, done.state

        move = step if products is None else liftax.rounded_products(step, products)
        params = network.init(jax.random.key(0))
        params = params if stacked is None else stacked[1].stacked(params)
        start = functools.partial(method.init, energy)
        begin = time.process_time()
        state = jax.jit(start)(params, x, y, jax.random.key(1))
        jax.block_until_ready(state)
        self.start = time.process_time() - begin
        begin = time.process_time()
        lowered = jax.jit(move, donate_argnums=(0, 1)).lower(params, state, x, y)
        self._step = lowered.compile()
        self.compile = time.process_time() - begin
        self._carry, self._data = (params, state), (x, y)
        self.counts: Any = self._step.cost_analysis()
        self._count = 1
        self.seconds()
        self._count = max(1, round(SECONDS / self.seconds()))

    def seconds(self) -> float:
        """Processor time of a step."""
        begin = time.process_time()
        for _ in range(self._count):
            self._carry = self._step(*self._carry, *self._data)
        jax.block_until_ready(self._carry)
        return (time.process_time() - begin) / self._count

    @property
    def peak(self) -> int:
        """Bytes: arguments, results that are not among these, and what is kept in between."""
        found = self._step.memory_analysis()
        own = found.output_size_in_bytes - found.alias_size_in_bytes
        return found.argument_size_in_bytes + own + found.temp_size_in_bytes
