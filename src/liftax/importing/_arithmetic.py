"""Sums and products with constants."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from liftax.importing._assembly import Assembly
from liftax.importing._value import Value

Refuse = Callable[[str], ValueError]


def arithmetic(assembly: Assembly, kind: str, operands: Sequence[Any], refuse: Refuse) -> Value:
    """Sums of values, and sums and products of a value and a constant per channel.

    Args:
        assembly: that takes the layer.
        kind: ``add``, ``sub``, ``mul`` or ``div``.
        operands: values, and constant arrays.
        refuse: gives the error for a reason.

    Raises:
        ValueError: for what is not affine, and constants that vary within a channel.
    """
    values = [entry for entry in operands if isinstance(entry, Value)]
    if len(values) == len(operands) and kind == "add":
        return assembly.add(values)
    if len(values) != 1 or len(operands) != 2:
        raise refuse("it is not affine in the network's input")
    value, first = values[0], isinstance(operands[0], Value)
    array = per_channel(value, np.asarray(operands[1 if first else 0]), refuse)
    one, zero = np.ones_like(array), np.zeros_like(array)
    match kind:
        case "add":
            return assembly.scale(value, one, array)
        case "mul":
            return assembly.scale(value, array, zero)
        case "sub":
            return assembly.scale(value, one if first else -one, -array if first else array)
        case "div" if first and np.all(array != 0):
            return assembly.scale(value, one / array, zero)
    raise refuse("it is not affine in the network's input")


def per_channel(value: Value, constant: np.ndarray, refuse: Refuse) -> np.ndarray:
    """A constant that broadcasts against the value with its samples, as a number a channel.

    Raises:
        ValueError: for any other.
    """
    rank = len(value.shape) + 1
    padded = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    axis = 1 if rank == 4 else rank - 1
    others = [size for place, size in enumerate(padded.shape) if place != axis]
    if padded.ndim != rank or any(size != 1 for size in others):
        raise refuse(f"its constant of shape {constant.shape} is not one number a channel")
    return padded.reshape(-1)
