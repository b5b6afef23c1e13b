"""Builders of the common networks."""

from collections.abc import Sequence

import numpy as np

from liftax._kinds import check_count
from liftax.affine import Dense
from liftax.affine import Identity as Copy
from liftax.networks._convolutional import Activation, gain_before
from liftax.networks._network import Network, chain
from liftax.networks._node import Node
from liftax.potentials import Identity, potential


def mlp(
    widths: Sequence[int], activation: Activation = "relu", output: Activation = "softmax"
) -> Network:
    """A multi-layer perceptron, ``widths`` from the input to the output.

    Initial weights have variance gain²/inputs, with gain √2 behind which a (leaky) ReLU follows and
    1 elsewhere.

    Raises:
        ValueError: for fewer than two widths, or an activation that is not proximal.
    """
    widths = _checked(widths)
    return _dense_chain(widths, [*[activation] * (len(widths) - 2), output])


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
    widths = _checked(widths)
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


def _checked(widths: Sequence[int]) -> list[int]:
    if not isinstance(widths, Sequence | np.ndarray) or len(widths) < 2:
        raise ValueError(
            f"widths needs an input and an output size, such as [64, 32, 10], got {widths!r}"
        )
    return [check_count(width, "every one of widths") for width in widths]


def _dense_chain(widths: Sequence[int], activations: Sequence[Activation]) -> Network:
    potentials = [potential(a) for a in activations]
    layers = [
        (Dense(width, gain=gain_before(p)), p)
        for width, p in zip(widths[1:], potentials, strict=True)
    ]
    return chain((widths[0],), layers)


def split(network: Network) -> Network:
    r"""The network with two nodes a layer, $v = f(u_\mathrm{parents};\theta)$ and $u = \sigma(v)$.

    The node ``a`` becomes ``a.z`` with the identity as activation, which takes over the map and its
    parameters, and ``a``, which copies it. Nodes with the identity stay as they are. This is the
    three-splitting of Zeng et al. (2019) and the graph of ADMM methods: all blocks have closed
    forms (`blocks.Solve`).
    """
    nodes = []
    halved = {n.name for n in network.nodes if not isinstance(n.potential, Identity)}

    def owner(name: str | None) -> str | None:
        return f"{name}.z" if name in halved else name

    for node in network.nodes:
        if node.name not in halved:
            nodes.append(
                Node(node.name, node.affine, node.potential, node.parents, owner(node.tied_to))
            )
            continue
        first = f"{node.name}.z"
        nodes.append(Node(first, node.affine, Identity(), node.parents, owner(node.tied_to)))
        nodes.append(Node(node.name, Copy(), node.potential, first, None, node.learn))
    return Network(tuple(nodes), network.input_shape)


def fixed(network: Network) -> Network:
    """The network with the hyper-parameters of its potentials as they are, none to learn."""
    nodes = [Node(n.name, n.affine, n.potential, n.parents, n.tied_to) for n in network.nodes]
    return Network(tuple(nodes), network.input_shape)
