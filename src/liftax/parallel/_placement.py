"""Where samples, activations and parameters lie."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

DATA = "data"
# Smaller arrays are not worth a gather each time they are used.
_SMALL = 2**12


@dataclasses.dataclass(frozen=True)
class Placement:
    """Samples and their activations in equal parts on the devices of a mesh, parameters on all.

    Every mini-batch is divided, and all samples of a full-batch method, along the mesh's axis
    ``"data"``; other axes of the mesh hold copies. Sums over samples are then sums over devices,
    which the compiler inserts.

    Attributes:
        mesh: with an axis called ``"data"``.
        sharded: whether parameters and optimiser are divided as well (fully sharded training): each
            array along its largest axis that the number of devices divides. They are gathered
            where they are used, and their gradients are summed to where they lie.
        why: what `choose_placement` says of its choice.

    Raises:
        ValueError: for a mesh without that axis.
    """

    mesh: Mesh
    sharded: bool = False
    why: str = ""

    def __post_init__(self) -> None:
        if DATA not in self.mesh.axis_names:
            raise ValueError(
                f'mesh has the axes {self.mesh.axis_names}, none of them "data"; make it by '
                'jax.sharding.Mesh(jax.devices(), ("data",))'
            )
        # Explicit axes, jax.make_mesh's default, would ask every operation for its placement.
        object.__setattr__(self, "mesh", Mesh(self.mesh.devices, self.mesh.axis_names))

    @property
    def parts(self) -> int:
        """Number of equal parts that samples are divided into."""
        return self.mesh.shape[DATA]

    @property
    def everywhere(self) -> NamedSharding:
        """A copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    def samples(self, axis: int = 0) -> NamedSharding:
        """Arrays whose axis of this number holds samples."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, DATA))

    def weights(self, shape: tuple[int, ...]) -> NamedSharding:
        """An array of this shape that has no samples: a parameter, a moment."""
        fitting = [k for k, size in enumerate(shape) if size % self.parts == 0]
        if not (self.sharded and fitting) or np.prod(shape) < _SMALL:
            return self.everywhere
        return self.samples(max(fitting, key=lambda k: shape[k]))

    def put(self, array: Any, sharding: NamedSharding, dtype: Any = None) -> Array:
        """A host array on the devices, of which a process reads only what its own ones hold."""
        dtype = array.dtype if dtype is None else dtype
        return jax.make_array_from_callback(
            array.shape, sharding, lambda index: np.asarray(array[index], dtype)
        )

    def check(self, samples: int, argument: str) -> None:
        """Whether so many samples can be divided.

        Raises:
            ValueError: naming the argument, if not.
        """
        if samples % self.parts:
            raise ValueError(
                f"{argument}: {samples} samples cannot be divided among {self.parts} devices; take "
                f"{samples // self.parts * self.parts or self.parts}, or a mesh of other size"
            )


def sample_axes(small: Any, large: Any, samples: int) -> Any:
    """For two trees of shapes, of `samples` samples and of twice as many: which axis holds them.

    Returns:
        A tree of numbers, -1 for leaves that hold no samples.
    """

    def axis(few: Any, many: Any) -> int:
        pairs = enumerate(zip(few.shape, many.shape, strict=True))
        found = [k for k, sizes in pairs if sizes == (samples, 2 * samples)]
        return found[0] if found else -1

    return jax.tree.map(axis, small, large)


def shardings(place: Placement, tree: Any, axes: Any) -> Any:
    """A sharding for every leaf of a tree with these sample axes."""

    def one(leaf: Any, axis: int) -> NamedSharding:
        return place.samples(axis) if axis >= 0 else place.weights(jnp.shape(leaf))

    return jax.tree.map(one, tree, axes)


def constrained(tree: Any, placed: Any) -> Any:
    """The same values inside a compiled program, where they are to lie."""
    return jax.tree.map(jax.lax.with_sharding_constraint, tree, placed)
