"""Deblurring: an unrolled half-quadratic splitting against total variation."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import test_photographs, training_patches
from liftax.experiments._restoration_study import (
    Images,
    Task,
    run_study,
    total_variation_references,
)
from liftax.experiments._unrolled_denoiser import unrolled
from liftax.imaging import AbstractOperator, Blur, motion_kernel


def _references(
    config: dict[str, Any], pictures: Images, operator: AbstractOperator, y: Any
) -> Mapping[str, Images]:
    noise = config["noise"]
    weights = noise**2 * np.array(config["tv_weights"])
    return {
        "blurred": y,
        "total variation": total_variation_references(
            operator, y, pictures, weights, config["tv_iterations"]
        ),
    }


def _run(record: Record) -> None:
    config = record.config
    kernel = motion_kernel(*config["motion"])
    names, pictures = test_photographs(config["data"])
    beginning = unrolled(config)
    task = Task(
        lambda side: Blur((side, side, 1), kernel, "periodic"),
        beginning.network,
        training_patches(config["data"], config["samples"]),
        names,
        pictures,
        functools.partial(_references, config, pictures),
        initial=beginning.initial,
    )
    run_study(record, task)


DEBLURRING = Experiment(
    name="deblurring",
    title="Deblurring by an unrolled algorithm",
    lead="Photographs behind motion blur and noise, restored by three iterations of half-quadratic splitting "
    "whose denoisings are the layers of the package's denoiser, trained on lifted and by back-propagation with "
    "equal data and tuning: what do the filters gain over total variation? Images are periodic here, "
    "for all methods.",
    config={
        "data": "photographs",
        "samples": 720,
        "held_out": 120,
        "motion": [9.0, 30.0],
        "noise": 0.02,
        "grey": 0.5,
        "turned": True,
        "levels": [0.1, 0.03, 3],
        "weight": 0.15,
        "layers": 10,
        "batch": 2,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [3e-4, 1e-3, 3e-3],
        "scales": [0.3, 1.0],
        "grid_samples": 60,
        "equal_seconds": True,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [2.0, 4.0, 7.0, 12.0],
        "tv_iterations": 200,
        "shown": [0, 2, 12, 14],
        "seeds": [0, 1],
    },
    quick={
        "data": "samples",
        "samples": 40,
        "held_out": 8,
        "levels": [0.05, 0.05, 1],
        "rates": [1e-3],
        "scales": [1.0],
        "grid_samples": 32,
        "tv_weights": [4.0],
        "tv_iterations": 100,
        "equal_seconds": False,
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
