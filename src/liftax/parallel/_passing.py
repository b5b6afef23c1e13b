"""Arrays from the devices of one stage to those of another, and to the host of every process."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from jaxtyping import Array

from liftax.parallel._placement import DATA, LAYER


def here(mesh: Mesh) -> bool:
    """Whether this process has any of its devices."""
    return jax.process_index() in processes(mesh)


@functools.cache
def processes(mesh: Mesh) -> tuple[int, ...]:
    """Those that have its devices."""
    return tuple(sorted({device.process_index for device in mesh.devices.flat}))


@functools.cache
def crossing(first: Mesh, second: Mesh) -> bool:
    """Whether copies from one to the other leave a process."""
    pairs = zip(first.devices.flat, second.devices.flat, strict=True)
    return any(a.process_index != b.process_index for a, b in pairs)


def moved(array: Any, mesh: Mesh) -> Array:
    """An array on the devices of a stage, divided as it was: copies within the process.

    A device that has its part already gives it without a copy.
    """
    if not isinstance(array, jax.Array) or not isinstance(array.sharding, NamedSharding):
        host = np.asarray(array)
        everywhere = NamedSharding(mesh, PartitionSpec())
        return jax.make_array_from_callback(
            host.shape, everywhere, lambda index: host[index], dtype=host.dtype
        )
    whole = array.sharding.mesh
    devices = np.moveaxis(np.asarray(whole.devices), whole.axis_names.index(DATA), 0)
    devices = devices.reshape(mesh.devices.size, -1)
    if array.sharding.device_set == set(mesh.devices.flat):
        return array
    own = {shard.device: shard.data for shard in array.addressable_shards}
    parts = [
        own[target] if target in own else jax.device_put(own[row[0]], target)
        for row, target in zip(devices, mesh.devices.flat, strict=True)
        if target.process_index == jax.process_index()
    ]
    where = NamedSharding(mesh, array.sharding.spec)
    return jax.make_array_from_single_device_arrays(array.shape, where, parts, dtype=array.dtype)


def passed(array: Array | None, kind: Any, spec: PartitionSpec, ends: tuple[Mesh, Mesh]) -> Any:
    """An array of a stage on another one's devices, of other processes: one permute.

    All processes that have devices of either stage call this together. The array lies on the
    devices of both stages as if they had the same, and each gives its part to its partner.

    Args:
        array: None where this process has no device of the first stage.
        kind: its shape and type.
        spec: how it is divided.
        ends: devices of both stages.

    Returns:
        None where this process has no device of the second.
    """
    if not (here(ends[0]) or here(ends[1])):
        return None
    own = {} if array is None else {s.device: s.data for s in array.addressable_shards}
    both = _both(*ends)
    where = NamedSharding(both, spec)
    shape = where.shard_shape(kind.shape)
    parts = [
        own[device] if device in own else jnp.zeros(shape, kind.dtype, device=device)
        for device in both.devices.flat
        if device.process_index == jax.process_index()
    ]
    given = jax.make_array_from_single_device_arrays(kind.shape, where, parts)
    found = awaited(_shift(both, spec)(given))
    if not here(ends[1]):
        return None
    taken = set(ends[1].devices.flat)
    parts = [shard.data for shard in found.addressable_shards if shard.device in taken]
    where = NamedSharding(ends[1], spec)
    return jax.make_array_from_single_device_arrays(kind.shape, where, parts)


@functools.cache
def _both(first: Mesh, second: Mesh) -> Mesh:
    return Mesh(np.stack([first.devices, second.devices]), (LAYER, DATA))


@functools.cache
def _shift(both: Mesh, spec: PartitionSpec) -> Any:
    """The program that gives the second row of devices what the first has."""
    shift = functools.partial(jax.lax.ppermute, axis_name=LAYER, perm=[(0, 1)])
    # The copies differ until then, which the check would not have.
    own = {"mesh": both, "in_specs": spec, "out_specs": spec, "check_vma": False}
    return jax.jit(jax.shard_map(shift, **own))


def awaited(out: Any) -> Any:
    """Results, waited for on CPU devices of several processes, which mix up what programs sum."""
    if jax.process_count() > 1 and jax.default_backend() == "cpu":
        jax.block_until_ready(out)
    return out


def absent(kind: Any, where: NamedSharding) -> Array:
    """An array of which this process has no part."""
    return jax.make_array_from_single_device_arrays(kind.shape, where, [], dtype=kind.dtype)


def writer(leaf: Any) -> int | None:
    """The first process that has an array; None for what each process has by itself."""
    if not isinstance(leaf, jax.Array) or isinstance(leaf.sharding, SingleDeviceSharding):
        return None
    return min(device.process_index for device in leaf.sharding.device_set)


def fetched(tree: Any) -> Any:
    """Arrays on the host of every process, whichever has them; those with samples whole only.

    All processes call this together. What one of them has alone it sends to the others.
    """
    count = jax.process_count()
    if count == 1:
        return jax.device_get(tree)
    leaves, structure = jax.tree.flatten(tree)
    found: list[Any] = [None] * len(leaves)
    missing: dict[int, list[int]] = {}
    for place, leaf in enumerate(leaves):
        first = writer(leaf)
        if first is None:
            found[place] = np.asarray(leaf)
        elif len({device.process_index for device in leaf.sharding.device_set}) == count:
            found[place] = np.asarray(leaf.addressable_data(0))
        else:
            missing.setdefault(first, []).append(place)
    for process, places in sorted(missing.items()):
        own = process == jax.process_index()
        some = [leaves[place] for place in places]
        # As bytes: a sum with zeros would lose the sign of a zero.
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in some)
        raw = b"".join(np.asarray(a.addressable_data(0)).tobytes() for a in some) if own else b""
        given = np.frombuffer(raw, np.uint8) if own else np.zeros(size, np.uint8)
        sent = np.asarray(multihost_utils.broadcast_one_to_all(given, is_source=own)).tobytes()
        begin = 0
        for place, leaf in zip(places, some, strict=True):
            array = np.frombuffer(sent, leaf.dtype, leaf.size, begin)
            found[place] = array.reshape(leaf.shape)
            begin += array.nbytes
    return jax.tree.unflatten(structure, found)
