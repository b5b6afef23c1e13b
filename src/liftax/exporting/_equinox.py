"""Equinox modules."""

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
        network: a chain of dense layers, convolutions, average pooling and activations of
            `jax.nn`; everything else is refused by its name.
        params: its parameters.

    Raises:
        ValueError: naming the node that equinox has no layer for.

    Source: the documentation of `equinox.nn`.
    """
    writer = _Writer()
    write(network, params, writer, 0)
    return eqx.nn.Sequential(writer.layers)


class _Writer(AbstractWriter):
    """Tensors are numbers of layers: how many lie before."""

    def __init__(self):
        self.layers: list[Any] = []
        self.label = "layer"

    def dense(self, u: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
        features, inputs = weight.shape
        key = jax.random.key(0)
        layer = eqx.nn.Linear(inputs, features, bias is not None, weight.dtype, key=key)
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
        raise refused("Normalisation", "an equinox chain", "fold it into the weights before it")

    def add(self, values: Sequence[Any]) -> Any:
        raise refused("a sum of nodes", "an equinox chain", _CHAINS)

    def times(self, u: Any, number: float) -> Any:
        raise refused("a multiple", "an equinox chain", _CHAINS)

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
        if u != len(self.layers):
            raise refused("a branch", "an equinox chain", _CHAINS)
        self.layers.append(layer)
        return u + 1


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(weight))
    return layer if bias is None else eqx.tree_at(lambda m: m.bias, layer, jnp.asarray(bias))
