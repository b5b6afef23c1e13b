"""``liftax evaluate``: loss and accuracy of a model on data."""

import time
from pathlib import Path
from typing import Any

from liftax._commands._samples import read_samples
from liftax.data import load
from liftax.importing import load_network
from liftax.networks import Network
from liftax.potentials import Identity, Softmax
from liftax.training import measure


def evaluate(model: Path, data: str) -> dict[str, Any]:
    """Figures of a network on a file of arrays ``x`` and ``y``, or on a data set's test part.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is no model, or the data do not fit.
    """
    network, params = load_network(model)
    samples = read_samples(data) if Path(data).suffix == ".npz" else load(data).test
    begin = time.perf_counter()
    figures = measure(network, params, samples)
    seconds = time.perf_counter() - begin
    return {
        "model": str(model),
        "data": data,
        "samples": len(samples),
        "loss_name": _loss_name(network, "accuracy" in figures),
        **figures,
        "seconds": seconds,
    }


def _loss_name(network: Network, labels: bool) -> str:
    """What the loss is: the Bregman distance of the output's activation, by its usual name."""
    potential = network.node(network.output).potential
    if isinstance(potential, Softmax):
        return "cross-entropy"
    if isinstance(potential, Identity):
        return f"half the squared error{' to one-hot labels' if labels else ''}"
    return f"Bregman distance of {type(potential).__name__}"
