"""A network as JSON and arrays, and back. Classes are looked up in fixed tables."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from liftax import affine, potentials
from liftax.importing._value import checked
from liftax.networks import Network, Node

MOST_NODES = 4096
ARRAY = "@"  # begins the names of arrays that are fields

_MAPS: dict[str, type[eqx.Module]] = {
    kind.__name__: kind
    for kind in (
        affine.AveragePooling,
        affine.Concatenation,
        affine.Convolution,
        affine.Dense,
        affine.Identity,
        affine.Mean,
        affine.Mix,
        affine.Normalisation,
        affine.Patches,
        affine.Pointwise,
        affine.Positions,
        affine.Reshape,
        affine.Residual,
        affine.Scale,
        affine.Scaled,
        affine.Scores,
        affine.Selection,
        affine.Sum,
        affine.TransposedConvolution,
        affine.TransposedDense,
    )
}
_POTENTIALS: dict[str, type[eqx.Module]] = {
    kind.__name__: kind
    for kind in (
        potentials.Arctan,
        potentials.Ball,
        potentials.Clip,
        potentials.ElasticNet,
        potentials.ELU,
        potentials.GroupSoftThreshold,
        potentials.HalfSpace,
        potentials.HardSigmoid,
        potentials.Huber,
        potentials.Identity,
        potentials.ISRU,
        potentials.LeakyReLU,
        potentials.MaxAffine,
        potentials.NonNegativeSoftThreshold,
        potentials.NuclearNorm,
        potentials.ReLU,
        potentials.Sigmoid,
        potentials.Softmax,
        potentials.Softplus,
        potentials.Softsign,
        potentials.SoftThreshold,
        potentials.Sparsemax,
        potentials.SpectralBall,
        potentials.Tanh,
    )
}
_TABLES = {"map": _MAPS, "potential": _POTENTIALS}
_ENTRIES = ("name", "parents", "tied_to", "learn", "affine", "potential")


def described(network: Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What JSON holds of a network, and the arrays among its fields.

    Raises:
        ValueError: for maps and potentials other than those of the library.
    """
    arrays: dict[str, np.ndarray] = {}
    nodes = [
        {name: _plain(getattr(node, name), node.name, arrays) for name in _ENTRIES}
        for node in network.nodes
    ]
    return {"input_shape": [int(size) for size in network.input_shape], "nodes": nodes}, arrays


def built(description: Any, arrays: Mapping[str, np.ndarray]) -> Network:
    """The network of a description.

    Raises:
        ValueError: for anything that `described` does not give.
    """
    if not isinstance(description, dict) or set(description) != {"input_shape", "nodes"}:
        raise ValueError("a network's description has input_shape and nodes")
    shape, nodes = description["input_shape"], description["nodes"]
    if not isinstance(nodes, list) or not isinstance(shape, list):
        raise ValueError("input_shape and nodes must be lists")
    if len(nodes) > MOST_NODES:
        raise ValueError(f"{len(nodes)} nodes are more than the {MOST_NODES} that a file may have")
    _check(tuple(shape), tuple[int, ...], "input_shape")
    network = Network(tuple(_node(node, arrays) for node in nodes), checked(tuple(shape)))
    for sizes in network.shapes.values():
        if sizes:
            checked(sizes)
    return network


def _node(entries: Any, arrays: Mapping[str, np.ndarray]) -> Node:
    if not isinstance(entries, dict) or set(entries) != set(_ENTRIES):
        raise ValueError(f"a node has the entries {', '.join(_ENTRIES)}")
    values = {name: _whole(entries[name], arrays) for name in _ENTRIES}
    for name, kind in (
        ("name", str),
        ("parents", tuple[str, ...]),
        ("tied_to", str | None),
        ("learn", tuple[str, ...]),
        ("affine", affine.AbstractAffine),
        ("potential", potentials.AbstractPotential),
    ):
        _check(values[name], kind, name)
    return Node(*(values[n] for n in ("name", "affine", "potential", "parents")),
                tied_to=values["tied_to"], learn=values["learn"])  # fmt: skip


def _plain(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    for family, table in _TABLES.items():
        name = type(value).__name__
        if table.get(name) is type(value):
            fields = {
                field.name: _plain(getattr(value, field.name), place, arrays)
                for field in dataclasses.fields(value)
            }
            return {family: name, "fields": fields}
    if isinstance(value, tuple | list):
        return [_plain(item, place, arrays) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, jax.Array | np.ndarray):
        name = f"{ARRAY}{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"network: {type(value).__name__} of node {place!r} is none of the library's maps and "
        "potentials, and a file holds no code; keep the parameters with save_model"
    )


def _whole(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_whole(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"number"} and value["number"] in ("inf", "-inf", "nan"):
        return float(value["number"])
    if set(value) == {"array"} and isinstance(value["array"], str) and value["array"] in arrays:
        return jax.device_put(arrays[value["array"]], may_alias=False)
    for family, table in _TABLES.items():
        if set(value) == {family, "fields"} and isinstance(value["fields"], dict):
            name, fields = value[family], value["fields"]
            if not isinstance(name, str) or name not in table:
                raise ValueError(f"the {family} {name!r} is unknown; known: {', '.join(table)}")
            return _record(table[name], {n: _whole(field, arrays) for n, field in fields.items()})
    raise ValueError(f"an entry has the names {', '.join(map(str, value))}, which say nothing")


def _record(kind: type[eqx.Module], values: dict[str, Any]) -> Any:
    annotations = {field.name: field.type for field in dataclasses.fields(kind)}
    if set(values) != set(annotations):
        raise ValueError(f"{kind.__name__} has the fields {', '.join(annotations) or '(none)'}")
    for name, value in values.items():
        _check(value, annotations[name], f"{kind.__name__}.{name}")
    return kind(**values)


def _check(value: Any, kind: Any, place: str) -> None:
    if not _fits(value, kind):
        raise ValueError(f"{place} cannot be of the type {type(value).__name__}, or its items not")


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:  # a number, or one for each direction
        return _fits(value, int | tuple[int, ...] | None)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if kind in (int, float):
        numbers = int if kind is int else int | float
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, kind)
