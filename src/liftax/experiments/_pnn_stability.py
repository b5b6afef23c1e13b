"""Which settings train: depth, step size and initial scale of proximal neural networks."""

from liftax.experiments._denoising_study import DenoisingStudy, run_grid, write_grid
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._pnn_denoising import PNN_DENOISING


def _run(record: Record) -> None:
    config, study = record.config, DenoisingStudy(record)
    reference = study.psnr(study.total_variation(config["sigma"]))
    record.figures["total variation"] = reference
    write_grid(record, run_grid(study, reference, record.seeds), config["side"])


PNN_STABILITY = Experiment(
    name="pnn-stability",
    title="Which settings train a proximal neural network",
    lead="The networks of pnn-denoising, lifted and by back-propagation, over depths, learning rates and scales of the "
    "initial weights: for how many does each method fail?",
    config={
        **{
            key: PNN_DENOISING.config[key]
            for key in (
                *("data", "samples", "held_out", "sigma", "family", "network"),
                *("side", "epochs", "step", "nudge", "tv_weights"),
            )
        },
        "batch": 2,
        "depths": [5, 10],
        "rates": [1e-3, 3e-3, 1e-2],
        "scales": [0.1, 1.0],
        "grid_samples": 3200,
        "margins": [0.0, 0.5, 0.75, 1.0],
        "seeds": [0],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "network": {"features": 4, "kernel": 3, "threshold": 0.02},
        "side": 40,
        "depths": [2],
        "rates": [3e-3, 1e-2],
        "scales": [1.0],
        "grid_samples": 32,
        "tv_weights": [0.7],
    },
    run=_run,
)
