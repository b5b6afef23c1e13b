"""Residual networks."""

import math

from liftax.affine import (
    AbstractAffine,
    Convolution,
    Dense,
    Identity,
    Mean,
    Residual,
    TransposedConvolution,
    TransposedDense,
)
from liftax.networks._convolutional import Activation, gain_before
from liftax.networks._network import INPUT, Network
from liftax.networks._node import Node
from liftax.potentials import potential


def resnet(
    input_shape: tuple[int, ...] | int,
    width: int,
    blocks: int,
    outputs: int,
    activation: Activation = "relu",
    output: Activation = "softmax",
    tied: bool = False,
) -> Network:
    r"""Residual blocks $a_j = \sigma(W_ju_{j-1} + b_j)$, $u_j = u_{j-1} + V_ja_j$.

    In the compact form $Mu = V\mathrm{prox}_\Psi(Wu + b)$. A first layer changes the input to
    `width` features, a dense layer ends. For pictures (height, width, channels) the maps are 3x3
    convolutions, and the mean over positions comes before the last layer. Nodes are named ``stem``,
    ``a1``, ``u1``, ..., ``mean``, ``out``.

    Initial weights make every block add about $1/\mathrm{blocks}$ of the second moment, so that
    depth leaves the scale of the activations alone.

    Args:
        input_shape: of one example, or the length of a vector.
        width: number of features.
        blocks: number of residual blocks.
        outputs: width of the last layer.
        activation: σ.
        output: activation of the last layer.
        tied: $V_j = W_j^\top$ (the symmetric case, with the convexity certificate of inversion)
            instead of parameters of its own.

    Raises:
        ValueError: for no blocks, or an activation that is not proximal.

    Source: arXiv 2510.09796, section 2; He et al. (2016).
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    sigma, pictures = potential(activation), len(shape) == 3
    gain = gain_before(sigma)
    # Tied, a block adds Wᵀσ(Wu), which points along u: |u|² grows by the factor 1 + |W|².
    outer = 1 / math.sqrt(blocks)
    inner = outer if tied else gain

    def forth(scale: float) -> AbstractAffine:
        return Convolution(width, gain=scale) if pictures else Dense(width, gain=scale)

    def back() -> AbstractAffine:
        if not tied:
            return forth(outer)
        if pictures:
            return TransposedConvolution(width, use_bias=False)
        return TransposedDense(width, use_bias=False)

    nodes = [Node("stem", forth(1.0), "identity", INPUT)]
    last = "stem"
    for j in range(1, blocks + 1):
        a, u = f"a{j}", f"u{j}"
        nodes.append(Node(a, forth(inner), sigma, last))
        nodes.append(Node(u, Residual(back()), "identity", (last, a), a if tied else None))
        last = u
    if pictures:
        nodes.append(Node("mean", Mean(), "identity", last))
        last = "mean"
    return Network((*nodes, Node("out", Dense(outputs), output, last)), shape)


def gradient_resnet(
    features: int, hidden: int, blocks: int, activation: Activation = "relu", sign: float = 1.0
) -> Network:
    r"""Residual blocks $u_j = u_{j-1} \pm W_j^\top\sigma(W_ju_{j-1} + b_j)$, no other layers.

    In the compact form $Mu = \pm W^\top\mathrm{prox}_\Psi(Wu + b)$ and $N(u_0) = u_l$: the last
    node copies it, so that it may have a weight of its own. A block is the gradient of
    $\frac12\|u\|^2 \pm \varphi^*(Wu + b)$; with + it is monotone and can be inverted, and the
    energy of that inversion can be convex (`liftax.inversion.certificate`). Nodes are named
    ``a1``, ``u1``, ..., ``out``. Initial weights make every block add about $1/\mathrm{blocks}$ of
    the second moment.

    Args:
        features: entries of the input and of every $u_j$.
        hidden: units of a block.
        blocks: their number.
        activation: σ.
        sign: 1 or -1.

    Raises:
        ValueError: for no blocks, another sign, or an activation that is not proximal.

    Source: arXiv 2510.09796, section 5; Ruthotto & Haber (2020) for the symmetric blocks.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1, got {sign}; scale the weights instead")
    nodes, last = [], INPUT
    for j in range(1, blocks + 1):
        a, u = f"a{j}", f"u{j}"
        back = Residual(TransposedDense(features, use_bias=False), factor=float(sign))
        nodes.append(Node(a, Dense(hidden, gain=1 / math.sqrt(blocks)), activation, last))
        nodes.append(Node(u, back, "identity", (last, a), a))
        last = u
    return Network((*nodes, Node("out", Identity(), "identity", last)), (features,))
