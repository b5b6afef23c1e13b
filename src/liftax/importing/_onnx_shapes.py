"""Operators of ONNX that move entries, and what they make of constants, such as shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from liftax.importing._assembly import Assembly
from liftax.importing._onnx_node import OnnxNode
from liftax.importing._value import MOST_ENTRIES, Value

# In a shape, the number of samples where it is open: no size, so that nothing else takes it.
_OPEN = np.iinfo(np.int64).min
_FLOATS, _INTEGERS = (1, 10, 11, 16), (6, 7)  # members of TensorProto.DataType


def _constant(assembly: Assembly, node: OnnxNode) -> np.ndarray:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in node.attributes:
            found = np.asarray(node.attributes[name])
            double = found.dtype == np.float64 and name != "value"
            return found.astype(np.float32) if double else found
    raise node.refused("its value is no tensor of numbers")


def _copy(assembly: Assembly, node: OnnxNode) -> Any:
    training = node.optional(2) if node.kind == "Dropout" else None
    if training is not None and training.any():
        raise node.refused("it drops entries; export the model in evaluation mode")
    return node.inputs[0]


def _cast(assembly: Assembly, node: OnnxNode) -> Any:
    """Values stay in the precision of the weights."""
    wanted = node.number("to", 0)
    if isinstance(node.inputs[0], Value):
        if wanted not in _FLOATS:
            raise node.refused("of values only to floating point numbers is known")
        return node.inputs[0]
    array = node.constant(0)
    if wanted in _INTEGERS:
        return array.astype(np.int64)
    if wanted not in _FLOATS or _open(array):
        raise node.refused("it is not known to this type")
    return array.astype(np.float64 if wanted == 11 else np.float32)


def _shape(assembly: Assembly, node: OnnxNode) -> np.ndarray:
    if isinstance(node.inputs[0], Value):
        found = np.array([node.batch or _OPEN, *node.value.shape], np.int64)
    else:
        found = np.array(node.constant(0).shape, np.int64)
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(found))
    return found[start:end]


def _gather(assembly: Assembly, node: OnnxNode) -> np.ndarray:
    axis = int(node.number("axis", 0))
    array, places = node.constant(0), node.constant(1)
    _check_entries(node, array.size * places.size)
    return np.take(array, places.astype(np.int64), axis=axis)


def _slice(assembly: Assembly, node: OnnxNode) -> np.ndarray:
    array, starts, ends = (node.constant(index) for index in range(3))
    axes, steps = node.optional(3), node.optional(4)
    axes = range(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    places = [slice(None)] * array.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places[int(axis)] = slice(int(start), int(end), int(step))
    return array[tuple(places)]


def _concatenation(assembly: Assembly, node: OnnxNode) -> Any:
    axis = int(node.number("axis", 0))
    if not any(isinstance(entry, Value) for entry in node.inputs):
        arrays = [node.constant(index) for index in range(len(node.inputs))]
        _check_entries(node, sum(array.size for array in arrays))
        return np.concatenate(arrays, axis)
    if axis == 0:
        raise node.refused("it joins samples")
    values = [node.tensor(index) for index in range(len(node.inputs))]
    return assembly.concatenate(values, axis if axis < 0 else axis - 1)


def _check_entries(node: OnnxNode, count: int) -> None:
    """Before a constant is made that is larger than what it is made of."""
    if count > MOST_ENTRIES:
        raise node.refused(f"a constant of {count} entries is more than the {MOST_ENTRIES} allowed")


def _flatten(assembly: Assembly, node: OnnxNode) -> Value:
    node.require(axis=1)
    return node.value.reshaped((-1,))


def _reshape(assembly: Assembly, node: OnnxNode) -> Any:
    node.require(allowzero=0)
    shape = node.constant(1)
    if not isinstance(node.inputs[0], Value):
        return node.constant(0).reshape(shape)
    samples, *sizes = (int(size) for size in shape.reshape(-1))
    if samples not in (0, -1, _OPEN) and samples != node.batch:
        raise node.refused(f"the shape {shape.tolist()} does not keep the axis of samples")
    value = node.value
    kept = [value.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return value.reshaped(tuple(kept))


def _squeeze(assembly: Assembly, node: OnnxNode) -> Any:
    first = node.inputs[0]
    shape = (0, *first.shape) if isinstance(first, Value) else node.constant(0).shape
    ones = tuple(place for place, size in enumerate(shape) if size == 1)
    every = node.given_axes is None
    axes = ones if every else node.axes(len(shape))
    if not set(axes) <= set(ones) or (every and isinstance(first, Value) and node.batch == 1):
        raise node.refused(f"the axes {axes} are not of size 1, or are the samples")
    kept = tuple(size for place, size in enumerate(shape) if place not in axes)
    return _with_shape(first, kept)


def _unsqueeze(assembly: Assembly, node: OnnxNode) -> Any:
    first = node.inputs[0]
    shape = [0, *first.shape] if isinstance(first, Value) else [*node.constant(0).shape]
    axes = node.axes(len(shape) + len(node.given_axes or ()))
    for axis in axes:
        shape.insert(axis, 1)
    if isinstance(first, Value) and 0 in axes:
        raise node.refused("it moves the axis of samples")
    return _with_shape(first, tuple(shape))


def _with_shape(first: Any, shape: tuple[int, ...]) -> Any:
    """The shape of values begins with their samples."""
    return first.reshaped(shape[1:]) if isinstance(first, Value) else first.reshape(shape)


def _transposition(assembly: Assembly, node: OnnxNode) -> Value | np.ndarray:
    if not isinstance(node.inputs[0], Value):
        array = node.constant(0)
        return array.transpose(node.numbers("perm", list(range(array.ndim))[::-1]))
    rank = len(node.value.shape) + 1
    samples, *axes = node.numbers("perm", list(range(rank))[::-1])
    if samples != 0:
        raise node.refused("it moves the axis of samples")
    return node.value.transposed(tuple(axis - 1 for axis in axes))


def _open(array: np.ndarray) -> bool:
    return array.dtype.kind == "i" and bool(np.any(array == _OPEN))


SHAPES: dict[str, Callable[[Assembly, OnnxNode], Any]] = {
    **dict.fromkeys(("Identity", "Dropout"), _copy),
    "Cast": _cast,
    "Concat": _concatenation,
    "Constant": _constant,
    "Flatten": _flatten,
    "Gather": _gather,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transposition,
    "Unsqueeze": _unsqueeze,
}
