"""The host side of training: epochs, checkpoints, history."""

import contextlib
import dataclasses
import signal
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array

from liftax._files import writable_folder
from liftax._solution import Reason
from liftax.networks import Params
from liftax.parallel import fetched
from liftax.training._batches import Batches
from liftax.training._checkpoint import latest_checkpoint
from liftax.training._closures import constants
from liftax.training._descent import StreamedDescent
from liftax.training._engine import (
    Carry,
    Problem,
    Span,
    advance,
    cleared,
    evaluate,
    inspect,
    placed,
    settle,
    shuffle,
)
from liftax.training._history import History
from liftax.training._notice import Notice
from liftax.training._progress import Bar, Progress, Silent, on_terminal
from liftax.training._result import Result
from liftax.training._saver import Saver
from liftax.training._stacking import Layers
from liftax.training._stages import Stages
from liftax.training._stream import Stream

Callback = Callable[[History, Params], bool | None]

INSPECTED = 512


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved.

    Attributes:
        folder: created if missing.
        every: steps between saves; None saves after every epoch.
        resume: continue from the newest valid checkpoint in the folder, if there is one. The
            resumed run ends bit-identical to one that was never interrupted, on another number of
            devices or processes equal to rounding.
        keep: complete checkpoints that stay; with 2, one damaged later leaves one to go back to.

    Files appear whole or not at all, and are written while training goes on. SIGTERM (a cluster
    that wants its machine back) saves the step that is reached and ends the program with a sentence
    and the code 143. With several processes the folder must be one that all of them see.

    Raises:
        ValueError: for numbers below 1.
    """

    folder: str | Path
    every: int | None = None
    resume: bool = False
    keep: int = 2

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1 step, got {self.every}")
        if self.keep < 1:
            raise ValueError(f"keep must be at least 1 checkpoint, got {self.keep}; 2 is usual")


class Run:
    """One call of `fit`: starts the compiled pieces, writes down what they did."""

    def __init__(
        self,
        problem: tuple[Problem, Layers, StreamedDescent | Stages | None],
        carry: Carry,
        data: tuple[Stream | Batches, tuple[Array, Array] | None],
        seed: int,
        size: int,
        epochs: tuple[int, int],
        checkpoints: Checkpoints | None,
    ):
        self.problem, self.layers, own = problem
        self.descent = own if isinstance(own, StreamedDescent) else None
        self.stages = own if isinstance(own, Stages) else None
        self.carry = carry
        self.source, self.check = data
        self.stream = self.source if self.source.steps else None
        self.seed, self.size, self.checkpoints = seed, size, checkpoints
        self.epochs, self.report = epochs
        self.reported = True
        self.samples = self.source.samples
        self.per_epoch = 1 if self.problem.method.full_batch else self.samples // size
        self.step, self.seconds, self.history = 0, 0.0, History()
        self.fingerprint = "" if checkpoints is None else self.identity()
        self.saver: Saver | None = None
        if checkpoints is not None:
            folder = writable_folder(checkpoints.folder, "checkpoints.folder")
            self.saver = Saver(folder, checkpoints.keep, self.fingerprint, self.problem.place)
        if checkpoints is not None and checkpoints.resume:
            self.restore(checkpoints)

    def go(self, progress: bool | None, callbacks: Sequence[Callback]) -> Result:
        shown = on_terminal() if progress is None else progress
        # Between pieces the bar moves, and a signal is noticed; processes have the same pieces.
        several = jax.process_count() > 1
        piece = max(self.per_epoch // (20 if shown or self.saver or several else 1), 1)
        shown = shown and jax.process_index() == 0
        if self.stream is not None:  # a block that is longer than a piece would be fetched again
            self.stream = self.stream.shortened(piece)
        begin = time.perf_counter()
        for reported in (True,) if self.report == 1 else (False, True):
            self.reported = reported
            self.move(self.epoch(0), 0, 0)
        compile_seconds = time.perf_counter() - begin
        if not self.history:
            self.history.rows.append({"epoch": 0, "step": 0, "seconds": 0.0, **self.observed()})
        label, total = type(self.problem.method).__name__, self.epochs * self.per_epoch
        per_step = self.samples if self.problem.method.full_batch else self.size
        bar = Bar(label, total, per_step) if shown else contextlib.nullcontext(Silent())
        with bar as shower, Notice(self.saver is not None) as notice:
            reason = self.loop(shower, notice, callbacks, piece)
        if self.saver is not None:
            self.saver.wait()
        return Result(
            self.layers.energy,
            self.plain(),
            self.carry.state,
            self.history,
            reason,
            self.step,
            self.seconds,
            compile_seconds,
            self.problem.place,
        )

    def loop(
        self, bar: Progress, notice: Notice, callbacks: Sequence[Callback], piece: int
    ) -> Reason:
        while self.step < self.epochs * self.per_epoch:
            epoch, first = divmod(self.step, self.per_epoch)
            order = self.epoch(epoch)
            self.reported = (epoch + 1) % self.report == 0 or epoch + 1 == self.epochs
            while first < self.per_epoch:
                last = min(first + piece, self.per_epoch)
                every = self.checkpoints.every if self.checkpoints else None
                if every:
                    last = min(last, first + every - self.step % every)
                self.move(order, first, last)
                first = last
                figures = self.means(last)
                bar.update(self.step, figures)
                if not np.isfinite(figures.get("loss", 0.0)):
                    self.close_epoch(epoch + 1, figures)
                    return Reason.NOT_FINITE
                if first < self.per_epoch:
                    wanted = notice.came(self.step)
                    if wanted or (every and self.step % every == 0):
                        self.save()
                    if wanted:
                        self.leave()
            if self.reported:
                self.close_epoch(epoch + 1, self.means(self.per_epoch))
            self.save()
            if notice.came(self.step):
                self.leave()
            # All of them are called, also those behind one that stops the run.
            params = self.plain() if callbacks and self.reported else {}
            if self.reported and any([callback(self.history, params) for callback in callbacks]):
                return Reason.STOPPED
        return Reason.COMPLETED

    def plain(self) -> Params:
        """The parameters for the user, those of other processes too."""
        params = self.carry.params
        params = self.layers.plain(params if self.stages is None else self.stages.plain(params))
        return params if jax.process_count() == 1 else jax.tree.map(_whole, params)

    def epoch(self, number: int) -> tuple[Array, Array]:
        """Order and key."""
        place = self.problem.place
        seed, epoch = (_number(n, np.uint32) for n in (self.seed, number))
        return shuffle(seed, epoch, self.samples, place)

    def move(self, order: tuple[Array, Array], first: int, last: int) -> None:
        """Steps ``first`` to ``last`` of the epoch; with none of them, compile only."""
        begin = time.perf_counter()
        if self.descent is not None:
            if last > first:
                self.carry = self.descent.step(self.carry, self.reported)
        elif self.stream is None:
            self.advance(self.problem, order, (0, first, last))
        else:
            self.flow(self.stream, order, first, last)
        self.carry = jax.block_until_ready(self.carry)
        self.step += last - first
        if last > first:
            self.seconds += time.perf_counter() - begin

    def advance(
        self, problem: Problem, order: tuple[Array, Array], steps: tuple[int, int, int]
    ) -> None:
        first, start, stop = (_number(t) for t in steps)
        problem = problem._replace(reported=self.reported)
        span = Span(*order, first, start, stop, self.size)
        run = advance if self.stages is None else self.stages.advance
        self.carry = run((problem, span), self.carry)

    def flow(
        self, stream: Stream | Batches, order: tuple[Array, Array], first: int, last: int
    ) -> None:
        """The same steps; while a block is computed the next one is fetched."""
        own: Any = np.arange(stream.steps * self.size)
        for start, stop, x, y in stream.blocks(np.asarray(order[0]), self.size, first, last):
            problem = self.problem._replace(x=x, y=y)
            self.advance(problem, (own, order[1]), (start, start, stop))

    def identity(self) -> str:
        """What must agree for a checkpoint to continue this run."""
        problem = self.problem
        parts = (self.layers.energy, problem.method, problem.transform)
        # A run without rounded products and stacks keeps the name that it had before there were
        # any. In how many parts devices hold the copies of a stack does not matter.
        rounded = () if problem.products is None else (str(problem.products),)
        stacks = tuple(sorted(problem.copies.items()))
        code = zlib.crc32(constants((*parts, *rounded, *stacks)).encode())
        streamed = "" if self.descent is None else ", streamed"
        return (
            f"program {code:08x}, data {self.source.identity}, seed {self.seed}, batch {self.size}"
            f"{streamed}"
        )

    def means(self, steps: int) -> dict[str, float]:
        """Of the running epoch; nothing if that is not reported."""
        if not self.reported:
            return {}
        name = "accuracy" if self.labels else "mse"
        totals = fetched(self.carry.totals)
        return {"loss": float(totals.loss) / steps, name: float(totals.metric) / steps}

    @property
    def labels(self) -> bool:
        return bool(jnp.issubdtype(self.problem.y.dtype, jnp.integer))

    def close_epoch(self, epoch: int, figures: dict[str, float]) -> None:
        row = {"epoch": epoch, "step": self.step, "seconds": self.seconds, **figures}
        self.history.rows.append({**row, **self.observed()})
        clear = cleared if self.stages is None else self.stages.cleared
        self.carry = self.carry._replace(totals=clear(self.carry.totals))

    def observed(self) -> dict[str, float]:
        """Energy and gaps at the method's activations, and the validation figures."""
        parts: dict[str, Array] = {}
        if self.descent is None:
            carry = self.carry
            look = inspect if self.stages is None else self.stages.inspect
            found = look(self.problem, carry.params, carry.state, INSPECTED)
            value, parts, gaps = fetched(found)  # at once: there is a number a layer
        else:
            value, gaps = fetched(self.descent.look(self.carry))
        row = {"energy": float(value)}
        for column, found in (("energy", parts), ("gap", gaps)):
            row |= {f"{column}/{name}": value for name, value in self.layers.apart(found).items()}
        if self.check is not None:
            place = self.problem.place
            look = evaluate if self.stages is None else self.stages.evaluate
            loss, metric = look(self.problem.energy, self.carry.params, *self.check, place)
            name = "accuracy" if self.labels else "mse"
            row |= {"validation_loss": float(loss), f"validation_{name}": float(metric)}
        return row

    def save(self) -> None:
        if self.saver is None:
            return
        arrays, _ = eqx.partition(self.carry, eqx.is_array)
        axes = jax.tree.map(lambda _: -1, arrays)
        if self.problem.axes is not None:
            axes = axes._replace(state=self.problem.axes)
        meta = {"rows": list(self.history.rows), "seconds": self.seconds}
        parts = None if self.descent is None else self.descent.saved
        self.saver.save(self.step, arrays, axes, meta, parts)

    def leave(self) -> None:
        """End the program after SIGTERM, with what is needed to go on."""
        assert self.saver is not None
        self.saver.wait()
        if jax.process_index() == 0:
            folder, epoch = str(self.saver.folder), self.step / self.per_epoch
            print(
                f"liftax: SIGTERM: saved step {self.step} (epoch {epoch:.2f} of {self.epochs}) in "
                f"{folder!r}; run the same program with "
                f"liftax.Checkpoints({folder!r}, resume=True) to go on",
                file=sys.stderr,
                flush=True,
            )
        raise SystemExit(128 + signal.SIGTERM)

    def restore(self, checkpoints: Checkpoints) -> None:
        arrays, rest = eqx.partition(self.carry, eqx.is_array)
        rows = None if self.descent is None else self.descent.restore
        found = latest_checkpoint(checkpoints.folder, arrays, self.fingerprint, rows)
        if found is None:
            return
        self.carry = eqx.combine(self.laid(found.tree), rest)
        self.step, self.seconds = found.step, found.meta["seconds"]
        self.history = History(found.meta["rows"])

    def laid(self, tree: Carry) -> Carry:
        """A carry from the host on the devices."""
        place = self.problem.place
        if place is None:
            return jax.device_put(tree, may_alias=False)  # the loop donates its buffers
        if self.descent is not None:
            return jax.tree.map(lambda leaf: place.put(leaf, place.everywhere), tree)
        if self.stages is not None:
            return self.stages.laid(self.problem, tree)
        arrays = jax.tree.map(place.put, tree, placed(self.problem, tree))
        return settle(self.problem, arrays)  # a copy: the loop donates its buffers


def _whole(leaf: jax.Array) -> Array:
    """An array that every process has; on the host, if it lay on the devices of several."""
    if leaf.is_fully_replicated:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


def _number(value: int, dtype: Any = np.int32) -> Any:
    """For a program; on the host, where every process may take it from."""
    return np.asarray(value, dtype)
