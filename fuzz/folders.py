"""Folders of runs: files of JSON, TOML and arrays beside each other, written from one content."""

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from liftax._commands._compare import compare
from liftax._commands._report import report
from liftax._commands._watch import progress

_ENTRIES = 10_000
_FILES = ("metrics.json", "history.jsonl", "history.part.jsonl", "status.json", "config.toml")
_ARRAYS = ("x.npy", "pictures.npz")
_TAG = "<b onload=1>"  # must not reach a page as it is


def folder_seeds(folder: Path) -> list[bytes]:
    """Runs of ``liftax train``, ``reproduce`` and ``invert``, finished and going on."""
    row = {"seed": 0, "epoch": 1, "seconds": 0.5, "loss": 0.1, "gap/layer1": 0.1, "method": _TAG}
    rows = [{**row, "energy/layer1": 2.0}, {**row, "epoch": 2, "accuracy": 0.5, "loss": None}]
    metrics = {
        **{"experiment": "demo", "quick": True, "seeds": [0, 1], "seconds": 1.5, "reason": "ended"},
        **{"config": {"network": {"kind": "mlp"}, "data": {"name": "digits"}}},
        **{"versions": {"jax": "0.10"}},
        "figures": {"a": {"accuracy": [0.1, 0.2]}, "b": [1, 2], "c": _TAG},
    }
    state = {"epoch": 1, "epochs": 2, "state": "running", "written": 1.0}
    part = [{}, {"labels": {"seed": 0, "method": "a"}, "rows": rows}]
    settings = {"config.toml": '[network]\nkind = "mlp"', "status.json": state}
    curves = {"metrics.json": metrics, "history.jsonl": rows}
    shapes = ({"input": [2, 3, 3, 1]}, {"weights of units": [2, 3, 3, 1]})
    runs = (
        {**curves, **settings},
        {**curves, "history.part.jsonl": part, "pictures.npz": shapes[0]},
        {**settings, "metrics.json": metrics, "pictures.npz": shapes[1]},
    )
    return [json.dumps(run).encode() for run in runs]


def inversion_seeds(folder: Path) -> list[bytes]:
    """Folders of ``liftax invert``, with what chose α, and with several α."""
    known = {"name": "0", "alpha": 0.1, "residual": 0.2, "reason": "converged", "iterations": 3}
    tried = {"tried": [[0.1, 1.0], [0.2, 0.3]], "noise": 0.1, "met": True}
    curve = {"alphas": [0.1, 1.0], "residuals": [0.2, 0.3], "values": [1.0, 2.0]}
    about = {
        **{"model": "m", "data": "y.npy", "regulariser": "tv", "alpha": "auto", "seconds": 1.0},
        "seconds_per_sample": 0.5,
    }
    path = {"alpha": "0.1,1", "samples": [{**known, "alpha": alpha} for alpha in (0.1, 1.0)]}
    runs = (
        {"metrics.json": {**about, "samples": [{**known, **tried}] * 2}, "x.npy": [2, 3, 3, 1]},
        {"metrics.json": {**about, "samples": [{**known, **curve}] * 2}, "x.npy": [2, 3, 3, 1]},
        {"metrics.json": {**about, **path}, "x.npy": [2, 1, 3, 3, 1]},
    )
    return [json.dumps(run).encode() for run in runs]


def compared(path: Path) -> None:
    """Two equal runs, with a page."""
    folder = _folder(path, "run")
    compare([folder, _folder(path, "same")], path.with_name("compared.html"))
    _plain((path.with_name("compared.html")).read_text())


def reported(path: Path) -> None:
    """The page of a run."""
    folder = _folder(path, "run")
    report(folder, path.with_name("page.html"))
    _plain(path.with_name("page.html").read_text())


def watched(path: Path) -> None:
    """Whatever is in the folder, the server answers."""
    folder = _folder(path, "run")
    try:
        found = progress(folder)
    except (ValueError, OSError) as error:
        raise AssertionError("the server has no answer") from error
    json.dumps(found, allow_nan=False)
    _plain(found["html"])


def pictured(path: Path) -> None:
    """A file of pictures, beside a run that goes on."""
    folder = path.with_name("run")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(path, folder / "pictures.npz")
    _plain(progress(folder)["html"])


def _plain(page: str) -> None:
    assert _TAG not in page, "a tag of the data is a tag of the page"


def _folder(path: Path, name: str) -> Path:
    """The folder of a content; one that is no JSON is the text of every file."""
    folder = path.with_name(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    raw = path.read_bytes()
    try:
        content: dict[str, Any] = dict(json.loads(raw))
    except (ValueError, TypeError, RecursionError):
        content = dict.fromkeys(_FILES, raw.decode(errors="replace"))
    for file in _FILES:
        if file in content:
            (folder / file).write_text(_text(file, content[file]), encoding="utf-8")
    for file in _ARRAYS:
        if file in content:
            (folder / file).write_bytes(_arrays(content[file]))
    return folder


def _text(file: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if file.endswith(".jsonl") and isinstance(content, list):
        return "".join(json.dumps(line) + "\n" for line in content)
    return json.dumps(content)


def _arrays(shapes: Any) -> bytes:
    """A npy file of a shape, a npz file of several; no file of either for other contents."""
    stream = io.BytesIO()
    if isinstance(shapes, dict):
        arrays: Any = {k: _ones(shape) for k, shape in shapes.items() if k != "file"}
        np.savez(stream, **arrays)
    else:
        np.save(stream, _ones(shapes))
    return stream.getvalue()


def _ones(shape: Any) -> np.ndarray:
    sizes = shape if isinstance(shape, list) and len(shape) < 30 else [1]
    whole = all(type(size) is int and size >= 0 for size in sizes)
    return np.ones(sizes if whole and math.prod(sizes) <= _ENTRIES else 1, np.float32)
