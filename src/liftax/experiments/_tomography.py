"""Tomography: an unrolled primal-dual method that starts from filtered back-projection."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._phantoms import phantoms, test_slices
from liftax.experiments._restoration_study import (
    Images,
    Task,
    applied,
    run_study,
    total_variation_references,
)
from liftax.imaging import AbstractOperator, FilteredBackProjection, Multiple, Radon
from liftax.networks import Network, Prior, condat_vu


def _operator(views: int, side: int) -> AbstractOperator:
    """Line integrals in units of half the side, so that values are about 1."""
    angles = np.arange(views) * (180 / views)
    return Multiple(Radon((side, side, 1), angles), 2 / side)


def _back(operator: Any, window: str) -> AbstractOperator:
    return Multiple(FilteredBackProjection(operator.operator, window), 1 / operator.factor)


def _network(config: dict[str, Any], operator: AbstractOperator) -> Network:
    prior = Prior(**config["prior"], interval=None)
    return condat_vu(operator, prior, config["iterations"], start=_back(operator, "hann"))


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


def _run(record: Record) -> None:
    config = record.config
    names, pictures = test_slices(config["side"])
    task = Task(
        functools.partial(_operator, config["views"]),
        functools.partial(_network, config),
        phantoms(config["samples"], config["side"], seed=0),
        names,
        pictures,
        functools.partial(_references, config, pictures),
    )
    run_study(record, task)


TOMOGRAPHY = Experiment(
    name="tomography",
    title="Tomography by an unrolled algorithm",
    lead="Slices seen by noisy line integrals along a few directions, restored by Condat's and Vũ's "
    "iterations with learnt filters, trained on random ellipses, lifted and by back-propagation: how "
    "far beyond filtered back-projection and total variation do they get on Shepp and Logan's phantom?",
    config={
        "side": 96,
        "samples": 840,
        "held_out": 40,
        "views": 60,
        "noise": 0.01,
        "grey": 0.0,
        "turned": False,
        "prior": {"features": 24, "kernel": 5, "threshold": 0.01},
        "iterations": 4,
        "batch": 2,
        "epochs": 2,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [3e-3, 1e-2],
        "scales": [0.3, 1.0],
        "grid_samples": 160,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [0.3, 1.0, 3.0, 10.0],
        "tv_iterations": 300,
        "shown": [0, 1, 2, 3],
        "seeds": [0, 1],
    },
    quick={
        "side": 32,
        "samples": 40,
        "held_out": 8,
        "views": 20,
        "prior": {"features": 4, "kernel": 3, "threshold": 0.01},
        "iterations": 1,
        "rates": [1e-2],
        "scales": [1.0],
        "grid_samples": 16,
        "tv_weights": [1.0],
        "tv_iterations": 50,
        "seeds": [0],
    },
    run=_run,
)
