"""From what the user passes to arrays on the device, checked."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from liftax.data import Dataset, Split, check_data
from liftax.networks import Network
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement
from liftax.potentials import AbstractPotential
from liftax.training._stream import Stream

# Targets that are looked at together.
_ROWS = 8192

Data = Dataset | tuple[Any, Any]


def parts(data: Any, validation: Data | None) -> tuple[Any, Data | None]:
    """Training and validation data; a `Split` validates on its test part."""
    if isinstance(data, Split):
        return data.train, data.test if validation is None else validation
    return data, validation


def prepare(
    energy: LiftedEnergy, data: Data, dtype: Any, argument: str, place: Placement | None = None
) -> tuple[Array, Array]:
    """Inputs and targets as device arrays in the shapes of the network; see `checked`.

    With a placement all samples are on every device.
    """
    x, y = Stream(*checked(energy, data, dtype, argument), dtype, 1).take(slice(None))
    if place is None:
        return x, y
    return place.put(x, place.everywhere), place.put(y, place.everywhere)


def checked(
    energy: LiftedEnergy, data: Data, dtype: Any, argument: str
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets in the shapes of the network, on the host.

    Inputs whose examples have the network's number of entries are reshaped. Integer targets are
    class labels and stay as they are; without targets the inputs are their own.

    Raises:
        ValueError: naming the argument, for wrong shapes, NaN, labels out of range, or targets
            outside the domain of the output's potential.
    """
    x, y = (data.x, data.y) if isinstance(data, Dataset) else data
    x = np.asanyarray(x)
    y = x if y is None else np.asanyarray(y)
    network = energy.network
    out_shape = network.shapes[network.output]
    labels = np.issubdtype(y.dtype, np.integer) and y.ndim == 1
    if labels and len(out_shape) != 1:
        raise ValueError(
            f"{argument}: integer labels need an output of shape (classes,), got {out_shape}; "
            "end the network in a vector"
        )
    own = _own(x, y)
    check_data(x[own], y[own], classes=out_shape[0] if labels else None)
    inputs = _shaped(x, network.input_shape, f"{argument}: inputs")
    if labels:
        return inputs, y
    same = y is x and tuple(out_shape) == tuple(network.input_shape)
    targets = inputs if same else _shaped(y, out_shape, f"{argument}: targets")
    _check_domain(network, targets[own], dtype, argument)
    return inputs, targets


def _own(x: np.ndarray, y: np.ndarray) -> slice:
    """The samples that this process looks at; of several processes each takes its part."""
    number, count, samples = jax.process_index(), jax.process_count(), len(x)
    if count == 1 or len(y) != samples:
        return slice(None)
    return slice(number * samples // count, (number + 1) * samples // count)


def _check_domain(network: Network, targets: np.ndarray, dtype: Any, argument: str) -> None:
    potential = network.node(network.output).potential
    outside = [np.zeros(0, np.int64)]
    for begin in range(0, len(targets), _ROWS):
        some = jax.device_put(np.asarray(targets[begin : begin + _ROWS], dtype))
        found = np.asarray(_values(potential, some))
        outside.append(begin + np.flatnonzero(~np.isfinite(found)))
    where = np.concatenate(outside)
    if where.size:
        raise ValueError(
            f"{argument}: {where.size} targets lie outside the range of the output activation "
            f"{type(potential).__name__} (first at sample {where[0]}); rescale them or choose "
            "another output"
        )


@eqx.filter_jit
def _values(potential: AbstractPotential, targets: Array) -> Array:
    return jax.vmap(potential.value)(targets)


def _shaped(array: np.ndarray, shape: tuple[int, ...], argument: str) -> np.ndarray:
    if int(np.prod(array.shape[1:])) != int(np.prod(shape)):
        raise ValueError(
            f"{argument} have examples of shape {array.shape[1:]}, the network takes {shape}; "
            "reshape the data or change the network"
        )
    if len(shape) == 3 and min(shape) > 1 and array.shape[1:] == (shape[2], *shape[:2]) != shape:
        raise ValueError(
            f"{argument} have the channels first, {array.shape[1:]}, the network takes {shape}; "
            "move them by np.moveaxis(x, 1, -1)"
        )
    return array.reshape(len(array), *shape)
