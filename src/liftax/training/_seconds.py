"""What a training step needs of time."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from liftax.methods import AbstractMethod
from liftax.networks import Network
from liftax.objectives import LiftedEnergy


def step_seconds(
    energy: LiftedEnergy | Network,
    methods: Mapping[str, AbstractMethod],
    batch_size: int,
    rounds: int = 5,
    seconds: float = 0.3,
) -> dict[str, list[float]]:
    """Processor seconds of a step of each method, which take turns: A B A B.

    Processor time counts what this process computes, on all of its threads, and not what else
    keeps the machine busy; it says nothing about an accelerator. Compilation is left out.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        methods: by label.
        batch_size: samples, random ones of the network's shapes.
        rounds: how many turns each has.
        seconds: of a turn, about; at least one step.

    Returns:
        label → one number a round.

    Raises:
        ValueError: for a batch without samples, or no rounds.
    """
    if batch_size < 1 or rounds < 1:
        raise ValueError(f"batch_size and rounds must be at least 1, got {batch_size} and {rounds}")
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    turns = {label: _Turn(energy, method, batch_size) for label, method in methods.items()}
    counts = {label: max(1, round(seconds / turn(1))) for label, turn in turns.items()}
    found: dict[str, list[float]] = {label: [] for label in methods}
    for _ in range(rounds):
        for label, turn in turns.items():
            found[label].append(turn(counts[label]))
    return found


class _Turn:
    """A compiled step, and where it stands."""

    def __init__(self, energy: LiftedEnergy, method: AbstractMethod, batch_size: int):
        network, key = energy.network, jax.random.key(0)
        shapes = network.input_shape, network.shapes[network.output]
        self._x, self._y = (jax.random.normal(key, (batch_size, *s), jnp.float32) for s in shapes)
        params = network.init(key, jnp.float32)

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def step(params: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
            done = method.step(energy, params, state, x, y)
            return done.params, done.state

        state = method.init(energy, params, self._x, self._y, key)
        # Buffers that are donated may stand in one place only.
        self._carry = jax.device_put((params, state), may_alias=False)
        self._step: Callable[..., tuple[Any, Any]] = step
        self(1)

    def __call__(self, count: int) -> float:
        begin = time.process_time()
        for _ in range(count):
            self._carry = self._step(*self._carry, self._x, self._y)
        jax.block_until_ready(self._carry)
        return (time.process_time() - begin) / count
