"""Outputs and inputs of a network from files: arrays of NumPy and pictures."""

import io
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liftax.imaging import IMAGE_SUFFIXES, read_image
from liftax.inversion._regulariser import Shape

_MOST_BYTES = 2**31
_MOST_ENTRIES = 2**28
_SUFFIXES = (*IMAGE_SUFFIXES, ".bmp", ".webp")
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Examples(NamedTuple):
    """Arrays of one shape, and what each is called."""

    values: np.ndarray  # (samples, *shape), floating point
    names: tuple[str, ...]


def read_examples(path: str | Path, shape: Shape, argument: str) -> Examples:
    """One or many examples of a shape; nothing in the file is executed.

    Args:
        path: a ``.npy`` or ``.npz`` file of one example or of (samples, *shape), taken as it is;
            an image, range [0, 1], or a folder of images.
        shape: of one example. The last size may be missing in an array if it is 1.
        argument: how errors call the file.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: for another shape, another kind of file, a pickle, a damaged or too large file,
            and values that are not finite.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
        if not files:
            raise ValueError(f"{argument}: the folder {str(path)!r} holds no images")
        _check_size(f"{argument}: {str(path)!r}", (len(files), *shape))
        pictures = [_picture(file, shape, argument) for file in files]
        return Examples(np.stack(pictures), tuple(file.name for file in files))
    if not path.is_file():
        raise FileNotFoundError(f"{argument}: there is no file {str(path)!r}; check it")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{argument}: {str(path)!r} has more than 2 GiB; split it")
    content = path.read_bytes()
    place = f"{argument}: {str(path)!r}"
    if not content:
        raise ValueError(f"{place} is empty")
    if content.startswith(b"\x93NUMPY"):
        array = _array(content, place, shape)
    elif content.startswith(b"PK"):
        array = _member(content, place, shape)
    elif content[:1] == pickle.PROTO and content[1:2] <= bytes([pickle.HIGHEST_PROTOCOL]):
        raise ValueError(f"{place} is a pickle, which can run code; write the array by numpy.save")
    else:
        return Examples(_picture(path, shape, argument)[None], (path.name,))
    many = array.reshape(-1, *shape)
    bad = ~np.isfinite(many).reshape(len(many), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{place}: example {bad.argmax()} has values that are not finite; leave it out"
        )
    return Examples(many, tuple(str(index) for index in range(len(many))))


def _picture(path: Path, shape: Shape, argument: str) -> np.ndarray:
    pixels = read_image(path)
    if pixels.shape != shape:
        raise ValueError(
            f"{argument}: {str(path)!r} is a picture of the shape {pixels.shape}; {_wanted(shape)}"
        )
    return pixels


def _array(content: bytes, place: str, shape: Shape) -> np.ndarray:
    """The array of a npy file: what the header says is checked before anything is read."""
    stream = io.BytesIO(content)
    try:
        found, kind = _header(stream)
        size = math.prod(found) * kind.itemsize
    except Exception as error:  # of whatever stands in a damaged header
        raise ValueError(f"{place} is a damaged npy file: {_line(error)}") from None
    _check(place, found, kind, shape)
    if size != len(content) - stream.tell():
        raise ValueError(f"{place} is cut off, or longer than its header says")
    array = np.load(io.BytesIO(content), allow_pickle=False)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)


def _member(content: bytes, place: str, shape: Shape) -> np.ndarray:
    """The array of a npz file with one array."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(names) != 1 or not names[0].endswith(".npy"):
                raise ValueError(f"it must hold one array of NumPy, and holds {_list(names)}")
            with archive.open(names[0]) as member:
                found, kind = _header(member)
            _check(place, found, kind, shape)
            inner = archive.read(names[0])
    except Exception as error:  # zipfile and zlib raise many kinds
        text = _line(error)
        raise ValueError(
            text if text.startswith(place) else f"{place} is a damaged npz file: {text}"
        ) from None
    return _array(inner, place, shape)


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not known")
    found, _, kind = _HEADERS[version](stream)
    return found, kind


def _check(place: str, found: tuple[int, ...], kind: np.dtype, shape: Shape) -> None:
    if kind.hasobject:
        raise ValueError(f"{place} holds pickled objects, which can run code; save numbers")
    if kind.kind not in "biuf":
        raise ValueError(f"{place} holds values of the type {kind}; save real numbers")
    short = shape[:-1] if shape[-1] == 1 and len(shape) == 3 else shape
    if not any(found == own or found[1:] == own for own in (shape, short)) or 0 in found:
        raise ValueError(f"{place} has the shape {found}; {_wanted(shape)}")
    _check_size(place, found)


def _check_size(place: str, found: tuple[int, ...]) -> None:
    if math.prod(found) > _MOST_ENTRIES:
        raise ValueError(f"{place} has more than {_MOST_ENTRIES} numbers; split it")


def _wanted(shape: Shape) -> str:
    last = "; pictures have their channels last" if len(shape) == 3 else ""
    return f"the network's are {shape}, or (samples, {', '.join(map(str, shape))}){last}"


def _list(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "nothing"


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
