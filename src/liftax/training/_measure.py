"""Loss and accuracy of a network on data."""

import jax
import jax.numpy as jnp

from liftax.networks import Network, Params, check_params
from liftax.objectives import LiftedEnergy
from liftax.training._engine import evaluate
from liftax.training._prepare import Data, prepare


def measure(energy: LiftedEnergy | Network, params: Params, data: Data) -> dict[str, float]:
    """Mean loss of an example, and accuracy (of labels) or mean squared error (of other targets).

    Computed in batches, in the precision of the parameters: what the history has as
    ``validation_loss`` and ``validation_accuracy``.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the loss of the Bregman penalty.
        params: of the network.
        data: a `Dataset` or a pair of arrays, as for `fit`.

    Returns:
        ``loss``, and ``accuracy`` or ``mse``.

    Raises:
        ValueError: for data or parameters that do not fit.
    """
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    check_params(energy.network, params)
    leaves = jax.tree.leaves(params)
    dtype = leaves[0].dtype if leaves else jnp.float32
    x, y = prepare(energy, data, dtype, "data")
    loss, metric = evaluate(energy, params, x, y)
    labels = jnp.issubdtype(y.dtype, jnp.integer)
    return {"loss": float(loss), "accuracy" if labels else "mse": float(metric)}
