"""Equinox modules."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from liftax.importing._assembly import Assembly
from liftax.importing._refusals import refusal
from liftax.importing._value import Value
from liftax.networks import Network, Params
from liftax.potentials import (
    ELU,
    AbstractPotential,
    Clip,
    HardSigmoid,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
)

_ACTIVATIONS: tuple[tuple[Callable[..., Any], AbstractPotential], ...] = (
    (jax.nn.relu, ReLU()),
    (jax.nn.relu6, Clip(0.0, 6.0)),
    (jax.nn.leaky_relu, LeakyReLU()),
    (jax.nn.elu, ELU()),
    (jax.nn.hard_tanh, Clip()),
    (jax.nn.hard_sigmoid, HardSigmoid()),
    (jax.nn.sigmoid, Sigmoid()),
    (jax.nn.soft_sign, Softsign()),
    (jax.nn.softplus, Softplus()),
    (jnp.tanh, Tanh()),
    (jax.nn.tanh, Tanh()),
)
_COPIES = (eqx.nn.Dropout, eqx.nn.Identity)
_NO_ACTIVATION = inspect.signature(eqx.nn.MLP).parameters["final_activation"].default


def from_equinox(module: Any, input_shape: Sequence[int]) -> tuple[Network, Params]:
    """An equinox module as a network and its parameters.

    Known are `Sequential`, `MLP`, `Linear`, `Conv2d`, `AvgPool2d`, `Dropout` (left out), and
    `Lambda` of `jnp.ravel` and of the activations of `jax.nn` that are proximal maps. Pictures are
    (height, width, channels) in the network, (channels, height, width) in equinox.

    Args:
        module: one of these.
        input_shape: of one example, as in equinox: (channels, height, width), or (n,).

    Raises:
        ValueError: for a layer that cannot be lifted, by its name, with the reason.

    Source: the documentation of `equinox.nn`.
    """
    assembly = Assembly(input_shape)
    return assembly.finish(_layer(assembly, "module", module, assembly.input))


def _layer(assembly: Assembly, place: str, m: Any, value: Value) -> Value:
    assembly.label = place.removeprefix("module.")
    if isinstance(m, eqx.nn.Sequential):
        for index, inner in enumerate(m.layers):
            value = _layer(assembly, f"{place}.layers.{index}", inner, value)
        return value
    if isinstance(m, eqx.nn.MLP):
        return _perceptron(assembly, place, m, value)
    if isinstance(m, eqx.nn.Lambda):
        return _function(assembly, place, m.fn, value)
    if isinstance(m, _COPIES):
        return value
    try:
        return _single(assembly, place, m, value)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(place) else f"{place}: {text}") from None


def _single(assembly: Assembly, place: str, m: Any, value: Value) -> Value:
    kind = type(m).__name__
    if isinstance(m, eqx.nn.Linear):
        if "scalar" in (m.in_features, m.out_features):
            raise refusal(place, kind, "sizes 'scalar' are not known; give 1")
        return assembly.dense(value, np.asarray(m.weight), _array(m.bias))
    if isinstance(m, eqx.nn.Conv2d):
        if m.groups != 1 or tuple(m.dilation) != (1, 1) or m.padding_mode != "ZEROS":
            raise refusal(place, kind, "groups and dilation must be 1, padding_mode 'ZEROS'")
        if isinstance(m.padding, str):
            raise refusal(place, kind, "padding must be numbers")
        down, right = m.stride
        above, beside = m.padding
        weight = np.asarray(m.weight)
        return assembly.convolution(value, weight, _array(m.bias), (down, right), (above, beside))
    if isinstance(m, eqx.nn.AvgPool2d):
        if m.use_ceil or isinstance(m.padding, str) or np.any(np.asarray(m.padding)):
            raise refusal(place, kind, "padding and use_ceil are not known")
        (high, wide), (down, right) = m.kernel_size, m.stride
        return assembly.pooling(value, (high, wide), (down, right))
    if isinstance(m, eqx.nn.MaxPool2d):
        if m.use_ceil or isinstance(m.padding, str):
            raise refusal(place, kind, "use_ceil is not known, and padding must be numbers")
        (high, wide), (down, right), (above, beside) = m.kernel_size, m.stride, m.padding
        return assembly.max_pooling(value, (high, wide), (down, right), (above, beside))
    if isinstance(m, eqx.nn.BatchNorm):
        raise refusal(place, kind, "its statistics are not in it; fold them into the layer before")
    raise refusal(place, kind)


def _perceptron(assembly: Assembly, place: str, m: eqx.nn.MLP, value: Value) -> Value:
    for index, layer in enumerate(m.layers):
        value = _layer(assembly, f"{place}.layers.{index}", layer, value)
        last = index == len(m.layers) - 1
        value = _function(assembly, place, m.final_activation if last else m.activation, value)
    return value


def _function(assembly: Assembly, place: str, function: Any, value: Value) -> Value:
    for known, potential in _ACTIVATIONS:
        if function is known:
            return assembly.activation(value, potential)
    if function is jax.nn.softmax:
        if len(value.shape) == 3:
            raise refusal(place, "softmax", "of pictures it acts along rows; move channels last")
        return assembly.softmax(value, -1)
    if function is jnp.ravel:
        return value.reshaped((-1,))
    if function is _NO_ACTIVATION or function is jax.nn.identity:
        return value
    raise refusal(place, getattr(function, "__name__", type(function).__name__))


def _array(array: Any) -> np.ndarray | None:
    return None if array is None else np.asarray(array)
