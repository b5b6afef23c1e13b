"""The classifier."""

import dataclasses
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from liftax.estimators._samples import weighted
from liftax.estimators._supervised import AbstractSupervised
from liftax.networks import Network
from liftax.potentials import Softmax


@dataclasses.dataclass(eq=False, repr=False)
class LiftedClassifier(ClassifierMixin, AbstractSupervised):
    r"""A network that ends in a softmax, a perceptron if no other is given, trained by lifting.

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
        network: (shape of an example, number of outputs) → `Network` that ends in a softmax, such
            as `liftax.lenet`, instead of the perceptron. A function of a module can be pickled.
        input_shape: that shape, such as (height, width, channels), to which the rows of X are
            reshaped; None for (features,).
        classes_: the labels, sorted.
        result_: what `liftax.fit` returned; `network_` and `params_` are in it.
        loss_curve_: mean loss of every epoch; `loss_` is the last one, `n_iter_` their number.

    Raises:
        ValueError: from `fit` for settings and data that cannot be used.

    Source: arXiv 2510.09796; the conventions are those of scikit-learn's `MLPClassifier`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on features (samples, features) and labels of any kind.

        Args:
            X: features.
            y: labels.
            sample_weight: how often each sample counts, (samples,). Whole weights (up to 10 on
                average) repeat the samples; with others every epoch draws as many samples as there
                are, in proportion to their weights. Those of weight 0 are as if not there.
        """
        x, y = self._validated(X, y, reset=True)
        check_classification_targets(y)
        found = weighted(x, column_or_1d(y, warn=True), sample_weight)
        self.classes_, labels = np.unique(np.asarray(found.y), return_inverse=True)
        self._train(found._replace(y=labels.astype(np.int32)), len(self.classes_), True)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch on these samples, from where the last call ended.

        Args:
            X: features.
            y: labels.
            classes: all labels that will come; needed in the first call.
            sample_weight: as in `fit`.
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
        self._go_on(weighted(x, labels, sample_weight), len(self.classes_), first)
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
        return self._built(inputs, outputs, Softmax())
