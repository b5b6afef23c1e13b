"""What training assumes of its data."""

from typing import Any

import numpy as np


def check_data(x: Any, y: Any = None, *, classes: int | None = None) -> None:
    """Check inputs and targets before anything is compiled.

    Args:
        x: inputs, samples first, at least two axes, numbers, all finite.
        y: None; or integer labels (samples,); or targets (samples, ...), all finite.
        classes: number of classes, where `y` has to be labels in 0 ... classes-1.

    Raises:
        ValueError: one line that names the argument, what came and what to do.
    """
    x = _numbers(x, "x")
    if x.ndim < 2:
        raise ValueError(
            f"x must have samples first, (samples, *shape), got shape {x.shape}; "
            "reshape it, one number a sample is (samples, 1)"
        )
    if x.size == 0:
        raise ValueError(f"x is empty, shape {x.shape}; give at least one sample")
    _finite(x, "x")
    if y is None:
        return
    y = _numbers(y, "y")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(
            f"y must have one entry per sample: x has {len(x)} samples, y has shape {y.shape}; "
            "pair them anew"
        )
    if classes is not None and not (y.ndim == 1 and y.dtype.kind in "iu"):
        raise ValueError(
            f"y must be integer labels of shape ({len(x)},), got {y.dtype} {y.shape}; "
            "use y.argmax(-1) for one-hot targets"
        )
    _finite(y, "y")
    if y.ndim == 1 and y.dtype.kind in "iu":
        check_labels(y, classes, "y")


def check_labels(labels: np.ndarray, classes: int | None, argument: str) -> None:
    """Labels lie in 0 ... classes-1 (not below 0 where the number of classes is not known)."""
    outside = labels < 0
    if classes is not None:
        outside |= labels >= classes
    if outside.any():
        first = int(outside.argmax())
        known = "0, 1, ..." if classes is None else f"0 ... {classes - 1}"
        raise ValueError(
            f"{argument} must be labels in {known}, got {labels[first]} at index {first} "
            f"({np.count_nonzero(outside)} outside); renumber the labels or add classes"
        )


def _numbers(array: Any, argument: str) -> np.ndarray:
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise ValueError(
            f"{argument} has samples of different shapes; bring them to one shape"
        ) from error
    # V: bfloat16 and its kin
    if array.dtype.kind not in "biufV":
        raise ValueError(f"{argument} must hold real numbers, got dtype {array.dtype}; convert it")
    return array


def _finite(array: np.ndarray, argument: str) -> None:
    if array.dtype.kind in "biu":
        return
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ValueError(
            f"{argument} has {np.count_nonzero(bad)} entries that are NaN or infinite, the first "
            f"at index {first}; remove these samples or replace the entries"
        )
