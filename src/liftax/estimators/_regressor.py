"""The regressor."""

import dataclasses
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import column_or_1d

from liftax.estimators._samples import weighted
from liftax.estimators._supervised import AbstractSupervised
from liftax.networks import Network
from liftax.potentials import Identity


@dataclasses.dataclass(eq=False, repr=False)
class LiftedRegressor(RegressorMixin, AbstractSupervised):
    r"""A network with a linear output, a perceptron if no other is given, trained by lifting.

    With the Bregman penalty at the output the loss is $\frac12\|N(x) - y\|^2$. Targets are best
    scaled to about 1 (`sklearn.compose.TransformedTargetRegressor`).

    Attributes:
        hidden_layer_sizes: as all others, see `LiftedClassifier`; `network` ends in the identity.
        result_: what `liftax.fit` returned; `network_` and `params_` are in it.
        loss_curve_: mean loss of every epoch; `loss_` is the last one, `n_iter_` their number.

    Raises:
        ValueError: from `fit` for settings and data that cannot be used.

    Source: arXiv 2510.09796; the conventions are those of scikit-learn's `MLPRegressor`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on features (samples, features) and numbers (samples,) or (samples, outputs).

        Args:
            X: features.
            y: numbers.
            sample_weight: how often each sample counts; see `LiftedClassifier.fit`.
        """
        x, targets = self._pair(X, y, True)
        self._train(weighted(x, targets, sample_weight), targets.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on these samples, from where the last call ended."""
        first = "result_" not in vars(self)
        x, targets = self._pair(X, y, first)
        self._go_on(weighted(x, targets, sample_weight), targets.shape[1], first)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The network's outputs, in the shape of the targets."""
        x = self._checked(X)
        outputs = self._outputs(self.network_, x).astype(np.float64)  # as scikit-learn expects
        return outputs[:, 0] if self._flat else outputs

    def _pair(self, x: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        x, y = self._validated(x, y, reset=reset, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        return x, y.astype(np.float32).reshape(len(y), -1)

    def _network(self, inputs: int, outputs: int) -> Network:
        return self._built(inputs, outputs, Identity())

    def __sklearn_tags__(self) -> Tags:
        tags = RegressorMixin.__sklearn_tags__(self)
        tags.target_tags.multi_output = True
        return tags
