"""The package's denoiser unrolled in problems with an operator: to begin training with."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from liftax.imaging import AbstractOperator
from liftax.networks import Network, Params, Prior, half_quadratic_network, proximal_gradient
from liftax.restoration import Denoiser, load_denoiser


class Unrolled(NamedTuple):
    """Few iterations of half-quadratic splitting with the denoiser's layers in each.

    Attributes:
        denoiser: a ``ddfb``, free.
        levels: noise levels of the denoisings.
        noise: of the measurements.
        weight: of the quadratic term, as in `half_quadratic`; or the length of the steps.
        layers: how many of the denoiser's, from the first one on.
    """

    denoiser: Denoiser
    levels: Sequence[float]
    noise: float
    weight: float
    layers: int

    @property
    def prior(self) -> Prior:
        """Of the denoiser's sizes, for images less 0.5."""
        known = dict(self.denoiser.arguments)
        return Prior(known["features"], known["kernel"], interval=None, layers=self.layers)

    def network(self, operator: AbstractOperator, start: AbstractOperator | None = None) -> Network:
        """With the whole data term."""
        steps = [(level / self.noise) ** 2 / self.weight for level in self.levels]
        return half_quadratic_network(operator, self.prior, steps, start=start)

    def filtered(self, operator: AbstractOperator, back: AbstractOperator) -> Network:
        """With steps of the length `weight` on the data term that another operator takes back."""
        return proximal_gradient(
            operator, self.prior, len(self.levels), step=self.weight, back=back
        )

    def initial(self, network: Network, key: PRNGKeyArray) -> Params:
        """The denoiser's filters in every iteration, and its thresholds for the level of each.

        With all layers the network then is `half_quadratic` with the denoiser.
        """
        known, last = self.denoiser.params, self.layers
        params = dict(jax.eval_shape(network.init, key))
        for k, level in enumerate(self.levels, 1):
            after = "out" if k == len(self.levels) else f"x{k + 1}"
            scale = level / self.denoiser.sigma
            for i in range(1, last + 1):
                u = f"u{k}_{i}" if last > 1 else f"u{k}"
                params[u] = known[f"u{i}"]
                thresholds = known[f"u{i}.potential"]
                params[f"{u}.potential"] = jax.tree.map(lambda t, s=scale: s * t, thresholds)
                back = f"p{i}" if f"p{i}" in known else "out"
                params[f"v{k}_{i}" if i < last else after] = known[back]
        return params


def unrolled(config: dict[str, Any]) -> Unrolled:
    """As configured, with the package's denoiser."""
    first, last, count = config["levels"]
    levels = np.geomspace(first, last, count).tolist()
    denoiser = load_denoiser()
    return Unrolled(denoiser, levels, config["noise"], config["weight"], config["layers"])
