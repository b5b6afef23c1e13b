"""Samples that stay on the host, or in a file, until their turn comes."""

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

_ROWS = 8192


class Stream(NamedTuple):
    """Checked inputs and targets on the host, such as memory-mapped files.

    Attributes:
        x: inputs.
        y: targets, the same object if the inputs are their own.
        dtype: of inputs on the device, and of targets that are no labels.
        steps: batches that are on the device at a time.
    """

    x: np.ndarray
    y: np.ndarray
    dtype: Any
    steps: int

    @property
    def samples(self) -> int:
        """Their number."""
        return len(self.x)

    @property
    def identity(self) -> str:
        """What must agree for a run to be continued."""
        return checksums(self.x, self.y)

    def shortened(self, piece: int) -> "Stream":
        """At most so many batches at a time."""
        return self._replace(steps=min(self.steps, piece))

    def take(self, rows: Any) -> tuple[Array, Array]:
        """These samples on the device."""
        x = jnp.asarray(self.x[rows], self.dtype)
        if self.y is self.x:
            return x, x
        labels = np.issubdtype(self.y.dtype, np.integer) and self.y.ndim == 1
        return x, jnp.asarray(self.y[rows], jnp.int32 if labels else self.dtype)

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
            yield start, min(start + self.steps, last), *self.take(rows)


def checksums(x: Any, y: Any) -> str:
    """Of inputs and targets."""
    return f"{_checksum(x):08x}/{_checksum(y):08x}"


def _checksum(array: Any) -> int:
    """CRC-32 of the samples, a few thousand at a time."""
    found = 0
    for begin in range(0, len(array), _ROWS):
        found = zlib.crc32(np.asarray(array[begin : begin + _ROWS]).tobytes(), found)
    return found
