"""Builders of the common networks."""

import math
from collections.abc import Sequence

from liftax.affine import Dense
from liftax.networks._network import Network, chain
from liftax.potentials import AbstractPotential, LeakyReLU, ReLU, potential

Activation = AbstractPotential | str


def mlp(
    widths: Sequence[int], activation: Activation = "relu", output: Activation = "softmax"
) -> Network:
    """A multi-layer perceptron, ``widths`` from the input to the output.

    Initial weights have variance gain²/inputs, with gain √2 behind which a (leaky) ReLU follows and
    1 elsewhere.

    Raises:
        ValueError: for fewer than two widths, or an activation that is not proximal.
    """
    hidden = [activation] * (len(widths) - 2)
    return _dense_chain(widths, [*hidden, output])


def autoencoder(
    widths: Sequence[int],
    activation: Activation = "relu",
    code: Activation = "soft_threshold",
    output: Activation = "identity",
) -> Network:
    """A dense autoencoder: ``widths`` from input to output, the code in the middle hidden layer.

    Of the ``len(widths) - 1`` layers the middle one gets the potential ``code``, the last one
    ``output``, the others ``activation``.

    Raises:
        ValueError: if input and output differ in width, or there is no middle layer.
    """
    layers = len(widths) - 1
    if layers < 2 or widths[0] != widths[-1]:
        raise ValueError(
            f"widths of an autoencoder start and end with the same number and name at least one "
            f"layer between, got {list(widths)}"
        )
    potentials: list[Activation] = [activation] * layers
    potentials[code_layer(layers) - 1] = code
    potentials[-1] = output
    return _dense_chain(widths, potentials)


def code_layer(layers: int) -> int:
    """Number (from 1) of the code layer in a dense autoencoder of that many layers."""
    return (layers + 1) // 2


def _dense_chain(widths: Sequence[int], activations: Sequence[Activation]) -> Network:
    if len(widths) < 2:
        raise ValueError(f"widths needs an input and an output size, got {list(widths)}")
    potentials = [potential(a) for a in activations]
    layers = [
        (Dense(int(width), gain=_gain(p)), p)
        for width, p in zip(widths[1:], potentials, strict=True)
    ]
    return chain((int(widths[0]),), layers)


def _gain(activation: AbstractPotential) -> float:
    return math.sqrt(2.0) if isinstance(activation, ReLU | LeakyReLU) else 1.0
