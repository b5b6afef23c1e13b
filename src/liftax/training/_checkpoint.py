"""Checkpoints: one file per saved step, the newest valid one continues the run.

Of several processes the first writes that file, and each one its part of what holds samples, or
layers that the first has not, as ``step-00000120.part-1-of-2.safetensors``; the step is complete
when all of them are there. A descent that streams writes such parts one after the other.

``step-00000120.safetensors`` holds the leaves of a tree under their paths, and as texts the
format's version, the step, the run's fingerprint and what else was noted, in JSON. A file appears
complete or not at all; what storage does to it later, its checksum tells.
"""

import dataclasses
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from liftax._files import write_bytes
from liftax.training._tensors import decode, encode

_NAME = re.compile(r"step-(\d{8,})\.safetensors")
_PART = re.compile(r"step-(\d{8,})\.part-(\d+)-of-(\d+)\.safetensors")
_FORMAT = "liftax checkpoint 1"

Rows = Callable[[str, int, np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A saved state: steps made, the tree with NumPy arrays as leaves, and the notes."""

    step: int
    tree: Any
    meta: dict[str, Any]


class Part(NamedTuple):
    """Some rows of the arrays that hold samples: what one of several processes writes.

    Attributes:
        arrays: its rows, by the names of the leaves.
        starts: first row of each, and the axis of the rows.
        process: number of this process, or part.
        processes: how many there are.
        life: a word that the files of one run share.
    """

    arrays: dict[str, np.ndarray]
    starts: dict[str, tuple[int, int]]
    process: int
    processes: int
    life: str


def save_part(folder: str | Path, step: int, part: Part) -> None:
    """Write a process's file of a step."""
    texts = {
        "format": _FORMAT,
        "step": str(step),
        "life": part.life,
        "starts": json.dumps(part.starts),
    }
    path = Path(folder) / _part_name(step, part.process, part.processes)
    write_bytes(path, encode(part.arrays, texts))


def _part_name(step: int, process: int, processes: int) -> str:
    return f"step-{step:08d}.part-{process}-of-{processes}.safetensors"


def save_checkpoint(
    folder: str | Path,
    step: int,
    tree: Any,
    meta: dict[str, Any],
    fingerprint: str,
    keep: int = 2,
    part: Part | None = None,
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
        part: with several processes, this one's, already written; the leaves that it names are
            left out of the file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    left_out = {} if part is None else part.starts
    named = {name: leaf for name, leaf in named_leaves(tree).items() if name not in left_out}
    arrays = {name: np.asarray(leaf) for name, leaf in named.items()}
    texts = {
        "format": _FORMAT,
        "step": str(step),
        "fingerprint": fingerprint,
        "meta": json.dumps(meta, default=_number),
    }
    if part is not None:
        texts |= {"parts": str(part.processes), "life": part.life}
    write_bytes(folder / f"step-{step:08d}.safetensors", encode(arrays, texts))
    _rotate(folder, step, keep, part is not None)


def _rotate(folder: Path, step: int, keep: int, divided: bool) -> None:
    """Remove all but the newest complete steps, and what later steps and killed processes left."""
    files, parts = _files(folder), _parts(folder)
    # With several processes this step may still lack the parts of others.
    whole = [n for n in files if n <= step and (not divided or _complete(folder, n))]
    oldest = sorted(whole)[-keep] if len(whole) >= keep else 0
    for number, path in [*files.items(), *parts]:
        if not oldest <= number <= step:
            path.unlink(missing_ok=True)
    if jax.process_count() == 1:  # otherwise another process may be writing
        for path in folder.glob(".step-*.tmp"):
            path.unlink(missing_ok=True)


def _parts(folder: Path) -> list[tuple[int, Path]]:
    matches = [(_PART.fullmatch(path.name), path) for path in folder.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match]


def _complete(folder: Path, step: int) -> bool:
    """Whether all parts are there that any of them speaks of."""
    found = [path.name for number, path in _parts(folder) if number == step]
    matches = [match for name in found if (match := _PART.fullmatch(name))]
    return any(int(m[3]) == sum(m[3] == other[3] for other in matches) for m in matches)


def latest_checkpoint(
    folder: str | Path, like: Any, fingerprint: str, rows: Rows | None = None
) -> Checkpoint | None:
    """The newest valid checkpoint of a folder; None if it holds no checkpoint at all.

    A damaged file is passed over with a warning.

    Args:
        folder: where `save_checkpoint` wrote.
        like: tree of the structure, shapes and dtypes to come back.
        fingerprint: of the run to be continued.
        rows: takes name, first row and rows of what parts hold, one part after the other, if that
            is no part of the tree; those of a damaged checkpoint perhaps before those of the valid
            one.

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
            if rows is None or texts.get("fingerprint") == fingerprint:
                arrays |= _joined(folder, step, texts, rows)
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


def _joined(
    folder: Path, step: int, texts: dict[str, str], rows: Rows | None
) -> dict[str, np.ndarray]:
    """The arrays whose rows are in parts; none of them if `rows` takes them."""
    count = int(texts.get("parts", "0"))
    # Processes whose devices divide layers have the same rows: one of them is enough.
    found: dict[str, dict[int, np.ndarray]] = {}
    axes: dict[str, int] = {}
    for process in range(count):
        path = folder / _part_name(step, process, count)
        arrays, own = decode(path.read_bytes())
        if (own.get("step"), own.get("life")) != (str(step), texts.get("life")):
            raise ValueError(f"its part {path.name!r} is of another run")
        for name, (start, axis) in json.loads(own["starts"]).items():
            if rows is not None:
                rows(name, start, arrays[name])
                continue
            found.setdefault(name, {})[start] = arrays[name]
            axes[name] = axis

    def joined(name: str) -> np.ndarray:
        own = found[name]
        rows = [own[start] for start in sorted(own)]
        # What is no part of rows may be a single number.
        return rows[0] if len(rows) == 1 else np.concatenate(rows, axes[name])

    return {name: joined(name) for name in found}


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by the names that a file has for them."""
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
    expected = named_leaves(like)
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
