"""Inpainting: an unrolled half-quadratic splitting against total variation."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import test_photographs, training_patches
from liftax.experiments._restoration_study import (
    MISSING,
    Images,
    Task,
    plugged_in,
    run_study,
    splitting,
    total_variation_references,
)
from liftax.imaging import AbstractOperator, Mask, random_mask


def _references(
    config: dict[str, Any], pictures: Images, operator: AbstractOperator, y: Any
) -> Mapping[str, Images]:
    noise = config["noise"]
    weights = noise**2 * np.array(config["tv_weights"])
    seen = np.asarray(operator.apply(jnp.ones(operator.in_shape, jnp.float32)))
    mean = y.sum(axis=(1, 2, 3), keepdims=True) / seen.sum()
    return {
        "masked": y,
        "total variation": total_variation_references(
            operator, y, pictures, weights, config["tv_iterations"]
        ),
        "shipped denoiser": plugged_in(operator, y, y + (1 - seen) * mean, noise, MISSING),
    }


def _run(record: Record) -> None:
    config = record.config
    names, pictures = test_photographs(config["data"])

    def operator(side: int) -> Mask:
        return Mask(random_mask(jax.random.key(config["mask_seed"]), (side, side), config["share"]))

    task = Task(
        operator,
        functools.partial(splitting, config),
        training_patches(config["data"], config["samples"]),
        names,
        pictures,
        functools.partial(_references, config, pictures),
    )
    run_study(record, task)


INPAINTING = Experiment(
    name="inpainting",
    title="Inpainting by an unrolled algorithm",
    lead="Photographs of which a part of the pixels is missing at random, with noise, restored by "
    "half-quadratic splitting with learnt filters, trained lifted and by back-propagation with equal "
    "data and tuning: what do the filters gain over total variation?",
    config={
        "data": "photographs",
        "samples": 4120,
        "held_out": 120,
        "share": 0.5,
        "mask_seed": 0,
        "noise": 0.05,
        "grey": 0.5,
        "turned": True,
        "prior": {"features": 24, "kernel": 5, "threshold": 0.02},
        "steps": [100.0, 1.0, 8],
        "batch": 4,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [3e-3, 1e-2],
        "scales": [0.3, 1.0, 3.0],
        "grid_samples": 400,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [10.0, 20.0, 35.0],
        "tv_iterations": 300,
        "shown": [0, 2, 12, 14],
        "seeds": [0, 1],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "prior": {"features": 4, "kernel": 3, "threshold": 0.02},
        "steps": [100.0, 1.0, 3],
        "rates": [1e-2],
        "scales": [1.0],
        "grid_samples": 32,
        "tv_weights": [20.0],
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
