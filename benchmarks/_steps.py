"""Compiled training steps, timed in turn."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import liftax
from liftax._iterate import repeat
from liftax.blocks import AbstractOrder, ProximalGradient, start_sweeps, sweep_states
from liftax.methods import AbstractMethod
from liftax.networks import INPUT, Network

SECONDS, INNER = 0.3, 20


def clock() -> float:
    """Seconds of the process on its processor; where an accelerator computes, those of a watch."""
    return time.process_time() if jax.default_backend() == "cpu" else time.perf_counter()


class Timed:
    """A compiled program whose results are its next arguments.

    On an accelerator many follow each other in one program, as in an epoch.

    Attributes:
        compile: seconds of tracing and compiling.
        counts: operations and bytes, as the compiler counts them.
    """

    def __init__(self, program: Any, carry: tuple[Any, ...], *data: Any):
        begin = clock()
        donated = tuple(range(len(carry)))
        self._inner = 1 if jax.default_backend() == "cpu" else INNER
        looped = program if self._inner == 1 else _repeated(program, len(carry), self._inner)
        self._program = jax.jit(looped, donate_argnums=donated).lower(*carry, *data).compile()
        self.compile = clock() - begin
        self._carry, self._data = carry, data
        self.counts: Any = self._program.cost_analysis()
        self._count = 1
        self.seconds()
        self._count = max(1, round(SECONDS / self.seconds() / self._inner))

    def seconds(self) -> float:
        """Seconds of one."""
        begin = clock()
        for _ in range(self._count):
            self._carry = self._program(*self._carry, *self._data)
        jax.block_until_ready(self._carry)
        return (clock() - begin) / self._count / self._inner

    @property
    def peak(self) -> int:
        """Bytes: arguments, results that are not among these, and what is kept in between."""
        found = self._program.memory_analysis()
        own = found.output_size_in_bytes - found.alias_size_in_bytes
        return found.argument_size_in_bytes + own + found.temp_size_in_bytes


def _repeated(program: Any, size: int, times: int) -> Any:
    """The program, so many times in a row; the first `size` arguments are carried on."""

    def several(*given: Any) -> Any:
        return repeat(lambda carry: tuple(program(*carry, *given[size:])), given[:size], times)

    return several


class Problem:
    """A network's energy, with its equal layers as stacks or not, and a random mini-batch."""

    def __init__(self, network: Network, size: int, stack: bool):
        energy = liftax.LiftedEnergy(network)
        stacked = energy.stacked() if stack else None
        self.energy = energy if stacked is None else stacked[0]
        rng = np.random.default_rng(0)
        self.x = jnp.asarray(rng.random((size, *network.input_shape), np.float32))
        shape = network.shapes[network.output]
        labels = rng.integers(0, shape[0], size)
        self.y = self.x if len(shape) > 1 else jnp.eye(shape[0])[labels]
        params = network.init(jax.random.key(0))
        self.params = params if stacked is None else stacked[1].stacked(params)


class Step(Timed):
    """A step of a method on a mini-batch, compiled alone, with donated buffers.

    The loss is summed up, as by `fit`; unless it is `reported`, what only it needs is left out.

    Attributes:
        start: seconds of tracing, compiling and running the start.
    """

    def __init__(
        self,
        network: Network,
        method: AbstractMethod,
        size: int,
        products: Any = None,
        stack: bool = False,
        reported: bool = True,
    ):
        given = Problem(network, size, stack)

        def step(params: Any, state: Any, loss: Any, x: Any, y: Any) -> Any:
            done = method.step(given.energy, params, state, x, y)
            return done.params, done.state, loss + done.loss if reported else loss

        move = step if products is None else liftax.rounded_products(step, products)
        begin = clock()
        start = jax.jit(functools.partial(method.init, given.energy))
        state = jax.block_until_ready(start(given.params, given.x, given.y, jax.random.key(1)))
        self.start = clock() - begin
        super().__init__(move, (given.params, state, jnp.zeros(())), given.x, given.y)


class OfSweep(Timed):
    """A sweep over the activations alone, by proximal gradient steps, with stacks."""

    def __init__(self, network: Network, order: AbstractOrder, size: int):
        given = Problem(network, size, stack=True)
        energy, how, output = given.energy, ProximalGradient(), given.energy.network.output

        def start(params: Any, x: Any, y: Any) -> Any:
            states, _, _ = energy.clamp(x, y, params)
            z, key = energy.preactivations(params, states), jax.random.key(1)
            memory = start_sweeps(energy, order, how, params, states, z, key)
            return {k: states[k] for k in energy.network.hidden}, memory

        def sweep(states: Any, memory: Any, params: Any, x: Any, y: Any) -> Any:
            states = {INPUT: x, **states, output: y}
            z = energy.preactivations(params, states)
            done = sweep_states(energy, order, how, params, states, z, memory)
            return {k: done.states[k] for k in energy.network.hidden}, done.memory

        begin = clock()
        carry = jax.block_until_ready(jax.jit(start)(given.params, given.x, given.y))
        self.start = clock() - begin
        super().__init__(sweep, carry, given.params, given.x, given.y)
