"""``mesh="auto"``: how many devices are worth it."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from liftax.networks import Network
from liftax.parallel._node_stages import node_products
from liftax.parallel._placement import DATA, LAYER, Placement

# Below so many products per parameter and device the sum of the gradients costs more than what a
# further device saves: 6 operations a product against 8 bytes a parameter, at 12 operations a byte.
_LEAST = 16
# Parameters, gradient and two moments.
_COPIES = 4


def choose_placement(
    network: Network, batch_size: int, divisible: Callable[[int], bool] = lambda parts: False
) -> Placement:
    """A placement from the network, the batch and the devices there are, with a sentence why.

    The number of devices is the largest that divides the batch, is a multiple of the processes,
    and leaves every device so many samples that computing takes longer than adding up the
    gradients: 16 products with each parameter. Parameters are sharded if four copies of them
    (gradient, two moments) fill more than half of a device's memory, where that is known. Devices
    that are left in a process divide the layers, if these are equal and the method updates them
    together.

    Args:
        network: the graph.
        batch_size: samples of a step.
        divisible: whether layers can be divided into so many parts.

    Raises:
        ValueError: for a batch that the processes cannot divide among them.
    """
    devices, processes = jax.devices(), jax.process_count()
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    reuse = _products(network) / max(sum(sizes), 1)
    fitting = [
        n
        for n in range(processes, len(devices) + 1, processes)
        if batch_size % n == 0 and (n == processes or batch_size // n * reuse >= _LEAST)
    ]
    if not fitting:
        raise ValueError(
            f"batch_size {batch_size} cannot be divided among {processes} processes; take a "
            "multiple"
        )
    count = fitting[-1]
    memory = _memory(jax.local_devices()[0])
    sharded = memory is not None and count > 1 and _COPIES * 4 * sum(sizes) > memory / 2
    why = (
        f"{count} of {len(devices)} devices: {batch_size // count} of {batch_size} samples and "
        f"{batch_size // count * reuse:.0f} products per parameter on each (at least {_LEAST} are "
        f"worth a further device); parameters {'divided' if sharded else 'on every device'}, "
        f"{sum(sizes):,} numbers"
    )
    left = len(devices) // count if processes == 1 else 1
    parts = next((n for n in range(left, 1, -1) if divisible(n)), 1)
    if parts == 1:
        return Placement(Mesh(np.array(_even(devices, count, processes)), (DATA,)), sharded, why)
    why += f"; layers in {parts} parts, on {count * parts} devices in all"
    grid = np.array(devices[: count * parts]).reshape(count, parts)
    return Placement(Mesh(grid, (DATA, LAYER)), sharded, why)


def _even(devices: list, count: int, processes: int) -> list:
    """As many devices of every process."""
    own = count // processes
    by_process = [[d for d in devices if d.process_index == p] for p in range(processes)]
    return [device for group in by_process for device in group[:own]]


def _products(network: Network) -> float:
    """Multiplications of one forward pass of one sample, about: those of all affine maps."""
    return sum(node_products(network).values())


def _memory(device: Any) -> int | None:
    statistics = device.memory_stats()
    return None if not statistics else statistics.get("bytes_limit")
