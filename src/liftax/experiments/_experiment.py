"""What an experiment is, and how it is run and written down."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from liftax._files import plain, writable_folder, write_json, write_text
from liftax._report import Report
from liftax._versions import versions
from liftax.experiments._journal import Journal, Rows
from liftax.importing import save_network
from liftax.training import Checkpoints, Result, save_model


@dataclasses.dataclass
class Record:
    """What a running experiment collects; every figure of the report comes from here.

    Attributes:
        config: the settings it ran with.
        seeds: the seeds of the repeated runs.
        figures: nested dictionary of results, written to ``metrics.json``.
        rows: history rows of all runs, written to ``history.jsonl``.
        report: the page.
        model: the network to save.
        meta: notes to save with the model.
        headline: the two or three lines that matter most.
        journal: keeps finished runs on disk while the experiment goes on.
    """

    config: dict[str, Any]
    seeds: tuple[int, ...]
    report: Report
    say: Callable[[str], None]
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    headline: list[str] = dataclasses.field(default_factory=list)
    model: Result | None = None
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)
    journal: Journal | None = None

    def run(self, start: Callable[[], Result], **labels: Any) -> Rows:
        """The history of `start()`, or of that run by an earlier process that was killed."""
        known = None if self.journal is None else self.journal.find(labels)
        if known is not None:
            self.rows += [{**labels, **row} for row in known]
            self.say(", ".join(f"{k} {v}" for k, v in labels.items()) + ": done before")
            return known
        result = self.add(start(), **labels)
        self.model = self.model or result
        if self.journal is not None:
            self.journal.add(labels, result.history.rows)
        return result.history.rows

    def checkpoints(self, **labels: Any) -> Checkpoints | None:
        """For `fit`: a run of an earlier process goes on, or is there, with its parameters."""
        if self.journal is None:
            return None
        return Checkpoints(self.journal.folder(labels), every=500, resume=True)

    def add(self, result: Result, **labels: Any) -> Result:
        """Keep the history of a run under its labels."""
        self.rows += [{**labels, **row} for row in result.history]
        last = result.history.last
        shown = ", ".join(f"{k} {v}" for k, v in labels.items())
        figures = [k for k in ("validation_accuracy", "validation_mse") if k in last]
        result_text = "  ".join(f"{k.split('_')[1]} {last[k]:.4f}" for k in figures)
        self.say(f"{shown}: {result_text} ({result.seconds:.1f} s)")
        return result


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A named study.

    Attributes:
        name: as on the command line.
        title: of the report.
        lead: one or two sentences: the question, and what to read in the answer.
        config: settings of the full run.
        quick: settings that differ in the quick run.
        run: does the work on a `Record`.
    """

    name: str
    title: str
    lead: str
    config: dict[str, Any]
    quick: dict[str, Any]
    run: Callable[[Record], None]


def reproduce(
    experiment: Experiment,
    out: str | Path,
    *,
    quick: bool = False,
    seeds: tuple[int, ...] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Record:
    """Run an experiment and write ``metrics.json, history.jsonl, model.safetensors, report.html``.

    Until it is complete, finished runs that the experiment hands to `Record.run` are kept in
    ``history.part.jsonl``, long runs in ``checkpoints.part``: the same call goes on from there after a crash.

    Args:
        experiment: what to run.
        out: folder, created if missing; each file is replaced only when its successor is complete.
        quick: the small setting.
        seeds: instead of the configured ones.
        say: called with a line per finished run.

    Returns:
        The record.

    Raises:
        ValueError: if `out` cannot be written.
    """
    folder = writable_folder(out, "out")
    config = {**experiment.config, **(experiment.quick if quick else {})}
    chosen = tuple(config.pop("seeds")) if seeds is None else seeds
    config.pop("seeds", None)
    record = Record(config, chosen, Report(experiment.title, experiment.lead), say)
    settings = {"experiment": experiment.name, "config": config, "versions": versions()}
    record.journal = Journal(folder / "history.part.jsonl", settings)
    begin = time.perf_counter()
    experiment.run(record)
    seconds = time.perf_counter() - begin
    metrics = {
        "experiment": experiment.name,
        "quick": quick,
        "config": config,
        "seeds": list(chosen),
        "versions": versions(),
        "seconds": seconds,
        "figures": record.figures,
    }
    command = f"liftax reproduce {experiment.name}{' --quick' if quick else ''}"
    record.report.details(f"Settings ({command}, {seconds:.0f} s)", _indented(metrics))
    write_json(folder / "metrics.json", metrics)
    lines = [json.dumps(plain(row)) for row in record.rows]
    write_text(folder / "history.jsonl", "".join(line + "\n" for line in lines))
    if record.model is not None:
        _save(
            folder / "model.safetensors",
            record.model,
            {"experiment": experiment.name, **record.meta},
        )
    record.report.save(folder / "report.html")
    record.journal.close()
    return record


def _save(path: Path, model: Result, meta: dict[str, Any]) -> None:
    """The network with its graph, if that can be in a file, or else the parameters alone."""
    network = model.energy.network
    try:
        save_network(path, network, model.params, meta)
    except ValueError:  # a map or potential of the experiment's own
        save_model(path, model.params, {"network": repr(network), **meta})


def spread(values: Any, digits: int = 4, scale: float = 1.0) -> str:
    """``mean ± standard deviation`` over seeds (no ± for a single one)."""
    values = scale * np.asarray(values, float)
    mean = f"{values.mean():.{digits}f}"
    return mean if values.size < 2 else f"{mean} ± {values.std(ddof=1):.{digits}f}"


def _indented(metrics: dict[str, Any]) -> str:
    shown = {key: value for key, value in metrics.items() if key != "figures"}
    return json.dumps(plain(shown), indent=1)
