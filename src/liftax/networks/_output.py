"""Another activation at the end of a network."""

from liftax.networks._network import Network
from liftax.networks._node import Node
from liftax.potentials import AbstractPotential


def with_output(network: Network, activation: AbstractPotential | str) -> Network:
    r"""The network with another activation at its output, and the same parameters.

    A classifier that was trained elsewhere with cross-entropy ends in its scores, before the
    softmax. ``with_output(network, "softmax")`` gives the probabilities, with cross-entropy as the
    Bregman loss $B_\Psi(y, z)$; the order of the scores stays.

    Args:
        network: any.
        activation: a potential, or the name of its activation.

    Raises:
        ValueError: for an activation that is no proximal map.
    """
    *others, last = network.nodes
    # What the old activation learns is none of the new one's.
    node = Node(last.name, last.affine, activation, last.parents, last.tied_to)
    return Network((*others, node.on_stage(last.stage)), network.input_shape)
