"""Proximal neural networks of other depths and widths, and for other noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax.experiments._denoising_study import DenoisingStudy
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._pictures import comparison
from liftax.experiments._pnn_denoising import PNN_DENOISING
from liftax.experiments._side_by_side import METHODS, seconds, slower

_EQUAL = "in equal seconds"


def _run(record: Record) -> None:
    config, study = record.config, DenoisingStudy(record)
    rows = [row for fields in config["variants"] for row in _variant(study, fields)]
    record.figures["variants"] = rows
    report = record.report
    report.heading("The result")
    columns = ("setting", "noise of the test", "total variation", *METHODS, "slower method", "")
    table = [
        (
            row["setting"],
            f"{row['sigma']:.3g}",
            f"{row['total variation']:.2f}",
            *(f"{row['psnr'][m]:.2f}" for m in METHODS),
            f"{row['slower']}, {_EQUAL} {row[_EQUAL]:.2f}",
            " / ".join(f"{row['seconds_per_step'][m]:.3f} s" for m in METHODS),
        )
        for row in rows
    ]
    steps = config["epochs"] * (config["samples_of_each"] // config["batch"])
    caption = f"PSNR in dB after {steps} steps, and processor seconds a step of both methods"
    report.table(columns, table, caption)
    record.headline = [f"{row[0]}, σ {row[1]}: lifted {row[3]}, {row[4]} dB" for row in table]


def _variant(study: DenoisingStudy, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for every noise level of the test."""
    config, record, setting = study.config, study.record, study.setting(**fields)
    times = seconds(study.network(setting, config["side"]), config)
    slow, _, share = slower(times)
    batch, samples = config["batch"], config["samples_of_each"]
    fewer = batch * max(1, round(share * (samples // batch)))
    labels = {"rate": config["rate"], "scale": 1.0, "seed": record.seeds[0]}
    trained = {m: study.train(setting, samples, method=m, **labels) for m in METHODS}
    trained[_EQUAL] = study.train(setting, fewer, method=slow, **labels)
    rows = []
    for level in [setting.sigma] if isinstance(setting.sigma, float) else config["tested"]:
        variation = study.total_variation(level)
        images = {label: study.denoised(d, level) for label, d in trained.items()}
        rows.append(
            {
                "setting": ", ".join(f"{k} {_text(v)}" for k, v in fields.items()) or "the first",
                "sigma": level,
                "total variation": study.psnr(variation),
                "psnr": {m: study.psnr(images[m]) for m in METHODS},
                "slower": slow,
                _EQUAL: study.psnr(images[_EQUAL]),
                "seconds_per_step": {m: float(np.median(times[m])) for m in METHODS},
            }
        )
        chosen = [i for i in config["shown"] if i < len(study.names)]
        few = {"photograph": study.pictures, "total variation": variation}
        few |= {m: images[m] for m in METHODS}
        title = f"{rows[-1]['setting']}, noise of σ = {level:.3g}"
        comparison(record.report, {k: x[chosen] for k, x in few.items()}, title)
    return rows


def _text(value: Any) -> str:
    return " to ".join(map(_text, value)) if isinstance(value, list) else f"{value:.3g}"


PNN_SETTINGS = Experiment(
    name="pnn-settings",
    title="Other noise, depths and widths",
    lead="The networks of pnn-denoising for other noise, of other depths and widths, lifted and by back-propagation: "
    "in equal epochs and in equal seconds.",
    config={
        **{
            key: PNN_DENOISING.config[key]
            for key in (
                *("data", "samples", "held_out", "sigma", "family", "network", "iterations"),
                *("batch", "epochs", "step", "nudge", "tv_weights"),
            )
        },
        "side": 40,
        "rate": 3e-3,
        "samples_of_each": 1600,
        "variants": [
            {},
            {"iterations": 5},
            {"iterations": 20},
            {"features": 16},
            {"features": 64},
            {"sigma": 0.05},
            {"sigma": 25 / 255},
            {"sigma": [0.02, 0.2]},
        ],
        "tested": [0.05, 0.1, 0.15],
        "shown": [0, 2],
        "seeds": [0],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "network": {"features": 4, "kernel": 3, "threshold": 0.02},
        "iterations": 2,
        "rate": 1e-2,
        "variants": [{"sigma": [0.02, 0.2]}],
        "samples_of_each": 64,
        "tested": [0.1],
        "tv_weights": [0.7],
        "shown": [0, 1],
    },
    run=_run,
)
