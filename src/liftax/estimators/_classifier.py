"""The classifier."""

import dataclasses
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from liftax.estimators._estimator import AbstractLifted
from liftax.networks import Network, mlp


@dataclasses.dataclass(eq=False, repr=False)
class LiftedClassifier(ClassifierMixin, AbstractLifted):
    r"""A multi-layer perceptron that ends in a softmax, trained by lifting.

    With the Bregman penalty at the output the loss is the cross-entropy.

    Attributes:
        hidden_layer_sizes: width of every hidden layer.
        activation: of the hidden layers, a potential or its name.
        penalty: of the hidden layers: "bregman", "lifted", "quadratic", or an object.
        algorithm: "one-sweep", "back-propagation", "implicit-sgd", "block-coordinate-descent", or
            a method of `liftax.methods`, which brings its own optimiser.
        solver: optimiser of the first two: "adam", "adamw", "sgd", or one of optax.
        alpha: weight decay, $\frac\alpha2\|W_j\|^2$ for each layer beside the mean loss.
        batch_size: samples a step.
        learning_rate_init: of the optimiser; or an optax schedule of the step number.
        max_iter: epochs at most.
        tol: training ends when the loss does not fall by that much; ``math.inf`` never ends it.
        n_iter_no_change: for so many epochs.
        early_stopping: look at the loss on a held-out part of the data instead, and keep the
            parameters that are best there.
        validation_fraction: of the samples that are held out.
        random_state: of initial parameters, order, and what is held out.
        verbose: show a bar.
        classes_: the labels, sorted.
        result_: what `liftax.fit` returned; `network_` and `params_` are in it.
        loss_curve_: mean loss of every epoch; `loss_` is the last one, `n_iter_` their number.

    Raises:
        ValueError: from `fit` for settings and data that cannot be used.

    Source: arXiv 2510.09796; the conventions are those of scikit-learn's `MLPClassifier`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on features (samples, features) and labels of any kind."""
        x, y = self._validated(X, y, reset=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        labels = labels.astype(np.int32)
        self._train(x, labels, len(self.classes_), labels)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One epoch on these samples, from where the last call ended.

        Args:
            X: features.
            y: labels.
            classes: all labels that will come; needed in the first call.
        """
        first = "result_" not in vars(self)
        x, y = self._validated(X, y, reset=first)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        if first:
            if classes is None:
                raise ValueError("classes must be given in the first call of partial_fit")
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes {classes!r} are not those of the first call, {self.classes_}"
            )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has labels {unknown} that are not among classes {self.classes_}")
        labels = np.searchsorted(self.classes_, y).astype(np.int32)
        self._go_on(x, labels, len(self.classes_), first)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax: probabilities of the classes, (samples, classes)."""
        x = self._checked(X)
        return self._outputs(self.network_, x)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each sample."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]

    def _network(self, inputs: int, outputs: int) -> Network:
        return mlp([inputs, *self._widths(), outputs], self.activation)
