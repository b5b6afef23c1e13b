"""Samples in an order of their own, and as often as their weights say."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np

_MOST = 10  # times that a sample is repeated, on average


class Samples(NamedTuple):
    """Features, targets, and weights if there are any.

    Attributes:
        x: features, (samples, features).
        y: targets, samples first, or None.
        weight: positive numbers, (samples,), or None.
    """

    x: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray | None = None

    def sorted(self) -> Self:
        """In the order of their bytes: what is learnt does not depend on the order given."""
        columns = [a.reshape(len(self.x), -1) for a in (self.x, self.y) if a is not None]
        rows = np.hstack([np.ascontiguousarray(a).view(np.uint8) for a in columns])
        return self.taken(rows.view(f"V{rows.shape[1]}").ravel().argsort(kind="stable"))

    def taken(self, rows: np.ndarray) -> Self:
        """Some of them."""
        y, weight = (None if a is None else a[rows] for a in (self.y, self.weight))
        return type(self)(self.x[rows], y, weight)

    @property
    def whole(self) -> bool:
        """Whether the weights are numbers of copies."""
        w = self.weight
        return w is None or bool((w == np.round(w)).all() and w.sum() <= _MOST * len(w))

    def repeated(self) -> Self:
        """Every sample so many times."""
        if self.weight is None:
            return self
        rows = np.arange(len(self.x)).repeat(self.weight.astype(np.int64))
        return self.taken(rows)._replace(weight=None)

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        r"""So many rows in a random order: $w_i/\sum_jw_j$ of them row i, up to less than one.

        Source: systematic sampling, Madow (1949).
        """
        assert self.weight is not None
        ends = np.cumsum(self.weight)
        places = (rng.uniform() + np.arange(count)) * (ends[-1] / count)
        rows = np.searchsorted(ends, places, side="right")
        return rng.permutation(np.minimum(rows, len(ends) - 1))


class Draws:
    """Batches of samples that are drawn anew every epoch, in proportion to their weights.

    The mean gradient of an epoch is, in expectation, that of the weighted loss.
    """

    def __init__(self, samples: Samples, size: int, seed: int):
        self.samples, self.size = samples, min(size, len(samples.x))
        self.seed, self.epoch = seed, 0

    def __len__(self) -> int:
        return len(self.samples.x) // self.size

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        rows = self.samples.drawn(self.size * len(self), rng)
        for part in rows.reshape(len(self), self.size):
            x, y, _ = self.samples.taken(part)
            yield x, y


def weighted(x: np.ndarray, y: np.ndarray, given: Any) -> Samples:
    """The samples whose weight is not 0.

    Raises:
        ValueError: for weights of another shape, below 0, not finite, or all 0.
    """
    if given is None:
        return Samples(x, y)
    weight = np.asarray(given, np.float64)
    if weight.ndim == 0:
        weight = np.full(len(x), weight)
    if weight.shape != (len(x),):
        raise ValueError(
            f"sample_weight.shape is {weight.shape}, and X has {len(x)} samples; give one weight a "
            "sample"
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("sample_weight must hold finite numbers of at least 0; correct the others")
    kept = weight > 0
    if not kept.any():
        raise ValueError("sample_weight is zero for every sample; give positive ones")
    return Samples(x, y, weight).taken(kept)
