"""Orders in which the state blocks of a sweep are updated."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from liftax.networks import Network

Groups = tuple[tuple[str, ...], ...]


class AbstractOrder(eqx.Module):
    """Splits the free nodes into groups; the nodes of one group move at the same time."""

    @abc.abstractmethod
    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        """The groups in the order of their update; together they hold every free node."""


class AbstractChoice(AbstractOrder):
    """An order that chooses while it runs: as many updates a sweep as there are groups."""

    @abc.abstractmethod
    def choose(
        self, key: Array, count: int, progress: Callable[[], Float[Array, " groups"]]
    ) -> Int[Array, ""]:
        """The number of the next group; `progress` measures how far each would move."""


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


class EssentiallyCyclic(AbstractOrder):
    """A sequence of one's own, in which every free node occurs at least once.

    Attributes:
        sequence: names, or tuples of names that move at the same time.

    Source: Tseng (2001).
    """

    sequence: tuple[str | tuple[str, ...], ...]

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        groups = tuple((g,) if isinstance(g, str) else tuple(g) for g in self.sequence)
        named = {name for group in groups for name in group}
        if named != set(free):
            wrong = ", ".join(sorted(named ^ set(free)))
            raise ValueError(
                f"sequence must name every hidden node and no other ({', '.join(free)}); "
                f"missing or unknown: {wrong}"
            )
        return groups


class Random(AbstractChoice):
    """Nodes drawn uniformly, with replacement, from the method's key.

    Source: Nesterov (2012); Richtárik & Takáč (2014).
    """

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        return tuple((name,) for name in free)

    def choose(
        self, key: Array, count: int, progress: Callable[[], Float[Array, " groups"]]
    ) -> Int[Array, ""]:
        return jax.random.randint(key, (), 0, count)


class GaussSouthwell(AbstractChoice):
    """Always the node that a step would move farthest; every choice costs a Jacobi sweep.

    Source: Nutini et al. (2015), the rule GS-r for proximal steps.
    """

    def groups(self, network: Network, free: tuple[str, ...]) -> Groups:
        return tuple((name,) for name in free)

    def choose(
        self, key: Array, count: int, progress: Callable[[], Float[Array, " groups"]]
    ) -> Int[Array, ""]:
        return jnp.argmax(progress())


def interactions(network: Network) -> dict[str, set[str]]:
    """Neighbours of each node: its parents, its children, and the other parents of these."""
    neighbours: dict[str, set[str]] = {name: set() for name in network.shapes}
    for family in network.families:
        for name in family:
            neighbours[name] |= set(family) - {name}
    return neighbours
