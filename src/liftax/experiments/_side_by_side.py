"""Lifted training and back-propagation of networks for images, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from liftax.data import Dataset
from liftax.experiments._experiment import Record
from liftax.experiments._tuning import cosine_adam
from liftax.methods import AbstractMethod, BackPropagation, OneSweep
from liftax.networks import Network, Params
from liftax.training import Result, fit, step_seconds

LIFTED, BACKWARD = METHODS = ("lifted", "back-propagation")


def method(name: str, config: Mapping[str, Any], rate: float, steps: int) -> AbstractMethod:
    """One of `METHODS`, with Adam at a rate that falls to 0 in so many steps."""
    adam = cosine_adam(rate, steps)
    if name == BACKWARD:
        return BackPropagation(adam)
    return OneSweep(adam, config["step"], config["nudge"])


def train(
    record: Record,
    network: Network,
    params: Params,
    data: Dataset,
    epochs: int,
    settings: Mapping[str, Any],
    **labels: Any,
) -> Result:
    """A run by the method, rate, initial scale and seed among the labels, kept in the record.

    Args:
        record: its config holds the batch and the settings of the lifted method.
        network: what to train.
        params: initial ones, to be scaled.
        data: inputs and targets.
        epochs: passes over the data.
        settings: transform and validation data of `fit`.
        labels: of the run.
    """
    config, samples = record.config, len(data.x)
    steps = epochs * (samples // config["batch"])
    side = network.input_shape[0]
    done = fit(
        network,
        data,
        method(labels["method"], config, labels["rate"], steps),
        epochs=epochs,
        batch_size=config["batch"],
        params=jax.tree.map(lambda p: labels["scale"] * p, params),
        seed=labels["seed"],
        checkpoints=record.checkpoints(samples=samples, side=side, epochs=epochs, **labels),
        progress=False,
        **settings,
    )
    record.add(done, samples=samples, **labels)
    if labels["method"] == LIFTED:
        record.model = done
    return done


def seconds(network: Network, config: Mapping[str, Any]) -> dict[str, list[float]]:
    """Processor seconds of a step of both methods, measured by turns."""
    both = {name: method(name, config, 1e-3, 1) for name in METHODS}
    return step_seconds(network, both, config["batch"])


def slower(times: Mapping[str, Sequence[float]]) -> tuple[str, str, float]:
    """The method with the slower steps, the other one, and the share of steps that fit its time."""
    fast, slow = sorted(METHODS, key=lambda name: float(np.median(times[name])))
    return slow, fast, float(np.median(np.divide(times[fast], times[slow])))
