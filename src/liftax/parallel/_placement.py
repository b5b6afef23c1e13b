"""Where samples, activations and parameters lie."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

DATA, LAYER = "data", "layer"
# Smaller arrays are not worth a gather each time they are used.
_SMALL = 2**12


@dataclasses.dataclass(frozen=True)
class Placement:
    """Samples and their activations in equal parts on the devices of a mesh, parameters on all.

    Every mini-batch is divided, and all samples of a full-batch method, along the mesh's axis
    ``"data"``. Sums over samples are then sums over devices, which the compiler inserts. Along an
    axis ``"layer"`` the copies of stacks (see `networks.stack`) are divided, their parameters and
    their activations: neighbours exchange the activations and signals at the borders. A network
    without stacks has its nodes on stages, see `node_stages` and `Staged`. Other axes of the mesh
    hold copies.

    Attributes:
        mesh: with an axis called ``"data"``, perhaps of length 1, and perhaps one called
            ``"layer"``.
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
    def layers(self) -> int:
        """Number of equal parts that the copies of stacks are divided into."""
        return self.mesh.shape.get(LAYER, 1)

    @property
    def stages(self) -> list[Mesh]:
        """The devices of each part of the layers, a mesh with the axis ``"data"``.

        Raises:
            ValueError: for further axes.
        """
        names = self.mesh.axis_names
        if any(size > 1 for n, size in self.mesh.shape.items() if n not in (DATA, LAYER)):
            raise ValueError(
                f'mesh has the axes {names}; layers on stages take "data" and "layer" only'
            )
        order = [names.index(DATA), *(k for k, name in enumerate(names) if name != DATA)]
        grid = self.mesh.devices.transpose(order).reshape(self.parts, -1)
        return [Mesh(column, (DATA,)) for column in grid.T]

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

    def copies(self, axis: int, samples: int = -1) -> NamedSharding:
        """Arrays of stacks: the numbers of the axes that hold copies and, unless -1, samples."""
        names: list[str | None] = [None] * (max(axis, samples) + 1)
        names[axis] = LAYER
        if samples >= 0:
            names[samples] = DATA
        return NamedSharding(self.mesh, PartitionSpec(*names))

    def put(self, array: Any, sharding: NamedSharding, dtype: Any = None) -> Array:
        """A host array on the devices, of which a process reads only what its own ones hold."""
        dtype = array.dtype if dtype is None else dtype
        return jax.make_array_from_callback(
            array.shape, sharding, lambda index: np.asarray(array[index], dtype), dtype=dtype
        )

    def check_rows(self) -> None:
        """Whether the samples of each process follow one another, so that files can hold them.

        Raises:
            ValueError: if not.
        """
        places = np.moveaxis(self.mesh.devices, self.mesh.axis_names.index(DATA), 0)
        own: dict[int, list[int]] = {}
        for place, devices in enumerate(places):
            for process in {device.process_index for device in np.ravel(devices)}:
                own.setdefault(process, []).append(place)
        for process, found in own.items():
            if found[-1] - found[0] >= len(found):
                raise ValueError(
                    f"mesh has the devices of process {process} in the places {found} of its axis "
                    '"data"; for checkpoints and stream let them follow one another, as in '
                    "jax.devices()"
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


def copy_axes(tree: Any, axes: Any, copies: dict[str, int]) -> Any:
    """Which axis of each array holds the copies of a stack, -1 for arrays of no stack.

    Args:
        tree: arrays, those of stacks in dictionaries under their names or those of their edges.
        axes: of samples, see `sample_axes`.
        copies: number of copies by the name of a stack.
    """

    def axis(path: Any, leaf: Any, samples: int) -> int:
        keys = [key.key for key in path if isinstance(key, jax.tree_util.DictKey)]
        # An edge, such as of probes, is called a->b.0 and belongs to b.
        names = [str(key).split("->")[-1].rsplit(".", "->" in str(key))[0] for key in keys]
        sizes = {copies[name] for name in names if name in copies}
        found = [k for k, n in enumerate(jnp.shape(leaf)) if n in sizes and k != samples]
        return found[0] if found else -1

    return jax.tree_util.tree_map_with_path(axis, tree, axes)


def shardings(place: Placement, tree: Any, axes: Any, copies: dict[str, int]) -> Any:
    """A sharding for every leaf of a tree with these sample axes, and with these stacks."""

    def one(leaf: Any, samples: int, axis: int) -> NamedSharding:
        if axis >= 0 and place.layers > 1:
            return place.copies(axis, samples)
        return place.samples(samples) if samples >= 0 else place.weights(jnp.shape(leaf))

    return jax.tree.map(one, tree, axes, copy_axes(tree, axes, copies))


def of_weights(place: Placement, params: Any, copies: dict[str, int]) -> Any:
    """A sharding for every parameter."""
    return shardings(place, params, jax.tree.map(lambda _: -1, params), copies)


def constrained(tree: Any, placed: Any) -> Any:
    """The same values inside a compiled program, where they are to lie."""
    return jax.tree.map(jax.lax.with_sharding_constraint, tree, placed)
