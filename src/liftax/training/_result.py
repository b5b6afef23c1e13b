"""What a training run returns."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from liftax._solution import Reason
from liftax.networks import Params
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement
from liftax.training._history import History
from liftax.training._prepare import shaped


@dataclasses.dataclass(frozen=True)
class Result:
    """A trained network.

    Attributes:
        energy: what was minimised, with the network in it.
        params: the parameters, whole in every process.
        state: of the method, such as an optimiser's moments; `fit` can start from it.
        history: one row per epoch.
        reason: why the run stopped; ``str(reason)`` is a sentence.
        steps: parameter updates made.
        seconds: time spent in training steps, without compilation and evaluation.
        compile_seconds: time to compile them.
        placement: on which devices; None on one. Its `why` says how ``mesh="auto"`` chose.
    """

    energy: LiftedEnergy
    params: Params
    state: Any
    history: History
    reason: Reason
    steps: int
    seconds: float
    compile_seconds: float
    placement: Placement | None = None

    def predict(self, x: Any) -> Array:
        """The network's output for a batch, in the dtype of the parameters.

        Raises:
            ValueError: for inputs that do not fit, as `fit` takes them, samples first.
        """
        network = self.energy.network
        dtype = jax.tree.leaves(self.params)[0].dtype
        inputs = x if isinstance(x, Array) else np.asarray(x)
        inputs = jnp.asarray(shaped(inputs, network.input_shape, "x: inputs"), dtype)
        return eqx.filter_jit(network)(self.params, inputs)
