"""Samples with or without targets."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Samples, and what a network should make of them.

    Attributes:
        x: inputs, samples first, float32.
        y: integer labels (samples,), or float targets, samples first, or None: the inputs are their
            own targets.
        name: for reports.
        classes: names of the labels 0, 1, ...
    """

    x: np.ndarray
    y: np.ndarray | None = None
    name: str = "data"
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A data set in two parts that share no sample.

    Attributes:
        train: to learn from.
        test: to measure on.
    """

    train: Dataset
    test: Dataset
