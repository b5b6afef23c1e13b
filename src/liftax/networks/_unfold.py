"""Some copies of every stack as nodes of their own."""

from liftax.affine import Stacked
from liftax.networks._network import Network
from liftax.networks._node import Node

# The first copy, two neighbours that stand for any two in between, and the last.
FIRST, INNER, NEXT, LAST = range(4)


def copy_name(name: str, copy: int) -> str:
    """The name that a copy of a stack has in the unfolded network."""
    return f"{name}:{copy}"


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
    if any(count <= LAST for count in copies.values()):
        return None
    nodes: list[Node] = []
    for run in network.runs:
        for place in range(LAST + 1) if run[0].copies else (0,):
            for node in run:
                own = _unfolded(node, place, copies)
                if own is None:
                    return None
                nodes.append(own)
    return Network(tuple(nodes), network.input_shape)


def _unfolded(node: Node, place: int, copies: dict[str, int]) -> Node | None:
    if not isinstance(node.affine, Stacked):
        return node
    parents = []
    for link, slot in zip(node.affine.links, node.affine.slots, strict=True):
        first, *_, own = (node.parents[position] for position in (slot[0], slot[-1]))
        if link == "each":
            parents.append(copy_name(own, place))
        elif link == "shifted":
            parents.append(copy_name(own, place - 1) if place else first)
        elif link == "shared":
            parents.append(own)
        elif link == copies[own] - 1:
            parents.append(copy_name(own, LAST))
        else:
            return None
    name, tied = node.name, node.tied_to
    if node.copies:
        name, tied = copy_name(name, place), tied and copy_name(tied, place)
    return Node(name, node.affine.affine, node.potential, tuple(parents), tied, node.learn)
