"""A transformer of proximal nodes."""

import math

from liftax.affine import Dense, Mean, Mix, Patches, Pointwise, Positions, Residual, Scores
from liftax.networks._convolutional import Activation, gain_before
from liftax.networks._network import INPUT, Network
from liftax.networks._node import Node
from liftax.potentials import Ball, potential


def transformer(
    input_shape: tuple[int, ...],
    width: int,
    blocks: int,
    outputs: int,
    heads: int = 1,
    patch: int = 4,
    activation: Activation = "relu",
    output: Activation = "softmax",
) -> Network:
    r"""Attention and perceptron blocks on tokens, all of them proximal nodes.

    $S = \mathrm{softmax}(QK^\top/\sqrt{d})$ and $O = SV$ are affine in each parent separately. In
    place of layer normalisation stands its proximal alternative: after each residual sum every
    token is projected on the ball of radius $\sqrt{\mathrm{width}}$. The perceptron is four times
    as wide; GELU, which is not monotone, is replaced by `activation`.

    Args:
        input_shape: (tokens, features), or pictures (height, width, channels).
        width: features of a token.
        blocks: number of blocks.
        outputs: width of the last layer, behind the mean over tokens.
        heads: number of attention heads; divides `width`.
        patch: side of the square patches that pictures are cut into.
        activation: of the perceptrons.
        output: activation of the last layer.

    Raises:
        ValueError: for no blocks, an input of another form, or heads that do not divide the width.

    Source: Vaswani et al. (2017); Dosovitskiy et al. (2021) for the patches.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
    if len(input_shape) not in (2, 3):
        raise ValueError(
            f"input_shape must be (tokens, features) or (height, width, channels), got "
            f"{input_shape}"
        )
    sigma, ball = potential(activation), Ball(math.sqrt(width), -1)
    nodes, last = [], INPUT
    if len(input_shape) == 3:
        nodes.append(Node("patches", Patches(patch), "identity", last))
        last = "patches"
    nodes.append(Node("tokens", Pointwise(width), "identity", last))
    nodes.append(Node("positions", Positions(), "identity", "tokens"))
    last, small = "positions", 1 / math.sqrt(2 * blocks)
    for j in range(1, blocks + 1):
        q, k, v, s, o, r, m, h = (f"{letter}{j}" for letter in "qkvsormh")
        nodes += [
            *(Node(name, Pointwise(width), "identity", last) for name in (q, k, v)),
            Node(s, Scores(heads), "softmax", (q, k)),
            Node(o, Mix(heads), "identity", (s, v)),
            Node(r, Residual(Pointwise(width, gain=small)), ball, (last, o)),
            Node(m, Pointwise(4 * width, gain=gain_before(sigma)), sigma, r),
            Node(h, Residual(Pointwise(width, gain=small)), ball, (r, m)),
        ]
        last = h
    nodes += [Node("mean", Mean(), "identity", last), Node("out", Dense(outputs), output, "mean")]
    return Network(tuple(nodes), tuple(input_shape))
