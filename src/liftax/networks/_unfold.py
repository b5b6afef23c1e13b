"""Some copies of every stack as nodes of their own."""

import enum

from liftax.affine import Stacked
from liftax.networks._network import Network
from liftax.networks._node import Node


class Copy(enum.IntEnum):
    """The copies of a stack that are nodes in the unfolded network.

    `INNER` and `NEXT` stand for any two neighbours between the first and the last.
    """

    FIRST, INNER, NEXT, LAST = range(4)

    def of(self, stack: str) -> str:
        """The copy's name in the unfolded network."""
        return f"{stack}:{self.value}"


def unfold(network: Network) -> Network | None:
    """The network with four nodes, linked in a row, in the place of every stack.

    They are the first copy, two that follow each other, the last; between the third and the last
    others are left out. The inputs and the children of any copy are those of one of these, which
    is all that an update of a node needs to know.

    Returns:
        The network, or None if it cannot be: where a node reads a copy that is not the last, or a
        stack has less than four.
    """
    copies = {node.name: node.copies for node in network.nodes if node.copies}
    if any(count < len(Copy) for count in copies.values()):
        return None
    nodes: list[Node] = []
    for run in network.runs:
        for copy in Copy if run[0].copies else (Copy.FIRST,):
            for node in run:
                own = _unfolded(node, copy, copies)
                if own is None:
                    return None
                nodes.append(own)
    return Network(tuple(nodes), network.input_shape)


def _unfolded(node: Node, copy: Copy, copies: dict[str, int]) -> Node | None:
    if not isinstance(node.affine, Stacked):
        return node
    parents = []
    for link, slot in zip(node.affine.links, node.affine.slots, strict=True):
        place, number = link.source(copy)
        parent = node.parents[slot[place]]
        if number is None:
            parents.append(parent)
        elif node.copies or number == copies[parent] - 1:
            parents.append((Copy(number) if node.copies else Copy.LAST).of(parent))
        else:
            return None
    name, tied = node.name, node.tied_to
    if node.copies:
        name, tied = copy.of(name), tied and copy.of(tied)
    return Node(name, node.affine.affine, node.potential, tuple(parents), tied, node.learn)
