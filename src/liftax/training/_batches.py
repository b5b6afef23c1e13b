"""Training data that come in batches: any iterable, such as a PyTorch DataLoader."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement
from liftax.training._prepare import checked

_TOGETHER = 8  # batches on the device at a time


class Batches:
    """Batches of an iterable, each an (x, y) or an x alone, checked one by one.

    All have the size of the first; a shorter one (the last, as a rule) is filled up by repeating
    its samples.

    Attributes:
        size: of a batch.
        count: batches of an epoch.
        steps: batches that are on the device at a time.
        first: the first batch.
        place: where batches are to lie; every process goes through all of them.
    """

    place: Placement | None = None

    def __init__(self, energy: LiftedEnergy, given: Iterable[Any], dtype: Any, stream: int | None):
        if isinstance(given, Iterator | np.ndarray | str | dict):
            raise ValueError(
                f"data is a {type(given).__name__}; give arrays (inputs, targets), or an iterable "
                "of batches that can be gone through anew every epoch, such as a list or a class "
                "with __iter__"
            )
        self.energy, self.given, self.dtype = energy, given, dtype
        self._batches: Iterator[Any] = iter(())
        self._place = -1
        head = list(itertools.islice(iter(given), 1))
        if not head:
            raise ValueError("data has no batches; give at least one")
        self.size = len(self._pair(head[0])[0])
        self.first = self._checked(head[0])
        self.count = _length(given)
        self.steps = max(1, min(_TOGETHER if stream is None else stream // self.size, self.count))

    @property
    def samples(self) -> int:
        """Samples of an epoch, with those that are repeated."""
        return self.size * self.count

    @property
    def identity(self) -> str:
        """What must agree for a run to be continued; the samples may come in another order."""
        return f"{self.count} batches of a {type(self.given).__name__}"

    def take(self, rows: Any) -> tuple[Array, Array]:
        """Samples of the first batch on the device."""
        x, y = self.first
        return self._on_device(x[rows], y[rows], False)

    def shortened(self, piece: int) -> "Batches":
        """At most so many batches at a time."""
        self.steps = min(self.steps, piece)
        return self

    def blocks(
        self, order: np.ndarray, size: int, first: int, last: int
    ) -> Iterator[tuple[int, int, Array, Array]]:
        """The batches ``first`` to ``last`` of an epoch, `steps` at a time; see `Stream.blocks`."""
        if first != self._place or first == 0:
            self._batches = itertools.islice(iter(self.given), first, None)
            self._place = first
        for start in range(first, max(last, first + 1), self.steps):
            stop = min(start + self.steps, last)
            taken = list(itertools.islice(self._batches, max(stop - start, 1)))
            if len(taken) < max(stop - start, 1):
                raise ValueError(
                    f"data gave {start + len(taken)} batches in an epoch, and {self.count} before; "
                    "give as many every time"
                )
            pairs = [self._checked(batch) for batch in taken]
            self._place = start + len(taken)
            xs, ys = zip(*(pairs + pairs[:1] * (self.steps - len(pairs))), strict=True)
            yield start, stop, *self._on_device(np.concatenate(xs), np.concatenate(ys), True)

    def _pair(self, batch: Any) -> tuple[Any, Any]:
        if isinstance(batch, tuple | list):
            if len(batch) != 2:
                raise ValueError(f"data: a batch is (x, y) or x, got {len(batch)} things")
            return np.asarray(batch[0]), np.asarray(batch[1])
        return np.asarray(batch), None

    def _checked(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = checked(self.energy, self._pair(batch), self.dtype, "data")
        if len(x) > self.size:
            raise ValueError(
                f"data: a batch has {len(x)} samples, the first one {self.size}; only the last may "
                "differ, and be shorter"
            )
        rows = np.resize(np.arange(len(x)), self.size)
        return x[rows], y[rows]

    def _on_device(self, x: np.ndarray, y: np.ndarray, divided: bool) -> tuple[Array, Array]:
        labels = np.issubdtype(y.dtype, np.integer) and y.ndim == 1
        kind, place = jnp.int32 if labels else self.dtype, self.place
        if place is None:
            return jnp.asarray(x, self.dtype), jnp.asarray(y, kind)
        sharding = place.everywhere
        if divided:
            sharding = place.samples(1)
            x, y = (a.reshape(-1, self.size, *a.shape[1:]) for a in (x, y))
        return place.put(x, sharding, self.dtype), place.put(y, sharding, kind)


def _length(given: Any) -> int:
    """Number of batches: what the iterable says, or counted by going through it once."""
    try:
        return len(given)
    except TypeError:
        return sum(1 for _ in given)
