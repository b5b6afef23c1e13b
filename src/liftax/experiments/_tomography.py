"""Tomography: an unrolled primal-dual method that starts from filtered back-projection."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._phantoms import phantoms
from liftax.experiments._photographs import training_patches
from liftax.experiments._restoration_study import (
    Images,
    Task,
    applied,
    run_study,
    total_variation_references,
)
from liftax.experiments._slices import medical, shepp_logan
from liftax.experiments._unrolled_denoiser import unrolled
from liftax.imaging import AbstractOperator, FilteredBackProjection, Multiple, Radon
from liftax.networks import Network


def _operator(views: int, side: int) -> AbstractOperator:
    """Line integrals in units of half the side, so that values are about 1."""
    angles = np.arange(views) * (180 / views)
    return Multiple(Radon((side, side, 1), angles), 2 / side)


def _back(operator: Any, window: str) -> AbstractOperator:
    return Multiple(FilteredBackProjection(operator.operator, window), 1 / operator.factor)


def _references(
    config: dict[str, Any], pictures: Images, operator: AbstractOperator, y: Any
) -> Mapping[str, Images]:
    weights = config["noise"] ** 2 * np.array(config["tv_weights"])
    return {
        "filtered back-projection, ramp": applied(_back(operator, "ramp"), y),
        "filtered back-projection, Hann": applied(_back(operator, "hann"), y),
        "total variation": total_variation_references(
            operator, y, pictures, weights, config["tv_iterations"]
        ),
    }


def _squares(config: dict[str, Any]) -> Images:
    """Random ellipses and photographs by turns; of the latter, the last ones are other pictures."""
    side, count = config["side"], config["samples"]
    ellipses = phantoms(count, side, seed=0)
    if not config["photographs"]:
        return ellipses
    ellipses[1::2] = training_patches("photographs", count // 2, side)
    return ellipses


def _slices(config: dict[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    side = config["side"]
    new = {f"ellipses {k}": x for k, x in enumerate(phantoms(config["ellipses"], side, seed=1), 1)}
    found = {"Shepp-Logan": shepp_logan(side), "new ellipses": new}
    return {**found, "CT and MRI": medical(side)} if config["medical"] else found


def _run(record: Record) -> None:
    config = record.config
    slices = _slices(config)
    names, pictures = zip(*(pair for few in slices.values() for pair in few.items()), strict=True)
    whole = np.stack(pictures)
    beginning = unrolled(config)

    def network(operator: AbstractOperator) -> Network:
        return beginning.filtered(operator, _back(operator, "ramp"))

    task = Task(
        functools.partial(_operator, config["views"]),
        network,
        _squares(config),
        names,
        whole,
        functools.partial(_references, config, whole),
        tuple(kind for kind, few in slices.items() for _ in few),
        beginning.initial,
    )
    run_study(record, task)


TOMOGRAPHY = Experiment(
    name="tomography",
    title="Tomography by an unrolled algorithm",
    lead="Slices seen by noisy line integrals along a few directions, restored by three steps on the data "
    "term with filtered back-projection, each followed by the layers of the package's denoiser, trained on "
    "with random ellipses and photographs, lifted and by back-propagation: how far beyond filtered "
    "back-projection and total variation do they get on Shepp and Logan's phantom, and on slices of CT and MRI?",
    config={
        "side": 96,
        "samples": 240,
        "photographs": True,
        "medical": True,
        "ellipses": 3,
        "held_out": 40,
        "views": 60,
        "noise": 0.01,
        "grey": 0.5,
        "turned": False,
        "levels": [0.06, 0.02, 3],
        "weight": 0.5,
        "layers": 10,
        "batch": 1,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [1e-4, 3e-4, 1e-3],
        "scales": [0.3, 1.0],
        "grid_samples": 40,
        "equal_seconds": True,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [3.0, 6.0, 10.0],
        "tv_iterations": 300,
        "shown": [0, 1, 6, 7, 9],
        "seeds": [0, 1],
    },
    quick={
        "side": 32,
        "samples": 24,
        "photographs": False,
        "medical": False,
        "ellipses": 2,
        "held_out": 8,
        "views": 20,
        "levels": [0.06, 0.06, 1],
        "rates": [1e-3],
        "scales": [1.0],
        "grid_samples": 16,
        "tv_weights": [1.0],
        "tv_iterations": 50,
        "equal_seconds": False,
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
