"""The numbers inside functions: what tells one optimiser from another."""

import functools
import types
import zlib
from typing import Any

import equinox as eqx
import numpy as np


def constants(value: Any) -> str:
    """A text that two values share if they compute with the same constants.

    Functions are followed into what they close over (an optax optimiser keeps its rates there),
    into their defaults and the numbers of their code; memory addresses do not count.
    """
    return ",".join(_walk(value, set()))


def _walk(value: Any, seen: set[int]) -> list[str]:
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return [repr(value)]
    if id(value) in seen:
        return []
    seen = seen | {id(value)}
    if eqx.is_array(value) or isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return [f"{array.dtype}{array.shape}{zlib.crc32(array.tobytes()):08x}"]
    if isinstance(value, functools.partial):
        return _walk((value.func, value.args, value.keywords), seen)
    if isinstance(value, types.MethodType):
        return _walk((value.__self__, value.__func__), seen)
    if isinstance(value, types.FunctionType):
        cells = [_contents(cell) for cell in value.__closure__ or ()]
        parts = [cells, value.__defaults__, value.__kwdefaults__, value.__code__]
        return [value.__qualname__, *_walk(parts, seen)]
    if isinstance(value, types.CodeType):
        return _walk([c for c in value.co_consts if not isinstance(c, str)], seen)
    if isinstance(value, dict):
        return [t for key in sorted(value, key=repr) for t in _walk((key, value[key]), seen)]
    if isinstance(value, list | tuple | set | frozenset):
        return [text for item in value for text in _walk(item, seen)]
    fields = getattr(value, "__dict__", None)
    if fields is not None and not isinstance(value, type | types.ModuleType):
        return [type(value).__qualname__, *_walk(fields, seen)]
    return [getattr(value, "__qualname__", type(value).__qualname__)]


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet: a function that refers to itself
        return None
