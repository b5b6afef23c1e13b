"""Checkpoints: one file per saved step, the newest valid one continues the run.

``step-00000120.safetensors`` holds the leaves of a tree under their paths, and as texts the
format's version, the step, the run's fingerprint and what else was noted, in JSON. A file appears
complete or not at all; what storage does to it later, its checksum tells.
"""

import dataclasses
import json
import re
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from liftax._files import write_bytes
from liftax.training._tensors import decode, encode

_NAME = re.compile(r"step-(\d{8,})\.safetensors")
_FORMAT = "liftax checkpoint 1"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A saved state: steps made, the tree with NumPy arrays as leaves, and the notes."""

    step: int
    tree: Any
    meta: dict[str, Any]


def save_checkpoint(
    folder: str | Path,
    step: int,
    tree: Any,
    meta: dict[str, Any],
    fingerprint: str,
    keep: int = 2,
) -> None:
    """Write the file of a step, then remove all but the newest `keep` up to this step.

    Files of later steps belong to a run that this one replaces; they are removed too.

    Args:
        folder: created if missing.
        step: number of steps made.
        tree: any pytree of arrays and numbers.
        meta: notes that JSON can hold; floats come back bit-exactly, NaN included.
        fingerprint: what makes the run this one.
        keep: at least 1; with 2, a file damaged later leaves one to go back to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(leaf) for name, leaf in _named(tree).items()}
    texts = {
        "format": _FORMAT,
        "step": str(step),
        "fingerprint": fingerprint,
        "meta": json.dumps(meta, default=_number),
    }
    write_bytes(folder / f"step-{step:08d}.safetensors", encode(arrays, texts))
    files = _files(folder)
    kept = sorted(n for n in files if n <= step)[-keep:]
    for number, path in files.items():
        if number not in kept:
            path.unlink(missing_ok=True)
    for path in folder.glob(".step-*.tmp"):  # of a process killed while it wrote
        path.unlink(missing_ok=True)


def latest_checkpoint(folder: str | Path, like: Any, fingerprint: str) -> Checkpoint | None:
    """The newest valid checkpoint of a folder; None if it holds no checkpoint at all.

    A damaged file is passed over with a warning.

    Args:
        folder: where `save_checkpoint` wrote.
        like: tree of the structure, shapes and dtypes to come back.
        fingerprint: of the run to be continued.

    Raises:
        ValueError: if all files are damaged, or the newest valid one is of another run or shape.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"checkpoints: {str(folder)!r} is a file; give a folder")
    damaged: list[str] = []
    for step, path in sorted(_files(folder).items(), reverse=True):
        try:
            arrays, texts, meta = _read(path, step)
        except (ValueError, OSError) as error:
            damaged.append(f"{str(path)!r}: {error}")
            continue
        if damaged:
            warnings.warn(
                f"passed over a damaged checkpoint, going back to step {step}: {damaged[0]}",
                stacklevel=2,
            )
        _check_run(path, texts.get("fingerprint", ""), fingerprint)
        return Checkpoint(step, _restored(path, arrays, like), meta)
    if damaged:
        raise ValueError(
            f"no valid checkpoint is left, the newest is damaged: {damaged[0]}; "
            "delete the folder, or start without resume"
        )
    return None


def _named(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _files(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    matches = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return {int(match[1]): path for match, path in matches if match}


def _number(value: Any) -> Any:
    """JSON for the NumPy and JAX numbers and arrays in the notes."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"meta holds {value!r} of {type(value).__name__}, which JSON cannot hold")
    return array.tolist()


def _read(path: Path, step: int) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, Any]]:
    arrays, texts = decode(path.read_bytes())
    if texts.get("format") != _FORMAT:
        raise ValueError(f"its format is {texts.get('format')!r}, not {_FORMAT!r}")
    if texts.get("step") != str(step):
        raise ValueError(f"it holds step {texts.get('step')}, not {step} as its name says")
    try:
        meta = json.loads(texts.get("meta", "{}"))
    except (ValueError, RecursionError):
        raise ValueError("its notes are no JSON") from None
    if not isinstance(meta, dict):
        raise ValueError("its notes are no dictionary")
    return arrays, texts, meta


def _check_run(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(
            f"the checkpoint {str(path)!r} is of another run ({found}) than this one ({expected}); "
            "use the settings and data of that run, another folder, or start without resume"
        )


def _restored(path: Path, arrays: dict[str, np.ndarray], like: Any) -> Any:
    """The arrays in the structure of `like`."""
    expected = _named(like)
    cure = "use the network and method it was saved with, another folder, or start without resume"
    for name in [*expected, *arrays]:
        there = _kind(arrays[name]) if name in arrays else "missing"
        here = _kind(expected[name]) if name in expected else "missing"
        if there != here:
            raise ValueError(
                f"the checkpoint {str(path)!r} does not fit: {name} is {there} in it and {here} in "
                f"this run; {cure}"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in expected])


def _kind(leaf: Any) -> str:
    if not isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
        leaf = np.asarray(leaf)
    return f"{leaf.dtype}{list(leaf.shape)}"
