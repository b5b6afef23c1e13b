"""Checkpoints that are written while training goes on."""

import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

from liftax.parallel import Placement, writer
from liftax.training._checkpoint import Part, named_leaves, save_checkpoint, save_part


class Saver:
    """Copies what is to be saved, and writes it in a thread: one checkpoint at a time.

    With several processes each writes its own part, of samples and of layers; the folder is one
    that all of them see.

    Attributes:
        folder: of the checkpoints.
        keep: how many complete ones stay.
        fingerprint: of the run.
        place: of the arrays.

    Raises:
        ValueError: where the samples of a process do not follow one another.
    """

    def __init__(self, folder: str | Path, keep: int, fingerprint: str, place: Placement | None):
        self.folder, self.keep = Path(folder), keep
        self.fingerprint, self.place = fingerprint, place
        if place is not None:
            place.check_rows()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        word = np.frombuffer(secrets.token_bytes(4), np.uint32)
        if jax.process_count() > 1:
            word = np.asarray(multihost_utils.broadcast_one_to_all(word))
        self._life = f"{int(word[0]):08x}"

    def save(
        self,
        step: int,
        tree: Any,
        axes: Any,
        meta: dict[str, Any],
        parts: Callable[[str], Iterable[Part]] | None = None,
    ) -> None:
        """Save a tree of device arrays, which may change as soon as this returns.

        `axes` tells which axis of each holds samples, -1 for none. `parts` is what lies beside the
        tree, in files that the next step changes: it is written before this returns.

        Raises:
            OSError: if the checkpoint before could not be written, with its path and a cure.
        """
        self.wait()
        own = () if parts is None else parts(self._life)
        if jax.process_count() > 1:
            divided = any(axis >= 0 for axis in jax.tree.leaves(axes))
            if parts is None and (divided or any(map(writer, jax.tree.leaves(tree)))):
                whole = jax.tree.map(self._of_samples, tree, axes)
                own = [_part(whole, axes, self._life)]
            tree = jax.tree.map(self._common, tree, axes)
        else:
            # A copy: the array may be a view of memory that the next step is given.
            tree = jax.tree.map(np.array, tree)

        def write() -> None:
            self.folder.mkdir(parents=True, exist_ok=True)
            last = None
            for part in own:
                save_part(self.folder, step, part)
                last = part
            if jax.process_index() == 0:
                given = (self.folder, step, tree, meta, self.fingerprint)
                save_checkpoint(*given, keep=self.keep, part=last)

        self._thread = threading.Thread(target=self._run, args=(write,))
        self._thread.start()
        if parts is not None:
            self.wait()

    def wait(self) -> None:
        """Until the last checkpoint is on the disk.

        Raises:
            OSError: if it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if isinstance(error, OSError):
            raise OSError(
                f"checkpoints: cannot write to {str(self.folder)!r} ({error.strerror}); the "
                "checkpoints before are whole: make room or give another folder, and resume"
            ) from error
        if error is not None:
            raise error

    def _run(self, write: Callable[[], None]) -> None:
        try:
            write()
        except BaseException as error:  # raised where the thread is waited for
            self._error = error

    def _of_samples(self, leaf: jax.Array, axis: int) -> jax.Array:
        """An array divided by samples only: layers that are divided too are gathered."""
        if axis < 0 or self.place is None:
            return leaf
        # Layers on stages are on devices of their own, divided by samples only.
        where = self.place.samples(axis)
        if isinstance(leaf.sharding, NamedSharding) and leaf.sharding.spec == where.spec:
            return leaf
        return jax.jit(lambda a: a, out_shardings=where)(leaf)

    def _common(self, leaf: jax.Array, axis: int) -> np.ndarray | None:
        """An array without samples, whole: a divided one is gathered by all processes.

        None for what is in the parts.
        """
        if axis >= 0 or writer(leaf):
            return None
        if self.place is not None and not leaf.is_fully_replicated:
            leaf = jax.jit(lambda a: a, out_shardings=self.place.everywhere)(leaf)
        return np.array(leaf.addressable_data(0)) if leaf.addressable_shards else None


def _part(tree: Any, axes: Any, life: str) -> Part:
    """This process's samples, and what the processes before it have not, such as other layers."""
    arrays, starts = {}, {}
    number, of_samples = jax.process_index(), named_leaves(axes)
    for name, leaf in named_leaves(tree).items():
        if of_samples[name] >= 0 and leaf.addressable_shards:
            arrays[name], starts[name] = _own_rows(leaf, of_samples[name])
        elif of_samples[name] < 0 and number > 0 and writer(leaf) == number:
            arrays[name], starts[name] = np.array(leaf.addressable_data(0)), (0, 0)
    return Part(arrays, starts, number, jax.process_count(), life)


def _own_rows(leaf: jax.Array, axis: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The rows that this process's devices hold, which follow one another, and the first's place.

    Axes of the mesh other than ``"data"`` hold copies.
    """
    shards = {shard.index[axis].start or 0: shard.data for shard in leaf.addressable_shards}
    rows = np.concatenate([np.asarray(shards[start]) for start in sorted(shards)], axis)
    return rows, (min(shards), axis)
