"""Deblurring: an unrolled half-quadratic splitting against total variation."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import test_photographs, training_patches
from liftax.experiments._restoration_study import (
    BLURRED,
    Images,
    Task,
    applied,
    plugged_in,
    run_study,
    splitting,
    total_variation_references,
)
from liftax.imaging import AbstractOperator, Adjoint, Blur, motion_kernel


def _references(
    config: dict[str, Any], pictures: Images, operator: AbstractOperator, y: Any
) -> Mapping[str, Images]:
    noise = config["noise"]
    weights = noise**2 * np.array(config["tv_weights"])
    start = applied(Adjoint(operator), y)
    return {
        "blurred": y,
        "total variation": total_variation_references(
            operator, y, pictures, weights, config["tv_iterations"]
        ),
        "shipped denoiser": plugged_in(operator, y, start, noise, BLURRED),
    }


def _run(record: Record) -> None:
    config = record.config
    kernel = motion_kernel(*config["motion"])
    names, pictures = test_photographs(config["data"])
    task = Task(
        lambda side: Blur((side, side, 1), kernel, "periodic"),
        functools.partial(splitting, config),
        training_patches(config["data"], config["samples"]),
        names,
        pictures,
        functools.partial(_references, config, pictures),
    )
    run_study(record, task)


DEBLURRING = Experiment(
    name="deblurring",
    title="Deblurring by an unrolled algorithm",
    lead="Photographs behind motion blur and noise, restored by half-quadratic splitting with learnt "
    "filters, trained lifted and by back-propagation with equal data and tuning: what do the filters "
    "gain over total variation? Images are periodic here, for all methods.",
    config={
        "data": "photographs",
        "samples": None,
        "held_out": 120,
        "motion": [9.0, 30.0],
        "noise": 0.02,
        "grey": 0.5,
        "turned": True,
        "prior": {"features": 24, "kernel": 5, "threshold": 0.02},
        "steps": [300.0, 5.0, 8],
        "batch": 4,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [3e-3, 1e-2],
        "scales": [0.3, 1.0, 3.0],
        "grid_samples": 400,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [2.0, 4.0, 7.0, 12.0],
        "tv_iterations": 200,
        "shown": [0, 2, 12, 14],
        "seeds": [0, 1],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "prior": {"features": 4, "kernel": 3, "threshold": 0.02},
        "steps": [300.0, 5.0, 3],
        "rates": [1e-2],
        "scales": [1.0],
        "grid_samples": 32,
        "tv_weights": [4.0],
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
