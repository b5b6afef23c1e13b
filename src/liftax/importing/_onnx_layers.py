"""Operators of ONNX."""

from collections.abc import Callable
from typing import Any

import numpy as np

from liftax.importing._arithmetic import arithmetic, per_channel
from liftax.importing._assembly import Assembly, Pads
from liftax.importing._onnx_node import OnnxNode
from liftax.importing._onnx_shapes import SHAPES
from liftax.importing._value import Value
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
    SoftThreshold,
    Tanh,
)

_ACTIVATIONS: dict[str, Callable[[OnnxNode], AbstractPotential]] = {
    "Relu": lambda n: ReLU(),
    "LeakyRelu": lambda n: LeakyReLU(n.number("alpha", 0.01)),
    "Tanh": lambda n: Tanh(),
    "Sigmoid": lambda n: Sigmoid(),
    "Softplus": lambda n: Softplus(),
    "Softsign": lambda n: Softsign(),
    "Elu": lambda n: ELU(n.number("alpha", 1.0)),
    "HardSigmoid": lambda n: _hard_sigmoid(n),
    "Clip": lambda n: _clip(n),
    "Shrink": lambda n: _shrink(n),
}


def layer(assembly: Assembly, node: OnnxNode) -> Value | np.ndarray:
    """The output of a node: a value, or an array if it is constant."""
    if node.kind in _ACTIVATIONS:
        return assembly.activation(node.value, _ACTIVATIONS[node.kind](node))
    if node.kind in _LAYERS:
        return _LAYERS[node.kind](assembly, node)
    raise node.refused()


def _clip(node: OnnxNode) -> AbstractPotential:
    low, high = (
        node.attributes.get(name) if node.optional(index) is None else node.optional(index).item()
        for index, name in ((1, "min"), (2, "max"))
    )
    if high is None and low == 0:
        return ReLU()
    if low is None or high is None:
        raise node.refused("of half-lines only that from 0 is known; give min and max")
    return Clip(float(low), float(high))


def _hard_sigmoid(node: OnnxNode) -> AbstractPotential:
    node.require(beta=0.5)
    return HardSigmoid(node.number("alpha", 0.2))


def _shrink(node: OnnxNode) -> AbstractPotential:
    threshold = node.number("lambd", 0.5)
    if node.number("bias", 0.0) != threshold:
        raise node.refused("lambd and bias must be equal, otherwise it jumps")
    return SoftThreshold(threshold)


def _gemm(assembly: Assembly, node: OnnxNode) -> Value:
    node.require(transA=0)
    weight, bias = node.constant(1), node.optional(2)
    if weight.ndim != 2:
        raise node.refused(f"the weight must be a matrix, got the shape {weight.shape}")
    weight = (weight if node.attributes.get("transB", 0) else weight.T) * _like(
        node.number("alpha", 1.0), weight
    )
    if bias is not None:
        whole = np.broadcast_to(bias, (1, weight.shape[0]))[0]
        bias = whole * _like(node.number("beta", 1.0), whole)
    return assembly.dense(node.value, weight, bias)


def _product(assembly: Assembly, node: OnnxNode) -> Value:
    weight = node.constant(1)
    if weight.ndim != 2:
        raise node.refused(f"the weight must be a matrix, got the shape {weight.shape}")
    return assembly.dense(node.value, weight.T, None)


def _padding(node: OnnxNode, value: Value, kernel: list[int], stride: list[int]) -> Pads:
    auto = node.attributes.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER") and node.kind != "ConvTranspose":
        low, high = [], []
        for size, k, s in zip(value.shape[1:], kernel, stride, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            less, more = total // 2, total - total // 2
            low.append(less if auto == b"SAME_UPPER" else more)
            high.append(more if auto == b"SAME_UPPER" else less)
    elif auto in (b"NOTSET", b"VALID"):
        pads = node.numbers("pads", [0, 0, 0, 0]) if auto == b"NOTSET" else [0, 0, 0, 0]
        low, high = pads[:2], pads[2:]
    else:
        raise node.refused("auto_pad is not known here; export with pads in numbers")
    return (low[0], high[0]), (low[1], high[1])


def _convolution(assembly: Assembly, node: OnnxNode) -> Value:
    value, weight, bias = node.value, node.constant(1), node.optional(2)
    if weight.ndim != 4 or len(value.shape) != 3:
        raise node.refused("only convolutions of pictures are known")
    node.require(group=1, dilations=[1, 1], kernel_shape=list(weight.shape[2:]))
    high, wide = node.numbers("strides", [1, 1])
    pads = _padding(node, value, list(weight.shape[2:]), [high, wide])
    if node.kind == "Conv":
        return assembly.convolution(value, weight, bias, (high, wide), pads)
    if "output_shape" in node.attributes:
        raise node.refused("output_shape is not known; export with pads in numbers")
    below, beside = node.numbers("output_padding", [0, 0])
    return assembly.transposed_convolution(value, weight, bias, (high, wide), pads, (below, beside))


def _normalisation(assembly: Assembly, node: OnnxNode) -> Value:
    node.require(training_mode=0, spatial=1)
    if len(node.value.shape) == 2:
        raise node.refused("of sequences it is not known; export it for pictures or vectors")
    scale, bias, mean, variance = (node.constant(index).astype(np.float64) for index in range(1, 5))
    factor = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    dtype = node.constant(1).dtype
    shift = bias - mean * factor
    return assembly.scale(node.value, factor.astype(dtype), shift.astype(dtype))


def _arithmetic(assembly: Assembly, node: OnnxNode) -> Value:
    """Sums of values, and sums and products of a value and a constant per channel."""
    pairs = enumerate(node.inputs)
    operands = [e if isinstance(e, Value) else node.constant(index) for index, e in pairs]
    kind = "add" if node.kind == "Sum" else node.kind.lower()
    return arithmetic(assembly, kind, operands, node.refused)


def _pooling(assembly: Assembly, node: OnnxNode) -> Value:
    node.require(ceil_mode=0, dilations=[1, 1])
    high, wide = node.numbers("kernel_shape", [0, 0])
    down, right = node.numbers("strides", [1, 1])
    pads = _padding(node, node.value, [high, wide], [down, right])
    if node.kind == "MaxPool":
        return assembly.max_pooling(node.value, (high, wide), (down, right), pads)
    if np.any(pads):
        raise node.refused("padding is not known; pad not at all")
    return assembly.pooling(node.value, (high, wide), (down, right))


def _global_mean(assembly: Assembly, node: OnnxNode) -> Value:
    return assembly.global_mean(node.value)


def _mean(assembly: Assembly, node: OnnxNode) -> Value:
    value, axes = node.value, node.axes(len(node.value.shape) + 1)
    if axes != (2, 3) or len(value.shape) != 3:
        raise node.refused(f"of the axes {axes} it is not known, only of a picture's (2, 3)")
    mean = assembly.global_mean(value)
    return mean if node.number("keepdims", 1) else mean.reshaped(value.shape[:1])


def _slopes(assembly: Assembly, node: OnnxNode) -> Value:
    """A slope for negative numbers, or one a channel."""
    slopes = per_channel(node.value, node.constant(1), node.refused)
    return assembly.rectifier(node.value, slopes)


def _softmax(assembly: Assembly, node: OnnxNode) -> Value:
    old, rank = node.opset < 13, len(node.value.shape) + 1
    axis = int(node.number("axis", 1 if old else -1))
    if axis == 0 or (old and rank > 2):
        raise node.refused("along samples, or of pictures before operator set 13, is not known")
    return assembly.softmax(node.value, axis if axis < 0 else axis - 1)


_LAYERS: dict[str, Callable[[Assembly, OnnxNode], Any]] = {
    **dict.fromkeys(("Add", "Sum", "Sub", "Mul", "Div"), _arithmetic),
    **dict.fromkeys(("Conv", "ConvTranspose"), _convolution),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pooling),
    "BatchNormalization": _normalisation,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "MatMul": _product,
    "PRelu": _slopes,
    "ReduceMean": _mean,
    "Softmax": _softmax,
    **SHAPES,
}


def _like(number: float, array: np.ndarray) -> np.ndarray:
    return np.asarray(number, array.dtype)
