"""From what the user passes to arrays on the device, checked."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from liftax.data import Dataset, Split, check_data
from liftax.objectives import LiftedEnergy

Data = Dataset | tuple[Any, Any]


def parts(data: Data | Split, validation: Data | None) -> tuple[Data, Data | None]:
    """Training and validation data; a `Split` validates on its test part."""
    if isinstance(data, Split):
        return data.train, data.test if validation is None else validation
    return data, validation


def prepare(energy: LiftedEnergy, data: Data, dtype: Any, argument: str) -> tuple[Array, Array]:
    """Inputs and targets as device arrays in the shapes of the network.

    Inputs whose examples have the network's number of entries are reshaped. Integer targets are
    class labels and stay as they are; without targets the inputs are their own.

    Raises:
        ValueError: naming the argument, for wrong shapes, NaN, labels out of range, or targets
            outside the domain of the output's potential.
    """
    x, y = (data.x, data.y) if isinstance(data, Dataset) else data
    x = np.asarray(x)
    y = x if y is None else np.asarray(y)
    network = energy.network
    out_shape = network.shapes[network.output]
    labels = np.issubdtype(y.dtype, np.integer) and y.ndim == 1
    if labels and len(out_shape) != 1:
        raise ValueError(
            f"{argument}: integer labels need an output of shape (classes,), got {out_shape}; "
            "end the network in a vector"
        )
    check_data(x, y, classes=out_shape[0] if labels else None)
    inputs = jnp.asarray(_shaped(x, network.input_shape, f"{argument}: inputs"), dtype)
    if labels:
        return inputs, jnp.asarray(y, jnp.int32)
    targets = (
        inputs if y is x else jnp.asarray(_shaped(y, out_shape, f"{argument}: targets"), dtype)
    )
    targets = targets.reshape(len(x), *out_shape)
    values = jax.jit(jax.vmap(network.node(network.output).potential.value))(targets)
    outside = np.flatnonzero(~np.isfinite(np.asarray(values)))
    if outside.size:
        name = type(network.node(network.output).potential).__name__
        raise ValueError(
            f"{argument}: {outside.size} targets lie outside the range of the output activation "
            f"{name} (first at sample {outside[0]}); rescale them or choose another output"
        )
    return inputs, targets


def _shaped(array: np.ndarray, shape: tuple[int, ...], argument: str) -> np.ndarray:
    if int(np.prod(array.shape[1:])) != int(np.prod(shape)):
        raise ValueError(
            f"{argument} have examples of shape {array.shape[1:]}, the network takes {shape}; "
            "reshape the data or change the network"
        )
    return array.reshape(len(array), *shape)
