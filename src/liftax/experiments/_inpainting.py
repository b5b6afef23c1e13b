"""Inpainting: an unrolled half-quadratic splitting against total variation."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import test_photographs, training_patches
from liftax.experiments._restoration_study import (
    Images,
    Task,
    applied,
    run_study,
    total_variation_references,
)
from liftax.experiments._unrolled_denoiser import unrolled
from liftax.imaging import AbstractOperator, Fill, Mask, random_mask
from liftax.networks import Network


def _references(
    config: dict[str, Any], pictures: Images, operator: Any, y: Any
) -> Mapping[str, Images]:
    weights = config["noise"] ** 2 * np.array(config["tv_weights"])
    return {
        "masked": y,
        "means of neighbours": applied(Fill(operator), y),
        "total variation": total_variation_references(
            operator, y, pictures, weights, config["tv_iterations"]
        ),
    }


def _run(record: Record) -> None:
    config = record.config
    names, pictures = test_photographs(config["data"])
    beginning = unrolled(config)

    def operator(side: int) -> AbstractOperator:
        return Mask(random_mask(jax.random.key(config["mask_seed"]), (side, side), config["share"]))

    def network(mask: Any) -> Network:
        return beginning.network(mask, Fill(mask))

    task = Task(
        operator,
        network,
        training_patches(config["data"], config["samples"]),
        names,
        pictures,
        functools.partial(_references, config, pictures),
        initial=beginning.initial,
    )
    run_study(record, task)


INPAINTING = Experiment(
    name="inpainting",
    title="Inpainting by an unrolled algorithm",
    lead="Photographs of which a part of the pixels is missing at random, with noise, restored by two "
    "iterations of half-quadratic splitting whose denoisings are the layers of the package's denoiser, "
    "trained on lifted and by back-propagation with equal data and tuning: what do the filters gain over "
    "total variation?",
    config={
        "data": "photographs",
        "samples": 720,
        "held_out": 120,
        "share": 0.5,
        "mask_seed": 0,
        "noise": 0.05,
        "grey": 0.5,
        "turned": True,
        "levels": [0.06, 0.04, 2],
        "weight": 0.2,
        "layers": 10,
        "batch": 2,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [1e-3, 3e-3],
        "scales": [0.3, 1.0],
        "grid_samples": 60,
        "equal_seconds": True,
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [10.0, 20.0, 35.0],
        "tv_iterations": 300,
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
        "tv_weights": [20.0],
        "tv_iterations": 100,
        "equal_seconds": False,
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
