"""Files that are either complete or not there."""

import contextlib
import json
import math
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what is written there becomes `path`, or nothing.

    The content reaches the disk before the name does, so that after a crash the name stands for the
    old content or the new one. A process killed inside leaves a hidden ``.NAME.*.tmp`` and the old
    file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Not every file system lets a folder be synchronised; the rename itself has happened.
    with contextlib.suppress(OSError):
        _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: str | Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; what it holds becomes `path`, or nothing.

    A folder that is already there is replaced if it is empty, or holds nothing but files and
    folders of these names; see `replaceable`.

    Raises:
        ValueError: if it holds anything else.
    """
    path, word = Path(path), secrets.token_hex(4)
    temporary, old = (path.with_name(f".{path.name}.{word}.{end}") for end in ("tmp", "old"))
    temporary.mkdir()
    try:
        yield temporary
        for inner in temporary.rglob("*"):
            _sync(inner)
        if path.exists():
            replaceable(path, names)
            os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def replaceable(path: Path, names: Sequence[str]) -> None:
    """Whether a folder holds nothing but files and folders of these names.

    Raises:
        ValueError: if it holds anything else, or is a file.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"out: {str(path)!r} is a file; give a folder")
    others = sorted(p.name for p in path.iterdir() if p.name not in names) if path.exists() else []
    if others:
        raise ValueError(
            f"out: the folder {str(path)!r} holds other things, such as {others[0]!r}; give a new "
            "one"
        )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replace a file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Replace a UTF-8 text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, tree: Any) -> None:
    """Replace a JSON file atomically: sorted keys, `plain` values, one final newline."""
    text = json.dumps(plain(tree), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_array(path: str | Path, mapped: bool = False) -> np.ndarray:
    """The array of a npy file, left on the disk if it is `mapped`.

    Raises:
        ValueError: with the reason, if it is no such file.
    """
    with _as_value_error():
        found = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise ValueError("it is an archive of arrays, not one array")
    return found


def read_arrays(path: str | Path, most: int = 2**31) -> dict[str, np.ndarray]:
    """The arrays of a npz file, no more than `most` bytes unpacked.

    Raises:
        ValueError: with the reason, if it is no such file or has more.
    """
    with _as_value_error():
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > most:
            raise ValueError(f"its arrays have {size} bytes, more than {most}")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    # What has no magic number of an array comes as bytes.
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


@contextlib.contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever damaged bytes lead to
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(reason) from error


def plain(tree: Any) -> Any:
    """What JSON can hold: arrays as lists, NaN and infinities as None, all else as its ``str``."""
    if isinstance(tree, dict):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    if isinstance(tree, float):
        return float(tree) if math.isfinite(tree) else None
    array = np.asarray(tree)  # of NumPy, JAX, or anything that gives an array
    if array.dtype.kind in "biufV":  # V: bfloat16 and its kin
        array = array.astype(np.float64) if array.dtype.kind == "V" else array
        return plain(array.tolist())
    return str(tree)


def writable_folder(path: str | Path, argument: str) -> Path:
    """Create a folder with its parents, and write to it once.

    The attempt is the test: the mode bits say nothing to root, nor of a read-only file system.

    Raises:
        ValueError: naming `argument`, if the folder cannot be made or written.
    """
    if not str(path):
        raise ValueError(f"{argument}: the name of the folder is empty; give a path")
    folder = Path(path).expanduser()
    probe = folder / f".{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)
    except FileExistsError as error:
        raise ValueError(
            f"{argument}: {str(folder)!r} is a file; give a folder, or remove the file"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{argument}: cannot write to the folder {str(folder)!r} ({reason}); give another one"
        ) from error
    return folder
