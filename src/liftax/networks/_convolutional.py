"""Builders of convolutional classifiers."""

import math
from collections.abc import Sequence

from liftax.affine import AbstractAffine, AveragePooling, Convolution, Dense, Normalisation
from liftax.networks._network import Network, chain
from liftax.potentials import AbstractPotential, LeakyReLU, ReLU, potential

Activation = AbstractPotential | str


def cnn(
    input_shape: tuple[int, int, int],
    features: Sequence[int] = (16, 32),
    dense: Sequence[int] = (128,),
    outputs: int = 10,
    activation: Activation = "relu",
    output: Activation = "softmax",
    kernel: tuple[int, int] = (3, 3),
    normalised: bool = False,
) -> Network:
    """Convolutions, each followed by 2x2 average pooling, then dense layers.

    Args:
        input_shape: (height, width, channels).
        features: of the convolutions.
        dense: widths of the hidden dense layers.
        outputs: width of the last layer.
        activation: of all hidden layers.
        output: of the last layer.
        kernel: of the convolutions.
        normalised: batch normalisation between a convolution and its activation.

    Raises:
        ValueError: if pooling leaves nothing of the pictures, or for an activation that is not
            proximal.
    """
    hidden, last = potential(activation), potential(output)
    gain = gain_before(hidden)
    layers: list[tuple[AbstractAffine, AbstractPotential | str]] = []
    for count in features:
        first = Convolution(int(count), kernel, gain=gain, use_bias=not normalised)
        if normalised:
            layers += [(first, "identity"), (Normalisation(), hidden)]
        else:
            layers.append((first, hidden))
        layers.append((AveragePooling(2), "identity"))
    layers += [(Dense(int(width), gain=gain), hidden) for width in dense]
    return chain(tuple(input_shape), [*layers, (Dense(int(outputs)), last)])


def lenet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    outputs: int = 10,
    activation: Activation = "relu",
    output: Activation = "softmax",
) -> Network:
    """LeNet-5 with average pooling: 5x5 convolutions of 6 and 16 features, dense 120 and 84.

    The first convolution keeps the size, the second does not.

    Source: LeCun, Bottou, Bengio & Haffner (1998).
    """
    hidden, last = potential(activation), potential(output)
    gain = gain_before(hidden)
    return chain(
        tuple(input_shape),
        [
            (Convolution(6, (5, 5), gain=gain), hidden),
            (AveragePooling(2), "identity"),
            (Convolution(16, (5, 5), padding="valid", gain=gain), hidden),
            (AveragePooling(2), "identity"),
            (Dense(120, gain=gain), hidden),
            (Dense(84, gain=gain), hidden),
            (Dense(int(outputs)), last),
        ],
    )


def gain_before(activation: AbstractPotential) -> float:
    """√2 in front of a (leaky) ReLU, which halves the second moment; 1 in front of others."""
    return math.sqrt(2.0) if isinstance(activation, ReLU | LeakyReLU) else 1.0
