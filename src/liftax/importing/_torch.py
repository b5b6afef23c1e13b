"""PyTorch modules."""

import functools
import importlib
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from liftax._kinds import check_kind
from liftax.importing._arithmetic import arithmetic
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
_WINDOW = ("kernel_size", "stride", "padding")
# Functions: the module that each is, and its arguments after the first in their order.
_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "relu": ("ReLU", ("inplace",)),
    "leaky_relu": ("LeakyReLU", ("negative_slope", "inplace")),
    "hardtanh": ("Hardtanh", ("min_val", "max_val", "inplace")),
    "relu6": ("ReLU6", ("inplace",)),
    "hardsigmoid": ("Hardsigmoid", ("inplace",)),
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "softplus": ("Softplus", ("beta", "threshold")),
    "elu": ("ELU", ("alpha", "inplace")),
    "softsign": ("Softsign", ()),
    "softshrink": ("Softshrink", ("lambd",)),
    "softmax": ("Softmax", ("dim", "_stacklevel", "dtype")),
    "avg_pool2d": ("AvgPool2d", (*_WINDOW, "ceil_mode", "count_include_pad", "divisor_override")),
    "max_pool2d": ("MaxPool2d", (*_WINDOW, "dilation", "ceil_mode", "return_indices")),
    "adaptive_avg_pool2d": ("AdaptiveAvgPool2d", ("output_size",)),
    "dropout": ("Dropout", ("p", "training", "inplace")),
    "dropout2d": ("Dropout2d", ("p", "training", "inplace")),
}
_WITHOUT_EFFECT = ("inplace", "_stacklevel", "dtype", "training")
_ARITHMETIC = {
    **dict.fromkeys(("add", "iadd"), "add"),
    **dict.fromkeys(("sub", "isub", "subtract"), "sub"),
    **dict.fromkeys(("mul", "imul", "multiply"), "mul"),
    **dict.fromkeys(("truediv", "itruediv", "div", "divide", "true_divide"), "div"),
}
_COPIES = ("Identity", "Dropout", "Dropout2d")


def from_torch(module: Any, input_shape: Sequence[int]) -> tuple[Network, Params]:
    """A PyTorch module in evaluation mode as a network and its parameters.

    `torch.fx` traces the module, so its forward pass must not branch on the data. Pictures are
    (height, width, channels) in the network, (channels, height, width) in torch. Batch
    normalisation is folded into the weights before it, dropout is left out. Functions of
    `torch.nn.functional` are taken as the modules of the same name.

    Args:
        module: an `nn.Module`; it is not changed.
        input_shape: of one example, as in torch: (channels, height, width), or (n,).

    Raises:
        ValueError: for a layer that cannot be lifted, by its name, with the reason; for what is no
            module (a state dict, a path, a ScriptModule), and several inputs or outputs.

    Source: Ioffe & Szegedy 2015 for the folded normalisation.
    """
    torch, fx = importlib.import_module("torch"), importlib.import_module("torch.fx")
    _check(module, torch)
    assembly = Assembly(input_shape)
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        raise ValueError(f"module: torch.fx cannot trace it: {line}; remove branches") from error
    dtype = next((_array(p).dtype for p in module.parameters()), np.float32)
    modules, values = dict(module.named_modules()), {}

    def known(argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return type(argument)(known(a) for a in argument)
        return values[argument.name] if isinstance(argument, fx.Node) else argument

    for node in graph.nodes:
        arguments = [known(a) for a in node.args]
        named = {name: known(a) for name, a in node.kwargs.items()}
        assembly.label = str(node.target) if node.op == "call_module" else node.name
        kind = getattr(node.target, "__name__", str(node.target))
        try:
            if node.op == "placeholder":
                values[node.name] = _input(assembly, arguments, bool(values))
            elif node.op == "get_attr":
                values[node.name] = operator.attrgetter(node.target)(module)
            elif node.op == "output":
                return assembly.finish(_output(arguments[0]))
            elif node.op == "call_module":
                given = [*arguments, *named.values()]
                values[node.name] = _layer(assembly, node.target, modules[node.target], given[0])
            else:
                values[node.name] = _function(assembly, node.name, kind, arguments, named, dtype)
        except ValueError as error:
            text = str(error)
            whole = text.startswith(f"{node.name}:") or "cannot be lifted" in text
            raise ValueError(text if whole else f"{node.name}: {text}") from None
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise refusal(node.name, kind, f"its arguments are not known ({error})") from error
    raise ValueError("module: it has no output")


def _check(module: Any, torch: Any) -> None:
    if isinstance(module, Mapping):
        raise ValueError(
            "module is a state dict, which holds weights only; build the nn.Module, give it these "
            "by load_state_dict, and import the module"
        )
    if isinstance(module, str | os.PathLike):
        raise ValueError(
            f"module is the path {str(module)!r}; build the nn.Module, give it the weights of the "
            "file by load_state_dict, and import the module (load_network reads ONNX files)"
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(
            "module is a ScriptModule, which is compiled and cannot be traced; give the nn.Module "
            "that it was made from, or export it to ONNX"
        )
    check_kind(module, torch.nn.Module, "module", "an nn.Module")


def _input(assembly: Assembly, default: list[Any], later: bool) -> Any:
    """The network's input, or the default of a further argument."""
    if not later:
        return assembly.input
    if not default:
        raise ValueError("the module takes several inputs, and one is known; wrap it in a module")
    return default[0]


def _output(found: Any) -> Value:
    if not isinstance(found, Value):
        raise ValueError(
            f"the module gives a {type(found).__name__}, and one tensor is known; wrap it in a "
            "module that returns one of its outputs"
        )
    return found


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
        case "Flatten" if m.start_dim == 1 and m.end_dim in (-1, len(value.shape)):
            return value.reshaped((-1,))
        case "Unflatten":
            return value.reshaped(tuple(m.unflattened_size))
        case "Softmax" if m.dim is None or m.dim % (len(value.shape) + 1) == 0:
            raise refusal(place, kind, "along samples, or without dim, it is not known")
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


def _function(
    assembly: Assembly,
    place: str,
    kind: str,
    arguments: list[Any],
    named: dict[str, Any],
    dtype: Any,
) -> Any:
    """``dtype`` is that of constants."""
    if kind in _CALLS:
        return _layer(assembly, place, _module(place, kind, arguments[1:], named), arguments[0])
    value, *rest = [*arguments, *named.values()]
    if kind in _ARITHMETIC and set(named) <= {"other"}:
        operands = [a if isinstance(a, Value) else _constant(a, dtype) for a in (value, *rest)]
        refuse = functools.partial(refusal, place, kind)
        return arithmetic(assembly, _ARITHMETIC[kind], operands, refuse)
    match kind:
        case "neg":
            return arithmetic(assembly, "mul", [value, np.asarray(-1, dtype)], ValueError)
        case "permute" if rest[0][:1] == (0,):
            return value.transposed(tuple(axis - 1 for axis in rest[0][1:]))
        case "cat":
            axis = rest[0] if rest else 0
            return assembly.concatenate(list(value), axis if axis < 0 else axis - 1)
        case "flatten" if rest in ([1], [1, -1]):
            return value.reshaped((-1,))
        case "size" if isinstance(value, Value):
            return (1, *value.shape)[rest[0]] if rest else (1, *value.shape)
        case "getitem" if isinstance(value, tuple):
            return value[rest[0]]
        case "view" | "reshape":
            shape = tuple(rest[0]) if isinstance(rest[0], tuple | list) else tuple(rest)
            return value.reshaped(shape[1:])
    raise refusal(place, kind)


def _module(place: str, kind: str, rest: list[Any], named: dict[str, Any]) -> Any:
    """The module that a function with these arguments is."""
    name, order = _CALLS[kind]
    given = {**dict(zip(order, rest, strict=False)), **named}
    if kind.startswith("dropout") and given.get("training", True):
        raise refusal(place, kind, "it drops in evaluation too; pass training=self.training")
    if given.get("dtype") is not None or not set(given) <= set(order):
        raise refusal(place, kind, f"its arguments {', '.join(given)} are not known")
    settings = {key: entry for key, entry in given.items() if key not in _WITHOUT_EFFECT}
    return getattr(importlib.import_module("torch.nn"), name)(**settings)


def _constant(given: Any, dtype: Any) -> Any:
    """A number or a tensor as an array."""
    return np.asarray(given if isinstance(given, int | float) else _array(given), dtype)


def _array(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().cpu().numpy().copy()


def _pair(number: Any) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else (number[0], number[1])
