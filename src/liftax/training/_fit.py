"""`fit`: train a network by any method."""

import contextlib
import dataclasses
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from liftax._solution import Reason
from liftax.data import Split
from liftax.methods import AbstractMethod
from liftax.networks import Network, Params
from liftax.objectives import LiftedEnergy
from liftax.training._checkpoint import latest_checkpoint, save_checkpoint
from liftax.training._engine import (
    Carry,
    Problem,
    Totals,
    advance,
    evaluate,
    inspect,
    shuffle,
    start,
)
from liftax.training._history import History
from liftax.training._prepare import Data, parts, prepare
from liftax.training._progress import Bar, Progress, Silent, on_terminal

_INSPECTED = 512


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved.

    Attributes:
        folder: created if missing.
        every: steps between saves; None saves after every epoch.
        resume: continue from the newest valid checkpoint in the folder, if there is one. The resumed
            run ends bit-identical to one that was never interrupted.
    """

    folder: str | Path
    every: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1 step, got {self.every}")


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained network.

    Attributes:
        energy: what was minimised, with the network in it.
        params: the parameters.
        history: one row per epoch.
        reason: why the run stopped; ``str(reason)`` is a sentence.
        steps: parameter updates made.
        seconds: time spent in training steps, without compilation and evaluation.
        compile_seconds: time to compile them.
    """

    energy: LiftedEnergy
    params: Params
    history: History
    reason: Reason
    steps: int
    seconds: float
    compile_seconds: float

    def predict(self, x: Any) -> Array:
        """The network's output for a batch, in the dtype of the parameters."""
        network = self.energy.network
        dtype = jax.tree.leaves(self.params)[0].dtype
        inputs = jnp.asarray(x, dtype).reshape(-1, *network.input_shape)
        return eqx.filter_jit(network)(self.params, inputs)


def fit(
    energy: LiftedEnergy | Network,
    data: Data | Split,
    method: AbstractMethod,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    validation: Data | None = None,
    seed: int = 0,
    params: Params | None = None,
    dtype: Any = jnp.float32,
    checkpoints: Checkpoints | None = None,
    progress: bool | None = None,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
) -> Result:
    """Train a network.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        data: a `Split`, a `Dataset` or a pair of arrays (inputs, targets), samples first. Integer
            targets are class labels. An epoch visits each sample once in a new order; samples that do
            not fill a batch wait for the next epoch.
        method: for example ``liftax.OneSweep(optax.adam(1e-3))``.
        epochs: passes over the data (for full-batch methods: steps).
        batch_size: samples a step, at most all.
        validation: evaluated after every epoch; the test part if `data` is a `Split`.
        seed: of initial parameters and order. The same seed gives the same bits on one machine.
        params: initial parameters instead of random ones.
        dtype: of parameters and activations.
        checkpoints: where to save, and whether to resume.
        progress: show a bar; None shows one on a terminal only.
        callback: called with each history row; returning True stops the run.

    Returns:
        A `Result`. A training loss that is not finite ends the run with that reason, without raising.

    Raises:
        ValueError: for data that does not fit, with a sentence on what to do.
    """
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, got {epochs} and {batch_size}")
    train, held_out = parts(data, validation)
    x, y = prepare(energy, train, dtype, "data")
    check = None if held_out is None else prepare(energy, held_out, dtype, "validation")
    key = jax.random.key(seed)
    if params is None:
        params = energy.network.init(key, dtype)
    # The loop donates its buffers; the caller's parameters stay alive in this copy.
    params = jax.tree.map(lambda p: jnp.array(p, dtype, copy=True), params)
    size = min(batch_size, len(x))
    problem = Problem(energy, method, x, y)
    carry = start(problem, params, size, jax.random.fold_in(key, 1))
    run = _Run(problem, carry, check, seed, size, epochs, checkpoints)
    return run.go(progress, callback)


class _Run:
    """One call of `fit`: the host side of the loop."""

    def __init__(
        self,
        problem: Problem,
        carry: Carry,
        check: tuple[Array, Array] | None,
        seed: int,
        size: int,
        epochs: int,
        checkpoints: Checkpoints | None,
    ):
        self.problem, self.carry, self.check = problem, carry, check
        self.seed, self.size, self.epochs, self.checkpoints = seed, size, epochs, checkpoints
        self.samples = len(problem.x)
        self.per_epoch = 1 if problem.method.full_batch else self.samples // size
        self.step, self.seconds, self.history = 0, 0.0, History()
        self.fingerprint = "" if checkpoints is None else _fingerprint(problem, seed, size)
        if checkpoints is not None and checkpoints.resume:
            self.restore(checkpoints)

    def go(
        self, progress: bool | None, callback: Callable[[dict[str, Any]], bool | None] | None
    ) -> Result:
        begin = time.perf_counter()
        self.move(jnp.arange(self.samples), 0, 0)
        compile_seconds = time.perf_counter() - begin
        if not self.history:
            self.history.rows.append({"epoch": 0, "step": 0, "seconds": 0.0, **self.observed()})
        shown = on_terminal() if progress is None else progress
        label, batch = type(self.problem.method).__name__, self.size
        total = self.epochs * self.per_epoch
        with Bar(label, total, batch) if shown else contextlib.nullcontext(Silent()) as bar:
            reason = self.loop(bar, callback, shown)
        return Result(
            self.problem.energy,
            self.carry.params,
            self.history,
            reason,
            self.step,
            self.seconds,
            compile_seconds,
        )

    def loop(self, bar: Progress, callback: Any, shown: bool) -> Reason:
        pieces = 20 if shown else 1
        while self.step < self.epochs * self.per_epoch:
            epoch, first = divmod(self.step, self.per_epoch)
            order = shuffle(np.uint32(self.seed), np.uint32(epoch), self.samples)
            while first < self.per_epoch:
                last = min(first + max(self.per_epoch // pieces, 1), self.per_epoch)
                every = self.checkpoints.every if self.checkpoints else None
                if every:
                    last = min(last, first + every - self.step % every)
                self.move(order, first, last)
                first = last
                figures = self.means(last)
                bar.update(self.step, figures)
                if not np.isfinite(figures["loss"]):
                    self.close_epoch(epoch + 1, figures)
                    return Reason.NOT_FINITE
                if every and self.step % every == 0 and first < self.per_epoch:
                    self.save()
            self.close_epoch(epoch + 1, self.means(self.per_epoch))
            self.save()
            if callback is not None and callback(self.history.last):
                return Reason.STOPPED
        return Reason.COMPLETED

    def move(self, order: Array, first: int, last: int) -> None:
        """Steps ``first`` to ``last`` of the epoch; with none of them, compile only."""
        begin = time.perf_counter()
        span = (order, jnp.asarray(first, jnp.int32), jnp.asarray(last, jnp.int32), self.size)
        self.carry = jax.block_until_ready(advance(self.problem, self.carry, span))
        self.step += last - first
        if last > first:
            self.seconds += time.perf_counter() - begin

    def means(self, steps: int) -> dict[str, float]:
        name = "accuracy" if self.labels else "mse"
        totals = self.carry.totals
        return {"loss": float(totals.loss) / steps, name: float(totals.metric) / steps}

    @property
    def labels(self) -> bool:
        return bool(jnp.issubdtype(self.problem.y.dtype, jnp.integer))

    def close_epoch(self, epoch: int, figures: dict[str, float]) -> None:
        row = {"epoch": epoch, "step": self.step, "seconds": self.seconds, **figures}
        self.history.rows.append({**row, **self.observed()})
        zero = jnp.zeros_like(self.carry.totals.loss)
        self.carry = self.carry._replace(totals=Totals(zero, jnp.copy(zero)))

    def observed(self) -> dict[str, float]:
        """Energy and gaps at the method's activations, and the validation figures."""
        value, gaps = inspect(self.problem, self.carry.params, self.carry.state, _INSPECTED)
        row = {"energy": float(value), **{f"gap/{n}": float(g) for n, g in gaps.items()}}
        if self.check is not None:
            loss, metric = evaluate(self.problem.energy, self.carry.params, *self.check)
            name = "accuracy" if self.labels else "mse"
            row |= {"validation_loss": float(loss), f"validation_{name}": float(metric)}
        return row

    def save(self) -> None:
        if self.checkpoints is None:
            return
        arrays, _ = eqx.partition(self.carry, eqx.is_array)
        meta = {"rows": self.history.rows, "seconds": self.seconds}
        save_checkpoint(self.checkpoints.folder, self.step, arrays, meta, self.fingerprint)

    def restore(self, checkpoints: Checkpoints) -> None:
        arrays, rest = eqx.partition(self.carry, eqx.is_array)
        found = latest_checkpoint(checkpoints.folder, arrays, self.fingerprint)
        if found is None:
            return
        self.carry = eqx.combine(jax.tree.map(jnp.asarray, found.tree), rest)
        self.step, self.seconds = found.step, found.meta["seconds"]
        self.history = History(found.meta["rows"])


def _fingerprint(problem: Problem, seed: int, size: int) -> str:
    """What must agree for a checkpoint to continue this run; optimiser constants are not seen."""
    named = re.sub(r" at 0x[0-9a-f]+", "", repr((problem.energy, problem.method)))
    data = [zlib.crc32(np.ascontiguousarray(a).view(np.uint8)) for a in (problem.x, problem.y)]
    code = zlib.crc32(named.encode())
    return f"program {code:08x}, data {data[0]:08x}/{data[1]:08x}, seed {seed}, batch {size}"
