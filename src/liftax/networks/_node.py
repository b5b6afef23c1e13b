"""One node of a network."""

import equinox as eqx

from liftax.affine import AbstractAffine
from liftax.potentials import AbstractPotential, potential


class Node(eqx.Module):
    r"""$u = \mathrm{prox}_\Psi(f(u_\mathrm{parents};\theta))$.

    A name, an affine map, a potential, and the names of the parents.
    `potential` may be given by name (``"relu"``). An activation that is no proximal map, such as
    GELU, is refused.
    """

    name: str
    affine: AbstractAffine
    potential: AbstractPotential
    parents: tuple[str, ...]

    def __init__(
        self,
        name: str,
        affine: AbstractAffine,
        activation: AbstractPotential | str,
        parents: tuple[str, ...] | str,
    ):
        self.name = name
        self.affine = affine
        self.potential = potential(activation)
        self.parents = (parents,) if isinstance(parents, str) else tuple(parents)
