"""PyTorch modules."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

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
    SoftThreshold,
    Tanh,
)

_ACTIVATIONS: dict[str, Callable[[Any], AbstractPotential]] = {
    "ReLU": lambda m: ReLU(),
    "LeakyReLU": lambda m: LeakyReLU(m.negative_slope),
    "Hardtanh": lambda m: Clip(m.min_val, m.max_val),
    "ReLU6": lambda m: Clip(0.0, 6.0),
    "Hardsigmoid": lambda m: HardSigmoid(),
    "Tanh": lambda m: Tanh(),
    "Sigmoid": lambda m: Sigmoid(),
    "Softplus": lambda m: Softplus(),
    "ELU": lambda m: ELU(m.alpha),
    "Softsign": lambda m: Softsign(),
    "Softshrink": lambda m: SoftThreshold(m.lambd),
}
_FUNCTIONS = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid, "softsign": Softsign}
_COPIES = ("Identity", "Dropout", "Dropout2d")


def from_torch(module: Any, input_shape: Sequence[int]) -> tuple[Network, Params]:
    """A PyTorch module in evaluation mode as a network and its parameters.

    `torch.fx` traces the module, so its forward pass must not branch on the data. Pictures are
    (height, width, channels) in the network, (channels, height, width) in torch. Batch
    normalisation is folded into the weights before it, dropout is left out.

    Args:
        module: an `nn.Module`; it is not changed.
        input_shape: of one example, as in torch: (channels, height, width), or (n,).

    Raises:
        ValueError: for a layer that cannot be lifted, by its name, with the reason.

    Source: Ioffe & Szegedy 2015 for the folded normalisation.
    """
    fx = importlib.import_module("torch.fx")
    assembly = Assembly(input_shape)
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        raise ValueError(f"module: torch.fx cannot trace it: {line}; remove branches") from error
    modules, values = dict(module.named_modules()), {}

    def known(argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return type(argument)(known(a) for a in argument)
        return values[argument.name] if isinstance(argument, fx.Node) else argument

    for node in graph.nodes:
        arguments = [known(a) for a in (*node.args, *node.kwargs.values())]
        assembly.label = str(node.target) if node.op == "call_module" else node.name
        try:
            if node.op == "placeholder":
                values[node.name] = assembly.input
            elif node.op == "output":
                return assembly.finish(arguments[0])
            elif node.op == "call_module":
                layer = modules[node.target]
                values[node.name] = _layer(assembly, node.target, layer, arguments[0])
            else:
                kind = getattr(node.target, "__name__", str(node.target))
                values[node.name] = _function(assembly, node.name, kind, arguments)
        except ValueError as error:
            text = str(error)
            named = text.startswith(f"{node.name}:") or "cannot be lifted" in text
            raise ValueError(text if named else f"{node.name}: {text}") from None
    raise ValueError("module: it has no output")


def _layer(assembly: Assembly, place: str, m: Any, value: Value) -> Value:
    kind = type(m).__name__
    if kind in _ACTIVATIONS:
        if kind == "Softplus" and m.beta != 1:
            raise refusal(place, kind, f"beta must be 1, got {m.beta}")
        return assembly.activation(value, _ACTIVATIONS[kind](m))
    if kind in _COPIES:
        return value
    match kind:
        case "Linear":
            return assembly.dense(value, _array(m.weight), _array(m.bias))
        case "Conv2d" | "ConvTranspose2d":
            return _convolution(assembly, place, m, value)
        case "BatchNorm1d" | "BatchNorm2d":
            return _normalisation(assembly, place, m, value)
        case "PReLU":
            return assembly.rectifier(value, _array(m.weight))
        case "Flatten":
            return value.reshaped((-1,))
        case "Unflatten":
            return value.reshaped(tuple(m.unflattened_size))
        case "Softmax":
            return assembly.softmax(value, m.dim if m.dim < 0 else m.dim - 1)
        case "AvgPool2d":
            if any(_pair(m.padding)) or m.ceil_mode or m.divisor_override:
                raise refusal(place, kind, "padding, ceil_mode and divisor_override are not known")
            return assembly.pooling(value, _pair(m.kernel_size), _pair(m.stride))
        case "MaxPool2d":
            if m.ceil_mode or m.return_indices or _pair(m.dilation) != (1, 1):
                raise refusal(place, kind, "ceil_mode, return_indices and dilation are not known")
            down, right = _pair(m.padding)
            sizes = (_pair(m.kernel_size), _pair(m.stride))
            return assembly.max_pooling(value, *sizes, ((down, down), (right, right)))
        case "AdaptiveAvgPool2d" if _pair(m.output_size) == (1, 1):
            return assembly.global_mean(value)
    raise refusal(place, kind)


def _convolution(assembly: Assembly, place: str, m: Any, value: Value) -> Value:
    kind = type(m).__name__
    if m.groups != 1 or _pair(m.dilation) != (1, 1) or m.padding_mode != "zeros":
        raise refusal(place, kind, "groups and dilation must be 1, padding_mode 'zeros'")
    weight, bias = _array(m.weight), _array(m.bias)
    if m.padding == "same":
        split = [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in m.kernel_size]
    else:
        split = [(p, p) for p in _pair(0 if m.padding == "valid" else m.padding)]
    pads = (split[0], split[1])
    if kind == "Conv2d":
        return assembly.convolution(value, weight, bias, m.stride, pads)
    extra = _pair(m.output_padding)
    return assembly.transposed_convolution(value, weight, bias, m.stride, pads, extra)


def _normalisation(assembly: Assembly, place: str, m: Any, value: Value) -> Value:
    if len(value.shape) == 2:
        raise refusal(place, type(m).__name__, "of sequences it is not known")
    mean, variance = _array(m.running_mean), _array(m.running_var)
    if mean is None or variance is None:
        raise refusal(place, type(m).__name__, "it keeps no running statistics")
    weight, bias = _array(m.weight), _array(m.bias)
    factor = (1.0 if weight is None else weight) / np.sqrt(variance + m.eps)
    shift = (0.0 if bias is None else bias) - mean * factor
    return assembly.scale(value, factor.astype(mean.dtype), shift.astype(mean.dtype))


def _function(assembly: Assembly, place: str, kind: str, arguments: list[Any]) -> Any:
    value, *rest = arguments
    if kind in _FUNCTIONS:
        return assembly.activation(value, _FUNCTIONS[kind]())
    match kind:
        case "add" | "iadd" if isinstance(rest[0], Value):
            return assembly.add([value, rest[0]])
        case "mul" if isinstance(rest[0], int | float):
            factor = np.full(value.shape[0 if len(value.shape) == 3 else -1], float(rest[0]))
            return assembly.scale(value, factor, np.zeros_like(factor))
        case "permute" if rest[0][:1] == (0,):
            return value.transposed(tuple(axis - 1 for axis in rest[0][1:]))
        case "cat":
            axis = rest[0] if rest else 0
            return assembly.concatenate(list(value), axis if axis < 0 else axis - 1)
        case "flatten" if rest[:1] == [1]:
            return value.reshaped((-1,))
        case "size" if isinstance(value, Value):
            return (1, *value.shape)[rest[0]] if rest else (1, *value.shape)
        case "getitem" if isinstance(value, tuple):
            return value[rest[0]]
        case "view" | "reshape":
            shape = tuple(rest[0]) if isinstance(rest[0], tuple | list) else tuple(rest)
            return value.reshaped(shape[1:])
    raise refusal(place, kind)


def _array(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().cpu().numpy().copy()


def _pair(number: Any) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else (number[0], number[1])
