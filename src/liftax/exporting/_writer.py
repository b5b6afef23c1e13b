"""What a foreign framework is asked for."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

from liftax.potentials import AbstractPotential

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Shape = tuple[int, ...]


def refused(kind: Any, where: str, cure: str) -> ValueError:
    """The error for something that the framework has not."""
    name = kind if isinstance(kind, str) else type(kind).__name__
    return ValueError(f"{name} has no counterpart in {where}; {cure}")


class AbstractWriter(abc.ABC):
    """Writes layers one after another; pictures have their channels first, after the samples.

    A method takes and gives what stands for a tensor there. `label` names the layers that follow.
    """

    label: str

    @abc.abstractmethod
    def dense(self, u: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
        """On the last axis; ``weight`` is (features, inputs)."""

    @abc.abstractmethod
    def convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads
    ) -> Any:
        """``weight`` is (features, channels, kernel height, kernel width)."""

    @abc.abstractmethod
    def transposed_convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, cuts: Pads
    ) -> Any:
        """``weight`` is (channels, features, height, width).

        Of the full result the first rows and columns are cut off, and the last ones, a negative
        number of which are added, with nothing but the bias in them.
        """

    @abc.abstractmethod
    def pooling(self, u: Any, window: Pair, stride: Pair) -> Any:
        """Means over windows."""

    @abc.abstractmethod
    def mean(self, u: Any, axes: tuple[int, ...]) -> Any:
        """Means over axes (the samples are axis 0), which vanish."""

    @abc.abstractmethod
    def normalised(
        self, u: Any, statistics: Sequence[np.ndarray], epsilon: float, pictures: bool
    ) -> Any:
        """With scale, shift, mean and variance of every channel, the axis 1."""

    @abc.abstractmethod
    def add(self, values: Sequence[Any]) -> Any:
        """The sum of two or more."""

    @abc.abstractmethod
    def times(self, u: Any, number: float) -> Any:
        """A multiple."""

    @abc.abstractmethod
    def product(self, u: Any, v: Any) -> Any:
        """Products of the matrices on the last two axes."""

    @abc.abstractmethod
    def projected(self, u: Any, radius: float, axes: tuple[int, ...]) -> Any:
        """On Euclidean balls, each along these axes (the samples are axis 0)."""

    @abc.abstractmethod
    def concatenation(self, values: Sequence[Any], axis: int) -> Any:
        """Side by side along an axis."""

    @abc.abstractmethod
    def reshaped(self, u: Any, shape: Shape) -> Any:
        """Another shape of each example."""

    @abc.abstractmethod
    def transposed(self, u: Any, axes: tuple[int, ...]) -> Any:
        """Axes of all, the samples included, in another order."""

    @abc.abstractmethod
    def selected(self, u: Any, places: Sequence[int], axis: int) -> Any:
        """Some entries along an axis."""

    @abc.abstractmethod
    def moved(self, u: Any, offset: np.ndarray) -> Any:
        """A constant added."""

    @abc.abstractmethod
    def clipped(self, u: Any, low: np.ndarray, high: np.ndarray) -> Any:
        """To bounds that differ from entry to entry."""

    @abc.abstractmethod
    def activation(self, u: Any, potential: AbstractPotential, rank: int) -> Any:
        """An activation whose numbers are single ones, of examples of that rank."""
