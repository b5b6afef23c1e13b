"""``liftax train``: a run from a file of settings to a folder."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from liftax._commands._live import Live
from liftax._commands._page import train_page
from liftax._commands._plan import Plan, read_plan
from liftax._files import writable_folder, write_json, write_text
from liftax._solution import Reason
from liftax._versions import versions
from liftax.importing import save_network
from liftax.networks import Params
from liftax.training import Best, Checkpoints, Result, as_params, fit, load_model

_BEST = "best.safetensors"


def train(
    config: Path,
    out: Path,
    *,
    resume: bool = False,
    progress: bool | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train a network as a TOML file says; see docs/commands.md for what `out` then holds.

    Args:
        config: the file of settings.
        out: folder to write.
        resume: go on where an earlier run in that folder ended.
        progress: whether to show a bar; None: on a terminal.
        say: called with a line per epoch.

    Returns:
        The figures, and why the run ended.

    Raises:
        FileNotFoundError: for files that are not there.
        ValueError: for bad settings or data, and a folder with another run in it.
    """
    plan = read_plan(config)
    _free(out, resume)
    folder = writable_folder(out, "out")
    done = _done(folder, plan) if resume else None
    if done is not None:
        say("this run is complete: nothing to do")
        return done
    write_text(folder / "config.toml", plan.text)
    live = Live(folder, plan.options["epochs"], plan.options["seed"], plan.samples, say)
    callbacks: list[Any] = [live.bound(plan.energy.network)]
    best = None if plan.best is None else Best(plan.best, folder / _BEST)
    callbacks += [rule for rule in (best, plan.stopping) if rule is not None]
    begin = time.perf_counter()
    with live.watched(), _interruptible():
        result = fit(
            plan.energy,
            (plan.samples.train.x, plan.samples.train.y),
            plan.method,
            validation=plan.samples.validation,
            transform=plan.samples.transform,
            params=plan.params,
            checkpoints=Checkpoints(folder / "checkpoints", plan.every, resume),
            progress=progress,
            callback=callbacks,
            **plan.options,
        )
    live.end(result.history)
    params = result.params if best is None else _kept(best, folder / _BEST, result)
    live.show(params)
    return _write(folder, plan, result, params, time.perf_counter() - begin)


def _write(
    folder: Path, plan: Plan, result: Result, params: Params, seconds: float
) -> dict[str, Any]:
    """The files of a run that has ended; `metrics.json`, which says so, is the last."""
    rows, failed = result.history.rows, result.reason is Reason.NOT_FINITE
    row = dict(result.history.last)
    if plan.best is not None and not failed:
        column = result.history[plan.best][1:]
        large = plan.best.endswith("accuracy")
        row = rows[1 + int(np.nanargmax(column) if large else np.nanargmin(column))]
    metrics = {
        "command": "train",
        "config": plan.settings,
        "seeds": [plan.options["seed"]],
        "versions": versions(),
        "seconds": seconds,
        "reason": str(result.reason),
        "figures": {
            **{k: v for k, v in row.items() if k not in ("step", "seconds")},
            "steps": result.steps,
            "training_seconds": result.seconds,
            "compile_seconds": result.compile_seconds,
        },
    }
    if not failed:
        notes = {"figures": row, "config": plan.settings}
        save_network(folder / "model.safetensors", plan.energy.network, params, notes)
    train_page(folder, metrics).save(folder / "report.html")
    write_json(folder / "metrics.json", metrics)
    return {"out": str(folder), "failed": failed, **metrics}


def _kept(best: Best, path: Path, result: Result) -> Params:
    """The best epoch's parameters; after a resume perhaps those that the earlier process wrote."""
    if best.params is not None:
        return best.params
    if not path.is_file():
        return result.params
    arrays, _ = load_model(path)
    return as_params(arrays, result.params)


def _free(out: Path, resume: bool) -> None:
    """Whether a new run may begin in the folder."""
    names = ("metrics.json", "history.jsonl", "checkpoints")
    if not resume and any((out / name).exists() for name in names):
        raise ValueError(
            f"out: {str(out)!r} holds a run; go on with it by --resume, or give another folder"
        )


def _done(folder: Path, plan: Plan) -> dict[str, Any] | None:
    """What a complete run of the same settings found."""
    path = folder / "metrics.json"
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(metrics, dict) or metrics.get("config") != plan.settings:
        return None
    return {
        "out": str(folder),
        "failed": metrics.get("reason") == str(Reason.NOT_FINITE),
        **metrics,
    }


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and the first Ctrl-C end the run after the running piece, with a checkpoint.

    `fit` notes SIGTERM, saves and exits; before and after it the signal interrupts. A second Ctrl-C
    does not wait.
    """

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, stop)
        os.kill(os.getpid(), signal.SIGTERM)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread, which gets no signals
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background
            before[signal.SIGINT] = signal.signal(signal.SIGINT, ask)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def resumed(folder: Path, config: Path) -> str:
    """How to go on with a run that was interrupted."""
    steps = sorted(path.stem for path in (folder / "checkpoints").glob("step-*.safetensors"))
    again = f"liftax train {config} --out {folder} --resume"
    if not steps:
        return f"before the first checkpoint; begin anew by: {again}"
    return (
        f"the checkpoint of step {int(steps[-1].removeprefix('step-'))} is kept; go on by: {again}"
    )
