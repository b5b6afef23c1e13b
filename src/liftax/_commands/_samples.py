"""Data of the user's own files, and of the settings."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from liftax._commands._networks import Shapes
from liftax._commands._settings import (
    Table,
    Value,
    list_of,
    number,
    one_of,
    positive,
    table,
    text,
    whole,
)
from liftax._files import read_array, read_arrays
from liftax.data import Dataset, check_data, load, read_idx

_SEED = 20_240_229  # of the validation part and of its noise: every run has the same


class Samples(NamedTuple):
    """What a run learns from and is measured on.

    Attributes:
        train: to learn from.
        validation: to measure on.
        shapes: of an example.
        transform: of every batch: noise on the inputs, or None.
    """

    train: Dataset
    validation: Dataset | None
    shapes: Shapes
    transform: Callable[..., Any] | None


def samples(settings: Table, mapped: bool = False) -> Samples:
    """The data of the settings.

    Args:
        settings: the table ``data``.
        mapped: leave npy files on the disk, for runs with ``stream``.

    Raises:
        FileNotFoundError: for files that are not there.
        ValueError: for unknown keys, and data that training cannot take.
    """
    train, held = _sources(settings, mapped)
    own = settings.take("targets", one_of(["given", "inputs"]), "given") == "inputs"
    fraction = settings.take("fraction", number(0.0, 0.9, open=True))
    most = settings.take("samples", whole(1))
    divisor = settings.take("divide", positive)
    shape = settings.take("shape", list_of(whole(1)))
    noise = settings.take("noise", positive)
    settings.close()
    if fraction is not None:
        if held is not None:
            raise settings.error("has a validation part: leave out either it or fraction")
        train, held = _parted(train, fraction)
    train = train if most is None else _first(train, most)
    first, second = (
        None if part is None else _shaped(part, shape, divisor, own) for part in (train, held)
    )
    assert first is not None
    shapes = _shapes(first, second)
    if noise is None:
        return Samples(first, second, shapes, None)
    held = None if second is None else _noisy(second, noise)
    return Samples(_clean(first), held, shapes, _noise(noise))


def read_samples(path: str | Path) -> Dataset:
    """The arrays ``x`` and ``y`` of an npz file.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is damaged or holds no x.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data: there is no file {str(path)!r}; check it")
    try:
        held = read_arrays(path)
    except ValueError as error:
        raise ValueError(f"data: {str(path)!r} is no npz file of arrays: {error}") from error
    if "x" not in held:
        raise ValueError(
            f"data: {str(path)!r} holds {', '.join(held) or 'nothing'}; it needs x, and y if the "
            "inputs are not their own targets"
        )
    return Dataset(held["x"], held.get("y"), path.name)


def _sources(settings: Table, mapped: bool) -> tuple[Dataset, Dataset | None]:
    if "name" in settings and "train" in settings:
        raise settings.error("has both name and train; keep one of them")
    if "train" in settings:
        train = settings.take("train", lambda value: _file(value, mapped))
        return train, settings.take("validation", lambda value: _file(value, mapped))
    name = settings.need("name", text, '"digits"')
    folder = settings.take("folder", text)
    found = load(name, folder=folder)
    return found.train, None if "fraction" in settings else found.test


def _file(value: Value, mapped: bool) -> Dataset:
    """``"data.npz"``, or ``{x = "x.npy", y = "y.npy"}`` with npy and idx files."""
    if isinstance(value.content, str):
        found = read_samples(text(value))
    else:
        files = table(value)
        x = files.need("x", lambda v: _array(v, mapped), '"x.npy"')
        y = files.take("y", lambda v: _array(v, mapped))
        files.close()
        found = Dataset(x, y, Path(files.content["x"]).name)
    if not found.x.size:  # a file of a few bytes can announce billions of samples without entries
        raise value.error(f"{found.name} holds no numbers, its shape is {found.x.shape}")
    return found


def _array(value: Value, mapped: bool) -> np.ndarray:
    path = Path(text(value))
    if path.suffix != ".npy":
        return read_idx(path)
    if not path.is_file():
        raise FileNotFoundError(f"{value.path}: there is no file {str(path)!r}; check it")
    try:
        return read_array(path, mapped)
    except ValueError as error:
        raise value.error(f"{str(path)!r} is no npy file: {error}") from None


def _parted(whole: Dataset, fraction: float) -> tuple[Dataset, Dataset]:
    """A random part of the samples is held out, always the same."""
    count = min(max(1, round(fraction * len(whole))), len(whole) - 1)
    order = np.random.default_rng(_SEED).permutation(len(whole))
    return _rows(whole, np.sort(order[count:])), _rows(whole, np.sort(order[:count]))


def _first(whole: Dataset, count: int) -> Dataset:
    return _rows(whole, slice(count))


def _rows(whole: Dataset, rows: Any) -> Dataset:
    y = None if whole.y is None else whole.y[rows]
    return Dataset(whole.x[rows], y, whole.name, whole.classes)


def _shaped(part: Dataset, shape: list[int] | None, divisor: float | None, own: bool) -> Dataset:
    """Reshaped, divided, and its own target if that is asked for."""
    x = part.x
    if shape is not None:
        if math.prod(x.shape[1:]) != math.prod(shape):
            raise ValueError(
                f"data.shape: {shape} has {math.prod(shape)} entries, an example of {part.name} "
                f"has {math.prod(x.shape[1:])}; correct it"
            )
        x = x.reshape(len(x), *shape)
    if divisor is not None:
        x = np.divide(x, np.float32(divisor), dtype=np.float32)
    return Dataset(x, None if own else part.y, part.name, part.classes)


def _shapes(train: Dataset, held: Dataset | None) -> Shapes:
    check_data(train.x, train.y)
    x, y = train.x, train.x if train.y is None else train.y
    if not (y.ndim == 1 and y.dtype.kind in "iu"):
        return Shapes(tuple(x.shape[1:]), math.prod(y.shape[1:]), False)
    if train.classes is not None:
        return Shapes(tuple(x.shape[1:]), len(train.classes), True)
    largest = max(int(np.max(p.y)) for p in (train, held) if p is not None and p.y is not None)
    return Shapes(tuple(x.shape[1:]), largest + 1, True)


def _clean(part: Dataset) -> Dataset:
    """The targets of noisy inputs are those without noise."""
    return part if part.y is not None else Dataset(part.x, part.x, part.name, part.classes)


def _noisy(part: Dataset, sigma: float) -> Dataset:
    whole = _clean(part)
    noise = np.random.default_rng(_SEED).normal(0.0, sigma, whole.x.shape)
    return Dataset((whole.x + noise).astype(np.float32), whole.y, whole.name, whole.classes)


def _noise(sigma: float) -> Callable[..., Any]:
    def add(key: Any, x: Any, y: Any) -> tuple[Any, Any]:
        return x + sigma * jax.random.normal(key, x.shape, x.dtype), y

    return add
