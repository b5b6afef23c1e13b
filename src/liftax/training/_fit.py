"""`fit`: train a network by any method."""

from typing import Any

import jax
import jax.numpy as jnp

from liftax.data import Split
from liftax.methods import AbstractMethod
from liftax.networks import Network, Params
from liftax.objectives import LiftedEnergy
from liftax.training._engine import Problem, Transform, start
from liftax.training._prepare import Data, parts, prepare
from liftax.training._result import Result
from liftax.training._run import Callback, Checkpoints, Run


def fit(
    energy: LiftedEnergy | Network,
    data: Data | Split,
    method: AbstractMethod,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    validation: Data | None = None,
    transform: Transform | None = None,
    seed: int = 0,
    params: Params | None = None,
    dtype: Any = jnp.float32,
    checkpoints: Checkpoints | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
) -> Result:
    """Train a network.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        data: a `Split`, a `Dataset` or a pair of arrays (inputs, targets), samples first. Integer
            targets are class labels. An epoch visits each sample once in a new order; samples that
            do not fill a batch wait for the next epoch.
        method: for example ``liftax.OneSweep(optax.adam(1e-3))``.
        epochs: passes over the data (for full-batch methods: steps).
        batch_size: samples a step, at most all.
        validation: evaluated after every epoch; the test part if `data` is a `Split`.
        transform: (key, x, y) → (x, y) of a batch, with a new key every step: noise, flips. Not
            for full-batch methods. Validation data are taken as they are.
        seed: of initial parameters and order. The same seed gives the same bits on one machine.
        params: initial parameters instead of random ones.
        dtype: of parameters and activations.
        checkpoints: where to save, and whether to resume.
        progress: show a bar; None shows one on a terminal only.
        callback: called with each history row; returning True stops the run.

    Returns:
        A `Result`. A training loss that is not finite ends the run with that reason, without
        raising.

    Raises:
        ValueError: for data that does not fit, with a sentence on what to do.
    """
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, got {epochs} and {batch_size}")
    if transform is not None and method.full_batch:
        raise ValueError(
            f"transform: {type(method).__name__} keeps the activations of all samples from step to "
            "step, which new inputs would invalidate; transform the data, or use mini-batches"
        )
    train, held_out = parts(data, validation)
    x, y = prepare(energy, train, dtype, "data")
    check = None if held_out is None else prepare(energy, held_out, dtype, "validation")
    key = jax.random.key(seed)
    initial = energy.network.init(key, dtype) if params is None else params
    # The loop donates its buffers; the caller's parameters stay alive in this copy.
    initial = jax.tree.map(lambda p: jnp.array(p, dtype, copy=True), initial)
    size = min(batch_size, len(x))
    problem = Problem(energy, method, x, y, transform)
    carry = start(problem, initial, size, jax.random.fold_in(key, 1))
    return Run(problem, carry, check, seed, size, epochs, checkpoints).go(progress, callback)
