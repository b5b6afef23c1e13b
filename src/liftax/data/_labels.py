"""Labels as targets."""

from typing import Any

import numpy as np

from liftax.data._validation import check_labels


def one_hot(labels: Any, classes: int, dtype: Any = np.float32) -> np.ndarray:
    """Rows of the identity matrix: (samples,) labels to (samples, classes).

    Raises:
        ValueError: for labels that are no integers of shape (samples,) in 0 ... classes-1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape (samples,), got {labels.dtype} {labels.shape}; "
            "convert them"
        )
    check_labels(labels, classes, "labels")
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows
