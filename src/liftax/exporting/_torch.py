"""PyTorch modules."""

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from liftax.exporting._graph import write
from liftax.exporting._writer import AbstractWriter, Pads, Pair, Shape, refused
from liftax.networks import Network, Params
from liftax.potentials import (
    ELU,
    AbstractPotential,
    Arctan,
    Clip,
    HardSigmoid,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Tanh,
)

_ACTIVATIONS: dict[type, Callable[[Any, Any], Any]] = {
    Clip: lambda nn, p: nn.Hardtanh(float(p.low), float(p.high)),
    ELU: lambda nn, p: nn.ELU(float(p.alpha)),
    LeakyReLU: lambda nn, p: nn.LeakyReLU(float(p.slope)),
    ReLU: lambda nn, p: nn.ReLU(),
    Sigmoid: lambda nn, p: nn.Sigmoid(),
    Softplus: lambda nn, p: nn.Softplus(),
    Softsign: lambda nn, p: nn.Softsign(),
    SoftThreshold: lambda nn, p: nn.Softshrink(float(p.threshold)),
    Tanh: lambda nn, p: nn.Tanh(),
}


def to_torch(network: Network, params: Params) -> Any:
    """A network as a PyTorch module in evaluation mode; the counterpart of `from_torch`.

    Pictures are (channels, height, width) there. The module is a `torch.fx.GraphModule` of layers
    of `torch.nn` that are named after the nodes: its ``code`` can be read, and it can be trained
    on, saved and compiled as any module.

    Args:
        network: with the maps and activations that PyTorch has; every other is refused by its name.
        params: its parameters; they are copied, in their precision.

    Raises:
        ValueError: naming the node that PyTorch has no layer for.

    Source: the documentation of `torch.fx`.
    """
    torch = importlib.import_module("torch")
    fx = importlib.import_module("torch.fx")
    writer = _Writer(torch, fx.Graph())
    writer.graph.output(write(network, params, writer, writer.graph.placeholder("input")))
    return fx.GraphModule(writer.modules, writer.graph, "Lifted").eval()


class _Writer(AbstractWriter):
    """Tensors are nodes of the graph."""

    def __init__(self, torch: Any, graph: Any):
        self.torch, self.nn, self.graph, self.label = torch, torch.nn, graph, "layer"
        self.modules: dict[str, Any] = {}

    def dense(self, u: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
        features, inputs = weight.shape
        layer = self.nn.Linear(inputs, features, bias is not None)
        return self._module("", self._filled(layer, weight=weight, bias=bias), u)

    def convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads
    ) -> Any:
        features, channels, *kernel = weight.shape
        (above, below), (left, right) = pads
        even = above == below and left == right
        if not even:
            u = self._module("pad", self.nn.ZeroPad2d((left, right, above, below)), u)
        layer = self.nn.Conv2d(
            channels,
            features,
            tuple(kernel),
            tuple(stride),
            (above, left) if even else (0, 0),
            bias=bias is not None,
        )
        return self._module("", self._filled(layer, weight=weight, bias=bias), u)

    def transposed_convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, cuts: Pads
    ) -> Any:
        channels, features, *kernel = weight.shape
        (above, below), (left, right) = cuts
        # The layer cuts as much on both sides, and then adds at the end.
        known = 0 <= above - below < stride[0] and 0 <= left - right < stride[1]
        extra = (above - below, left - right) if known else (max(-below, 0), max(-right, 0))
        layer = self.nn.ConvTranspose2d(
            channels,
            features,
            tuple(kernel),
            tuple(stride),
            (above, left) if known else (0, 0),
            extra,
            bias=bias is not None,
        )
        z = self._module("", self._filled(layer, weight=weight, bias=bias), u)
        if known:
            return z
        sides = (-left, -max(right, 0), -above, -max(below, 0))
        return self._module("cut", self.nn.ZeroPad2d(sides), z)

    def pooling(self, u: Any, window: Pair, stride: Pair) -> Any:
        return self._module("", self.nn.AvgPool2d(tuple(window), tuple(stride)), u)

    def mean(self, u: Any, axes: tuple[int, ...]) -> Any:
        if axes == (2, 3):
            return self._module(
                "flat", self.nn.Flatten(), self._module("", self.nn.AdaptiveAvgPool2d((1, 1)), u)
            )
        return self.graph.call_function(self.torch.mean, (u, axes))

    def normalised(
        self, u: Any, statistics: Sequence[np.ndarray], epsilon: float, pictures: bool
    ) -> Any:
        kind = self.nn.BatchNorm2d if pictures else self.nn.BatchNorm1d
        layer = kind(len(statistics[0]), eps=epsilon)
        names = ("weight", "bias", "running_mean", "running_var")
        return self._module("", self._filled(layer, **dict(zip(names, statistics, strict=True))), u)

    def add(self, values: Sequence[Any]) -> Any:
        total, *others = values
        for value in others:
            total = self.graph.call_function(self.torch.add, (total, value))
        return total

    def times(self, u: Any, number: float) -> Any:
        return self.graph.call_function(self.torch.mul, (u, number))

    def product(self, u: Any, v: Any) -> Any:
        return self.graph.call_function(self.torch.matmul, (u, v))

    def projected(self, u: Any, radius: float, axes: tuple[int, ...]) -> Any:
        size = self.graph.call_function(self.torch.linalg.vector_norm, (u, 2, axes, True))
        ratio = self.graph.call_function(self.torch.div, (size, radius))
        ratio = self.graph.call_function(self.torch.clamp, (ratio, 1.0))
        return self.graph.call_function(self.torch.div, (u, ratio))

    def concatenation(self, values: Sequence[Any], axis: int) -> Any:
        return self.graph.call_function(self.torch.cat, (list(values), axis))

    def reshaped(self, u: Any, shape: Shape) -> Any:
        if len(shape) == 1:
            return self._module("flat", self.nn.Flatten(), u)
        return self.graph.call_method("reshape", (u, -1, *shape))

    def transposed(self, u: Any, axes: tuple[int, ...]) -> Any:
        return self.graph.call_function(self.torch.permute, (u, axes))

    def selected(self, u: Any, places: Sequence[int], axis: int) -> Any:
        index = self._buffer("places", self.torch.tensor(list(places)))
        return self.graph.call_function(self.torch.index_select, (u, axis, index))

    def moved(self, u: Any, offset: np.ndarray) -> Any:
        return self.graph.call_function(self.torch.add, (u, self._array("offset", offset)))

    def clipped(self, u: Any, low: np.ndarray, high: np.ndarray) -> Any:
        raised = self.graph.call_function(self.torch.maximum, (u, self._array("low", low)))
        return self.graph.call_function(self.torch.minimum, (raised, self._array("high", high)))

    def activation(self, u: Any, potential: AbstractPotential, rank: int) -> Any:
        if isinstance(potential, Softmax):
            return self._module("activation", self.nn.Softmax(1 if rank == 3 else rank), u)
        if isinstance(potential, Arctan):
            return self.graph.call_function(self.torch.atan, (u,))
        if isinstance(potential, HardSigmoid):
            if float(potential.slope) == 1 / 6:
                return self._module("activation", self.nn.Hardsigmoid(), u)
            line = self.graph.call_function(
                self.torch.add, (self.times(u, float(potential.slope)), 0.5)
            )
            return self.graph.call_function(self.torch.clamp, (line, 0.0, 1.0))
        if type(potential) not in _ACTIVATIONS:
            raise refused(potential, "PyTorch", "retrain with another activation, or save_network")
        return self._module("activation", _ACTIVATIONS[type(potential)](self.nn, potential), u)

    def _module(self, ending: str, layer: Any, u: Any) -> Any:
        return self.graph.call_module(self._kept(ending, layer), (u,))

    def _array(self, ending: str, array: np.ndarray) -> Any:
        return self._buffer(ending, self.torch.tensor(np.array(array)))

    def _buffer(self, ending: str, tensor: Any) -> Any:
        return self.graph.get_attr(self._kept(ending, tensor))

    def _kept(self, ending: str, thing: Any) -> str:
        """The name under which the module keeps a layer or a tensor."""
        word = re.sub(r"\W", "_", self.label)
        word = word if word[:1].isalpha() else f"layer_{word}"
        word = f"{word}_{ending}" if ending else word
        count, free = 1, word
        while free in self.modules:
            count += 1
            free = f"{word}_{count}"
        self.modules[free] = thing
        return free

    def _filled(self, layer: Any, **arrays: np.ndarray | None) -> Any:
        for name, array in arrays.items():
            if array is not None:
                tensor = self.torch.tensor(np.array(array))
                owned = getattr(layer, name)
                if isinstance(owned, self.nn.Parameter):
                    tensor = self.nn.Parameter(tensor)
                setattr(layer, name, tensor)
        return layer
