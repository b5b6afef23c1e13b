"""Orders in which the state blocks of a sweep are updated."""

import abc

import equinox as eqx

from liftax.networks import Network

Groups = tuple[tuple[str, ...], ...]


class AbstractOrder(eqx.Module):
    """Splits the free nodes into groups; the nodes of one group move at the same time."""

    @abc.abstractmethod
    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        """The groups in the order of their update; together they hold every free node once."""


class GaussSeidel(AbstractOrder):
    """One node after the other, from the output to the input."""

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        return tuple((name,) for name in reversed(free))


class Jacobi(AbstractOrder):
    """All nodes at once, with steps damped by their coupling (see `state_curvature`)."""

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        return (free,) if free else ()


class RedBlack(AbstractOrder):
    """Nodes of one colour at once: no two of a colour interact, so block descent stays exact.

    The interaction graph is coloured greedily from the output; a chain needs two colours.
    """

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        neighbours = interactions(network)
        colours: list[list[str]] = []
        for name in reversed(free):
            fitting = (c for c in colours if not neighbours[name].intersection(c))
            colour = next(fitting, None)
            if colour is None:
                colour = []
                colours.append(colour)
            colour.append(name)
        return tuple(tuple(colour) for colour in colours)


def interactions(network: Network) -> dict[str, set[str]]:
    """Neighbours of each node: its parents, its children, and the other parents of these."""
    neighbours: dict[str, set[str]] = {name: set() for name in network.shapes}
    for node in network.nodes:
        family = {node.name, *node.parents}
        for name in family:
            neighbours[name] |= family - {name}
    return neighbours
