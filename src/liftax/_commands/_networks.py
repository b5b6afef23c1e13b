"""Networks of a file of settings: the builders by name, and what each of them takes."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from liftax._commands._settings import (
    Check,
    Table,
    Value,
    flag,
    hint,
    kind_table,
    list_of,
    made,
    number,
    one_of,
    positive,
    scalars,
    text,
    whole,
)
from liftax.importing import load_network
from liftax.networks import (
    Network,
    Params,
    autoencoder,
    cnn,
    dcp,
    ddfb,
    ddifb,
    dscp,
    fixed,
    gradient_resnet,
    lenet,
    lista,
    mlp,
    resnet,
    split,
    transformer,
)
from liftax.potentials import (
    ELU,
    ISRU,
    AbstractPotential,
    Arctan,
    Ball,
    Clip,
    ElasticNet,
    GroupSoftThreshold,
    HardSigmoid,
    Huber,
    Identity,
    LeakyReLU,
    NonNegativeSoftThreshold,
    NuclearNorm,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Sparsemax,
    SpectralBall,
    Tanh,
)

ACTIVATIONS: dict[str, Callable[..., AbstractPotential]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "relu6": functools.partial(Clip, 0.0, 6.0),
    "clip": Clip,
    "hard_tanh": Clip,
    "hard_sigmoid": HardSigmoid,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
    "softsign": Softsign,
    "elu": ELU,
    "arctan": Arctan,
    "isru": ISRU,
    "huber": Huber,
    "identity": Identity,
    "linear": Identity,
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "soft_threshold": SoftThreshold,
    "non_negative_soft_threshold": NonNegativeSoftThreshold,
    "group_soft_threshold": GroupSoftThreshold,
    "elastic_net": ElasticNet,
    "ball": Ball,
    "nuclear_norm": NuclearNorm,
    "spectral_ball": SpectralBall,
}


class Shapes(NamedTuple):
    """Of an example, and what is to be made of it.

    Attributes:
        x: of an input.
        outputs: classes, or entries of a target.
        labels: whether targets are class labels.
    """

    x: tuple[int, ...]
    outputs: int
    labels: bool

    @property
    def width(self) -> int:
        """Entries of an input."""
        return math.prod(self.x)

    @property
    def picture(self) -> tuple[int, int, int]:
        """(height, width, channels); grey pictures may come without the last axis."""
        if len(self.x) not in (2, 3):
            raise ValueError(
                f"network.kind needs pictures, the examples have the shape {self.x}; give "
                'data.shape = [height, width, channels], or kind = "mlp"'
            )
        height, width, channels = (*self.x, 1)[:3]
        return height, width, channels

    @property
    def picture_or_vector(self) -> tuple[int, ...]:
        """A picture, or the shape as it is."""
        return self.picture if len(self.x) in (2, 3) else self.x


def activation(value: Value) -> AbstractPotential:
    """A potential by its name, or a table of kind and hyper-parameters."""
    name, settings = kind_table(ACTIVATIONS)(value)
    return made(settings, ACTIVATIONS[name], scalars(ACTIVATIONS[name]))


_BOTH: dict[str, Check] = {"activation": activation, "output": activation}
_WIDTHS = list_of(whole(1))
_UNROLLED: dict[str, Check] = {
    "features": whole(1),
    "iterations": whole(1),
    "kernel": whole(1),
    "tied": flag,
    "group": flag,
    "threshold": positive,
    "interval": list_of(number(), 2),
}


class _Kind(NamedTuple):
    """How a network is built from shapes and keys, the keys, and those that have to be there."""

    build: Callable[..., Network]
    checks: dict[str, Check]
    needed: Mapping[str, str] = MappingProxyType({})


def _mlp(shapes: Shapes, hidden: list[int], **rest: Any) -> Network:
    return mlp([shapes.width, *hidden, shapes.outputs], **rest)


def _autoencoder(shapes: Shapes, hidden: list[int], **rest: Any) -> Network:
    return autoencoder([shapes.width, *hidden, shapes.outputs], **rest)


def _cnn(shapes: Shapes, kernel: list[int] | None = None, **rest: Any) -> Network:
    size = {} if kernel is None else {"kernel": (kernel[0], kernel[1])}
    return cnn(shapes.picture, outputs=shapes.outputs, **size, **rest)


def _lenet(shapes: Shapes, **rest: Any) -> Network:
    return lenet(shapes.picture, shapes.outputs, **rest)


def _resnet(shapes: Shapes, width: int, blocks: int, **rest: Any) -> Network:
    return resnet(shapes.picture_or_vector, width, blocks, shapes.outputs, **rest)


def _transformer(shapes: Shapes, width: int, blocks: int, **rest: Any) -> Network:
    return transformer(shapes.picture_or_vector, width, blocks, shapes.outputs, **rest)


def _gradient_resnet(shapes: Shapes, hidden: int, blocks: int, **rest: Any) -> Network:
    return gradient_resnet(shapes.width, hidden, blocks, **rest)


def _lista(shapes: Shapes, iterations: int, **rest: Any) -> Network:
    return lista(shapes.width, shapes.outputs, iterations, **rest)


def _unrolled(builder: Callable[..., Network], shapes: Shapes, **rest: Any) -> Network:
    if "interval" in rest:
        rest["interval"] = tuple(rest["interval"])
    return builder(shapes.picture, rest.pop("features"), rest.pop("iterations"), **rest)


_ITERATED = {"features": "16", "iterations": "4"}
_BLOCKS = {"width": "32", "blocks": "4"}
NETWORKS: dict[str, _Kind] = {
    "mlp": _Kind(_mlp, {"hidden": _WIDTHS, **_BOTH}, {"hidden": "[128]"}),
    "autoencoder": _Kind(
        _autoencoder, {"hidden": _WIDTHS, "code": activation, **_BOTH}, {"hidden": "[64, 16, 64]"}
    ),
    "cnn": _Kind(
        _cnn,
        {
            "features": _WIDTHS,
            "dense": _WIDTHS,
            "kernel": list_of(whole(1), 2),
            "normalised": flag,
            **_BOTH,
        },
    ),
    "lenet": _Kind(_lenet, _BOTH),
    "resnet": _Kind(
        _resnet, {"width": whole(1), "blocks": whole(1), "tied": flag, **_BOTH}, _BLOCKS
    ),
    "gradient-resnet": _Kind(
        _gradient_resnet,
        {"hidden": whole(1), "blocks": whole(1), "activation": activation, "sign": number(-1, 1)},
        {"hidden": "64", "blocks": "4"},
    ),
    "transformer": _Kind(
        _transformer,
        {
            "width": whole(1),
            "blocks": whole(1),
            "heads": whole(1),
            "patch": whole(1),
            **_BOTH,
        },
        _BLOCKS,
    ),
    "lista": _Kind(
        _lista,
        {"iterations": whole(1), "tied": flag, "threshold": number(0.0)},
        {"iterations": "8"},
    ),
    "ddfb": _Kind(functools.partial(_unrolled, ddfb), _UNROLLED, _ITERATED),
    "ddifb": _Kind(functools.partial(_unrolled, ddifb), _UNROLLED, _ITERATED),
    "dcp": _Kind(functools.partial(_unrolled, dcp), _UNROLLED, _ITERATED),
    "dscp": _Kind(functools.partial(_unrolled, dscp), _UNROLLED, _ITERATED),
}


def network(table: Table, shapes: Shapes) -> tuple[Network, Params | None]:
    """The network of the settings, and its parameters if it comes from a file.

    Raises:
        ValueError: for unknown keys, and whatever the builder refuses.
    """
    kind = table.need("kind", one_of([*NETWORKS, "file"]), '"mlp"')
    graph = {name: table.take(name, flag, False) for name in ("split", "fixed")}
    if kind == "file":
        path = Path(table.need("path", text, '"model.safetensors"'))
        table.close()
        return load_network(path)
    builder, checks, needed = NETWORKS[kind]
    for key, example in needed.items():
        table.need(key, checks[key], example)
    if "output" in checks and "output" not in table:
        builder = functools.partial(builder, output="softmax" if shapes.labels else "identity")
    built = made(table, builder, checks, shapes)
    built = split(built) if graph["split"] else built
    return (fixed(built) if graph["fixed"] else built), None


def known_node(table: Table, name: str, names: list[str]) -> None:
    """Refuse a key that is no node's name."""
    if name not in names:
        value = Value(table.content[name], f"{table.path}.{name}", table.lines)
        raise value.error(f"is no node of the network{hint(name, names)} ({', '.join(names)})")
