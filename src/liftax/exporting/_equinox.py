"""Equinox modules."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from liftax.exporting._graph import write
from liftax.exporting._writer import AbstractWriter, Pads, Pair, Shape, refused
from liftax.networks import Network, Params
from liftax.potentials import (
    ELU,
    AbstractPotential,
    Clip,
    HardSigmoid,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)

_ACTIVATIONS: tuple[tuple[AbstractPotential, Callable[..., Any]], ...] = (
    (ReLU(), jax.nn.relu),
    (Clip(0.0, 6.0), jax.nn.relu6),
    (LeakyReLU(), jax.nn.leaky_relu),
    (ELU(), jax.nn.elu),
    (Clip(), jax.nn.hard_tanh),
    (HardSigmoid(), jax.nn.hard_sigmoid),
    (Sigmoid(), jax.nn.sigmoid),
    (Softsign(), jax.nn.soft_sign),
    (Softplus(), jax.nn.softplus),
    (Tanh(), jnp.tanh),
)
_CHAINS = "equinox has chains of layers only; export to ONNX or PyTorch, or use the network itself"


def to_equinox(network: Network, params: Params) -> eqx.nn.Sequential:
    """A network as an `equinox.nn.Sequential`; the counterpart of `from_equinox`.

    As equinox has it, the module takes one example; pictures are (channels, height, width) there.
    A `Network` is an equinox module itself, so that graphs with branches need no export.

    Args:
        network: a chain of dense layers, convolutions, normalisation, average pooling and
            activations of `jax.nn`; everything else is refused by its name. Normalisation is folded
            into the dense layer or convolution before it; elsewhere it is a layer of a diagonal
            weight.
        params: its parameters.

    Raises:
        ValueError: naming the node that equinox has no layer for.

    Source: the documentation of `equinox.nn`.
    """
    writer = _Writer()
    if write(network, params, writer, 0) != writer.count:
        raise ValueError(
            f"node {network.output!r}: an output before the last node has no counterpart in an "
            f"equinox chain; {_CHAINS}"
        )
    return eqx.nn.Sequential(writer.layers)


class _Writer(AbstractWriter):
    """Tensors are numbers: how many came before, those that were folded included."""

    def __init__(self):
        self.layers: list[Any] = []
        self.label, self.count = "layer", 0
        self._again: Callable[..., int]  # the last layer with another weight and bias

    def dense(self, u: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
        features, inputs = weight.shape
        key = jax.random.key(0)
        layer = eqx.nn.Linear(inputs, features, bias is not None, weight.dtype, key=key)
        self._again = functools.partial(self.dense, u)
        return self._layer(u, _filled(layer, weight, bias))

    def convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads
    ) -> Any:
        features, channels, *kernel = weight.shape
        layer = eqx.nn.Conv2d(
            channels,
            features,
            tuple(kernel),
            stride,
            pads,
            use_bias=bias is not None,
            dtype=weight.dtype,
            key=jax.random.key(0),
        )
        self._again = functools.partial(self.convolution, u, stride=stride, pads=pads)
        return self._layer(u, _filled(layer, weight, None if bias is None else bias[:, None, None]))

    def transposed_convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, cuts: Pads
    ) -> Any:
        raise refused("TransposedConvolution", "an equinox chain", _CHAINS)

    def pooling(self, u: Any, window: Pair, stride: Pair) -> Any:
        return self._layer(u, eqx.nn.AvgPool2d(window, stride))

    def mean(self, u: Any, axes: tuple[int, ...]) -> Any:
        raise refused("Mean", "an equinox chain", _CHAINS)

    def normalised(
        self, u: Any, statistics: Sequence[np.ndarray], epsilon: float, pictures: bool
    ) -> Any:
        scale, shift, mean, variance = statistics
        factor = scale / np.sqrt(variance + np.asarray(epsilon, variance.dtype))
        offset = shift - mean * factor
        self._check(u)
        if self.layers and isinstance(self.layers[-1], eqx.nn.Linear | eqx.nn.Conv2d):
            before = self.layers.pop()
            weight = np.asarray(before.weight) * factor.reshape(
                -1, *(1,) * (before.weight.ndim - 1)
            )
            bias = 0.0 if before.bias is None else np.asarray(before.bias).ravel()
            self.count -= 1
            # What reads the layer itself has a number that is not the last any more.
            self.count = self._again(weight, bias * factor + offset) + 1
            return self.count
        weight = np.diag(factor)
        if pictures:
            return self.convolution(u, weight[:, :, None, None], offset, (1, 1), ((0, 0), (0, 0)))
        return self.dense(u, weight, offset)

    def add(self, values: Sequence[Any]) -> Any:
        raise refused("a sum of nodes", "an equinox chain", _CHAINS)

    def times(self, u: Any, number: float) -> Any:
        raise refused("a multiple", "an equinox chain", _CHAINS)

    def product(self, u: Any, v: Any) -> Any:
        raise refused("attention", "an equinox chain", _CHAINS)

    def projected(self, u: Any, radius: float, axes: tuple[int, ...]) -> Any:
        raise refused("Ball", "jax.nn", _CHAINS)

    def concatenation(self, values: Sequence[Any], axis: int) -> Any:
        raise refused("Concatenation", "an equinox chain", _CHAINS)

    def reshaped(self, u: Any, shape: Shape) -> Any:
        if len(shape) > 1:
            raise refused("Reshape", "an equinox chain", _CHAINS)
        return self._layer(u, eqx.nn.Lambda(jnp.ravel))

    def transposed(self, u: Any, axes: tuple[int, ...]) -> Any:
        raise refused("Reshape", "an equinox chain", _CHAINS)

    def selected(self, u: Any, places: Sequence[int], axis: int) -> Any:
        raise refused("Selection", "an equinox chain", _CHAINS)

    def moved(self, u: Any, offset: np.ndarray) -> Any:
        raise refused("Positions", "an equinox chain", _CHAINS)

    def clipped(self, u: Any, low: np.ndarray, high: np.ndarray) -> Any:
        raise refused("an activation with several bounds", "an equinox chain", _CHAINS)

    def activation(self, u: Any, potential: AbstractPotential, rank: int) -> Any:
        if isinstance(potential, Softmax) and rank < 3:
            return self._layer(u, eqx.nn.Lambda(jax.nn.softmax))
        for known, function in _ACTIVATIONS:
            if type(known) is type(potential) and vars(known) == vars(potential):
                return self._layer(u, eqx.nn.Lambda(function))
        raise refused(potential, "jax.nn", f"or not with its numbers; {_CHAINS}")

    def _layer(self, u: Any, layer: Any) -> int:
        self._check(u)
        self.layers.append(layer)
        self.count += 1
        return self.count

    def _check(self, u: Any) -> None:
        """Whether that is what came last."""
        if u != self.count:
            raise refused("a branch", "an equinox chain", _CHAINS)


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(weight))
    return layer if bias is None else eqx.tree_at(lambda m: m.bias, layer, jnp.asarray(bias))
