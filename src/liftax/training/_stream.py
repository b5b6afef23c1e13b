"""Samples that stay on the host, or in a file, until their turn comes."""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array

from liftax.parallel import Placement

_ROWS = 8192


class Stream(NamedTuple):
    """Checked inputs and targets on the host, such as memory-mapped files.

    Attributes:
        x: inputs.
        y: targets, the same object if the inputs are their own.
        dtype: of inputs on the device, and of targets that are no labels.
        steps: batches that are on the device at a time; 0 if all samples stay there.
        place: where they are to lie.
    """

    x: np.ndarray
    y: np.ndarray
    dtype: Any
    steps: int
    place: Placement | None = None

    @property
    def samples(self) -> int:
        """Their number."""
        return len(self.x)

    @property
    def identity(self) -> str:
        """What must agree for a run to be continued; the first process reads for all."""
        found = np.zeros(2, np.uint32)
        if jax.process_index() == 0:
            found[:] = _checksum(self.x, self.dtype), _checksum(self.y, self._of_targets)
        if jax.process_count() > 1:
            found = np.asarray(multihost_utils.broadcast_one_to_all(found))
        return f"{found[0]:08x}/{found[1]:08x}"

    def shortened(self, piece: int) -> "Stream":
        """At most so many batches at a time."""
        return self._replace(steps=min(self.steps, piece))

    @property
    def _of_targets(self) -> Any:
        labels = np.issubdtype(self.y.dtype, np.integer) and self.y.ndim == 1
        return jnp.int32 if labels else self.dtype

    def take(self, rows: Any) -> tuple[Array, Array]:
        """These samples on the device; with a placement divided if they can be."""
        if self.place is not None:
            few = len(range(self.samples)[rows]) % self.place.parts
            sharding = self.place.everywhere if few else self.place.samples()
            given = ((self.x[rows], self.dtype), (self.y[rows], self._of_targets))
            x, y = (self.place.put(a, sharding, dtype) for a, dtype in given)
            return x, y
        x = jnp.asarray(self.x[rows], self.dtype)
        return x, x if self.y is self.x else jnp.asarray(self.y[rows], self._of_targets)

    def blocks(
        self, order: np.ndarray, size: int, first: int, last: int
    ) -> Iterator[tuple[int, int, Array, Array]]:
        """The samples of the steps ``first`` to ``last`` of an epoch, `steps` batches at a time.

        All blocks have the same shape: the last one is filled up with what is not used.

        Yields:
            The block's first step, the step after its last one, its inputs and targets.
        """
        for start in range(first, max(last, first + 1), self.steps):
            rows = order[start * size : (start + self.steps) * size]
            rows = np.resize(rows, self.steps * size)
            stop = min(start + self.steps, last)
            if self.place is None:
                yield start, stop, *self.take(rows)
            else:
                yield start, stop, *self._divided(self.place, rows.reshape(self.steps, size))

    def _divided(self, place: Placement, rows: np.ndarray) -> tuple[Array, Array]:
        """Whole batches, (steps, size, ...), of which a device holds its part of each."""
        given = ((self.x, self.dtype), (self.y, self._of_targets))
        x, y = (place.put(_Chosen(a, rows), place.samples(1), dtype) for a, dtype in given)
        return x, y


class _Chosen:
    """``array[rows]``, read where it is asked for."""

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows
        self.shape = (*rows.shape, *array.shape[1:])

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        return self._array[self._rows[index[:2]]]


def _checksum(array: Any, dtype: Any) -> int:
    """CRC-32 of the samples as they come to the device, a few thousand at a time."""
    found = 0
    for begin in range(0, len(array), _ROWS):
        found = zlib.crc32(np.asarray(array[begin : begin + _ROWS], dtype).tobytes(), found)
    return found
