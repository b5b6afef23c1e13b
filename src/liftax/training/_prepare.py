"""From what the user passes to arrays on the device, checked."""

import math
import warnings
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from liftax._kinds import named
from liftax.data import Dataset, Split, check_data
from liftax.networks import Network
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement
from liftax.penalties import AbstractPenalty
from liftax.potentials import AbstractPotential, Identity
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

    Flat examples are reshaped, see `shaped`. Integer targets are class labels and stay as they are;
    without targets the inputs are their own.

    Raises:
        ValueError: naming the argument, for wrong shapes, NaN, labels out of range, or targets
            outside the domain of the output's potential.
    """
    if not isinstance(data, Dataset) and not (isinstance(data, tuple | list) and len(data) == 2):
        raise ValueError(
            f"{argument} must be a Dataset or a pair of arrays (inputs, targets), got "
            f"{named(data)}; samples stand along the first axis"
        )
    x, y = (data.x, data.y) if isinstance(data, Dataset) else data
    x = np.asanyarray(x)
    y = x if y is None else np.asanyarray(y)
    network = energy.network
    out_shape = network.shapes[network.output]
    labels = np.issubdtype(y.dtype, np.integer) and y.ndim == 1
    if labels and tuple(out_shape) == (1,):
        raise ValueError(
            f"{argument}: integer labels need an output for each class, and the network has one; "
            "give numbers as y.astype(float), two classes too"
        )
    if labels and len(out_shape) != 1:
        raise ValueError(
            f"{argument}: integer labels need an output of shape (classes,), got {out_shape}; "
            "end the network in a vector"
        )
    own = _own(x, y)
    check_data(x[own], y[own], classes=out_shape[0] if labels else None)
    inputs = shaped(x, network.input_shape, f"{argument}: inputs")
    if labels:
        return inputs, y
    same = y is x and tuple(out_shape) == tuple(network.input_shape)
    if not same:
        _check_labels(y, out_shape, argument)
    targets = inputs if same else shaped(y, out_shape, f"{argument}: targets")
    _check_domain(network, targets[own], dtype, argument)
    return inputs, targets


def _check_labels(y: np.ndarray, shape: tuple[int, ...], argument: str) -> None:
    """Refuse class labels in the form of targets, where the network has an output for each."""
    if len(shape) != 1 or shape[0] == 1 or y.size != len(y):
        return
    if np.issubdtype(y.dtype, np.integer):
        hint = "class labels have the shape (samples,): y.ravel()"
    else:
        hint = "class labels must be integers of shape (samples,): y.ravel().astype(int)"
    raise ValueError(
        f"{argument}: targets have examples of shape {y.shape[1:]} and dtype {y.dtype}, the "
        f"network takes {shape}; {hint}"
    )


def warn_of_scores(energy: LiftedEnergy, y: Array | np.ndarray) -> None:
    """Say that class labels at an output without softmax are approximated in the mean square."""
    scores = isinstance(energy.network.node(energy.network.output).potential, Identity)
    labels = np.issubdtype(y.dtype, np.integer)
    if labels and scores and isinstance(energy.loss, AbstractPenalty):
        warnings.warn(
            "integer labels meet an output with the identity: the loss is the squared error to "
            "one-hot vectors, not cross-entropy. A classifier that gives scores, such as an "
            'imported one, gets its softmax by liftax.networks.with_output(network, "softmax"); '
            "the parameters stay",
            stacklevel=3,
        )


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


def shaped(array: Any, shape: tuple[int, ...], argument: str) -> Any:
    """Examples in the shape of the network.

    Flat examples are reshaped, and others for a flat network; axes of length 1 come and go. The
    order of entries is never guessed.

    Raises:
        ValueError: naming the argument, for any other shape.
    """
    given, shape = array.shape[1:], tuple(shape)
    if given == shape:
        return array
    size, wanted = math.prod(given), math.prod(shape)
    if size != wanted or array.ndim == 0:
        alone = array.shape == shape or (array.shape == (wanted,) and wanted > 1)
        hint = (
            "put the samples first, one is x[None]"
            if alone
            else "reshape the data or change the network"
        )
        raise ValueError(
            f"{argument} have examples of shape {given}, the network takes {shape}; {hint}"
        )
    if _bare(given) == _bare(shape) or 1 in (len(_bare(given)), len(_bare(shape))):
        return array.reshape(len(array), *shape)
    if len(shape) == 3 and given == (shape[2], *shape[:2]):
        raise ValueError(
            f"{argument} have the channels first, {given}, the network takes {shape}; "
            "move them by np.moveaxis(x, 1, -1)"
        )
    swapped = len(shape) > 1 and given == (shape[1], shape[0], *shape[2:])
    hint = (
        "height and width are swapped: exchange them by np.swapaxes(x, 1, 2), or in the network"
        if swapped
        else "bring the axes into that order, or flatten the examples if their entries are in it"
    )
    raise ValueError(
        f"{argument} have examples of shape {given}, the network takes {shape}; {hint}"
    )


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
