"""A node of an ONNX graph with its inputs at hand."""

import dataclasses
from typing import Any

import numpy as np

from liftax.importing._refusals import refusal
from liftax.importing._value import Value


@dataclasses.dataclass(frozen=True)
class OnnxNode:
    """Attributes: `batch` is the number of samples, 0 if open."""

    place: str
    kind: str
    inputs: list[Any]
    attributes: dict[str, Any]
    opset: int
    batch: int

    @property
    def value(self) -> Value:
        """The first input, which must depend on the network's input."""
        return self.tensor(0)

    def tensor(self, index: int) -> Value:
        """An input that depends on the network's input."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, Value):
            raise self.refused(f"its input {index} must depend on the network's input")
        return found

    def constant(self, index: int) -> np.ndarray:
        """An input that must be there and constant."""
        found = self.optional(index)
        if found is None:
            raise self.refused(f"it lacks its input {index}")
        return found

    def optional(self, index: int) -> Any:
        """A constant input, or None."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(found, Value):
            raise self.refused(f"its input {index} must be constant")
        return found

    def number(self, name: str, default: float) -> float:
        """A numeric attribute."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int | float):
            raise self.refused(f"{name} must be a number")
        return found

    def numbers(self, name: str, default: list[int]) -> list[int]:
        """An attribute of as many integers as the default has."""
        found = list(self.attributes.get(name, default))
        if len(found) != len(default) or not all(isinstance(n, int) for n in found):
            raise self.refused(f"{name} must be {len(default)} integers, got {found}")
        return found

    @property
    def given_axes(self) -> list[int] | None:
        """An attribute, from some operator set on the second input; None if there are none."""
        found = self.attributes.get("axes", self.optional(1))
        return None if found is None else [int(axis) for axis in np.ravel(found)]

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes that are given, in order, of an array of this rank."""
        found = sorted(axis + rank if axis < 0 else axis for axis in self.given_axes or ())
        if len(set(found)) != len(found) or any(not 0 <= axis < rank for axis in found):
            raise self.refused(f"the axes {found} are not those of an array of rank {rank}")
        return tuple(found)

    def require(self, **wanted: Any) -> None:
        """Refuse attributes that are given and differ."""
        for name, value in wanted.items():
            found = self.attributes.get(name, value)
            if (list(found) if isinstance(value, list) else found) != value:
                raise self.refused(f"{name} must be {value}, got {found}")

    def refused(self, reason: str | None = None) -> ValueError:
        """The error that names the node."""
        return refusal(self.place, self.kind, reason)
