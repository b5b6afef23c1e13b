"""One node of a network."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from liftax.affine import AbstractAffine, AbstractBilinear, Normalisation, Stacked
from liftax.potentials import AbstractPotential, potential

Params = dict[str, Any]
States = dict[str, Array]


class Node(eqx.Module):
    r"""$u = \mathrm{prox}_\Psi(f(u_\mathrm{parents};\theta))$.

    Attributes:
        name: of the node.
        affine: $f$.
        potential: Ψ, given itself or by the name of its activation (``"relu"``). An activation that
            is no proximal map, such as GELU, is refused.
        parents: names of earlier nodes.
        tied_to: an earlier node whose affine parameters this one uses too, such as the $W$ of a
            residual block with $V = W^\top$.
        learn: names of the potential's hyper-parameters that are trained, such as
            ``("threshold",)``. They start from the potential's value, and keep its shape: an array
            that broadcasts against the example gives, for instance, one threshold a channel.
        stage: what nodes of different stages need is not computed together, see `on_stage`.
    """

    name: str
    affine: AbstractAffine
    potential: AbstractPotential
    parents: tuple[str, ...]
    tied_to: str | None
    learn: tuple[str, ...]
    stage: int = 0

    def __init__(
        self,
        name: str,
        affine: AbstractAffine,
        activation: AbstractPotential | str,
        parents: tuple[str, ...] | str,
        tied_to: str | None = None,
        learn: tuple[str, ...] | str = (),
    ):
        self.name = name
        self.affine = affine
        self.potential = potential(activation)
        self.parents = (parents,) if isinstance(parents, str) else tuple(parents)
        self.tied_to = tied_to
        self.learn = (learn,) if isinstance(learn, str) else tuple(learn)

    def __check_init__(self) -> None:
        known = dict(self.potential.learnable)
        for field in self.learn:
            if field not in known:
                raise ValueError(
                    f"node {self.name!r} is to learn {field!r}, "
                    f"but {type(self.potential).__name__} can learn "
                    f"{', '.join(known) or 'nothing'}; choose one of these"
                )

        if isinstance(self.affine, AbstractBilinear) and len(set(self.parents)) < len(self.parents):
            raise ValueError(
                f"node {self.name!r} has the parent {self.parents[0]!r} twice, which is quadratic; "
                "put a copy of it, a node with the map Identity, in one place"
            )

    def learnt(self, values: Mapping[str, Array]) -> "Node":
        """The node with these hyper-parameters of its potential."""
        new = dataclasses.replace(self.potential, **values) if values else self.potential
        node = Node(self.name, self.affine, new, self.parents, self.tied_to, self.learn)
        return node.on_stage(self.stage)

    def on_stage(self, stage: int) -> "Node":
        """The same node, whose stage may lie on another device than those of others."""
        node = Node(self.name, self.affine, self.potential, self.parents, self.tied_to, self.learn)
        # The default is the class's: no part of what tells networks apart.
        if stage:
            object.__setattr__(node, "stage", stage)
        return node

    def over(self, function: Callable[..., Any], axes: Any = 0) -> Callable[..., Any]:
        r"""$(\dots)\mapsto f(\Psi, \dots)$ for every sample, and in a stack for every copy.

        `axes` are those of the samples in the arguments, as of `jax.vmap`. Copies, which have what
        Ψ learns in front too, stand in front of the rest.
        """
        run = functools.partial(function, self.potential)
        if self.copies:
            values = {field: getattr(self.potential, field) for field in self.learn}
            each = jax.vmap(lambda own, *given: function(self.learnt(own).potential, *given))
            run = functools.partial(each, values)
        return jax.vmap(run, axes)

    def activated(self, z: Float[Array, "samples ..."]) -> Float[Array, "samples ..."]:
        """The activations for a batch of pre-activations."""
        return self.over(lambda potential, z: potential.activation(z))(z)

    @property
    def owner(self) -> str:
        """The node under whose name the affine parameters are kept."""
        return self.name if self.tied_to is None else self.tied_to

    @property
    def copies(self) -> int:
        """Number of equal nodes of many layers that this one holds; 0 for a node of its own."""
        return self.affine.copies if isinstance(self.affine, Stacked) else 0

    @property
    def normalisation(self) -> Normalisation | None:
        """The node's map, or that of its copies, where it has statistics."""
        affine = self.affine.affine if isinstance(self.affine, Stacked) else self.affine
        return affine if isinstance(affine, Normalisation) else None

    @property
    def slots(self) -> tuple[tuple[int, ...], ...]:
        """For each parent of the map itself its positions in `parents`; see `Stacked.slots`."""
        if isinstance(self.affine, Stacked):
            return self.affine.slots
        return tuple((position,) for position in range(len(self.parents)))

    @property
    def readings(self) -> tuple[tuple[str, ...], ...]:
        """Names of what is read together: all parents; by the first copy and by the others."""
        copies = (0, -1) if self.copies else (0,)
        return tuple(tuple(self.parents[slot[k]] for slot in self.slots) for k in copies)
