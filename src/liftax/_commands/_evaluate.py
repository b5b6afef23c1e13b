"""``liftax evaluate``: loss and accuracy of a model on data."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from liftax.data import Dataset, load
from liftax.importing import load_network
from liftax.training import measure


def evaluate(model: Path, data: str) -> dict[str, Any]:
    """Figures of a network on a file of arrays ``x`` and ``y``, or on a data set's test part.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is no model, or the data do not fit.
    """
    network, params = load_network(model)
    samples = _read(Path(data)) if Path(data).suffix == ".npz" else load(data).test
    begin = time.perf_counter()
    figures = measure(network, params, samples)
    seconds = time.perf_counter() - begin
    return {
        "model": str(model),
        "data": data,
        "samples": len(samples),
        **figures,
        "seconds": seconds,
    }


def _read(path: Path) -> Dataset:
    if not path.is_file():
        raise FileNotFoundError(f"data: there is no file {str(path)!r}; check it")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # whatever damaged bytes lead to
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"data: {str(path)!r} is no npz file of arrays: {reason}") from error
    if "x" not in held:
        raise ValueError(
            f"data: {str(path)!r} holds {', '.join(held) or 'nothing'}; it needs x, and y if the "
            "inputs are not their own targets"
        )
    return Dataset(held["x"], held.get("y"), path.name)
