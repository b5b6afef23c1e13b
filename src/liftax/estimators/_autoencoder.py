"""The autoencoder, whose inverse is found by lifting."""

import dataclasses
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from liftax.estimators._estimator import AbstractLifted
from liftax.estimators._samples import Samples
from liftax.inversion import AbstractPrior, default_solver, invert, named_regulariser
from liftax.networks import INPUT, Network, Node, autoencoder, code_layer
from liftax.potentials import AbstractPotential


@dataclasses.dataclass(eq=False, repr=False)
class LiftedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, AbstractLifted):
    r"""A dense autoencoder, trained by lifting: features to a code and back.

    `transform` gives the code $E(x)$. `predict` gives the decoder's picture of it; and
    `inverse_transform` does not ask the decoder: it inverts the encoder, by minimising
    $B(\mathrm{code}, E(x)) + \alpha J(x)$ in its lifted form (`liftax.invert`), from the decoder's
    output on.

    Attributes:
        n_components: entries of the code.
        code: activation of the code layer.
        output: activation of the last layer; the features must lie in its range.
        regulariser: J, by the names of `liftax.inversion.named_regulariser`, or an object.
        inverse_alpha: its weight α; the default is for codes without noise.
        inverse_max_iter: iterations of the inversion at most; None for the solver's default.
        hidden_layer_sizes: widths between features and code; the decoder has them in reverse. The
            others are those of `LiftedClassifier`.
        result_: what `liftax.fit` returned; `network_` and `params_` are in it.
        loss_curve_: mean loss of every epoch; `loss_` is the last one, `n_iter_` their number.

    Raises:
        ValueError: from `fit` for settings and data that cannot be used; from `inverse_transform`
            for codes that the activation never gives.

    Source: arXiv 2510.09796, sections 5 and 6.
    """

    n_components: int = 16
    code: AbstractPotential | str = "identity"
    output: AbstractPotential | str = "identity"
    regulariser: AbstractPrior | str = "tikhonov"
    inverse_alpha: float = 1e-4
    inverse_max_iter: int | None = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on features (samples, features); `y` is not used."""
        x = self._validated(X, reset=True)
        self._train(Samples(x, None), x.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One epoch on these samples, from where the last call ended."""
        first = "result_" not in vars(self)
        x = self._validated(X, reset=first)
        self._go_on(Samples(x, None), x.shape[1], first)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The codes, (samples, n_components)."""
        x = self._checked(X)
        return self._outputs(self.encoder_, x)

    def predict(self, X: Any) -> np.ndarray:
        """What the decoder makes of the codes of these features."""
        x = self._checked(X)
        return self._outputs(self.network_, x)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Features whose codes are these, (samples, features), by inversion of the encoder."""
        check_is_fitted(self)
        codes = np.asarray(check_array(X, input_name="X"), np.float32)
        if codes.shape[1] != self.n_components:
            raise ValueError(
                f"X has {codes.shape[1]} features, codes have n_components={self.n_components}"
            )
        encoder = self.encoder_
        prior = self.regulariser
        if isinstance(prior, str):
            prior = named_regulariser(prior, encoder.input_shape)
        solver = default_solver(encoder, self.inverse_max_iter)
        params = {node.name: self.params_[node.name] for node in encoder.nodes}
        start = self._outputs(self.decoder_, codes)
        found = invert(
            encoder, params, codes, prior, self.inverse_alpha, solver=solver, start=start
        )
        return np.asarray(found.x)

    def score(self, X: Any, y: Any = None) -> float:
        r"""$1 - \|x - D(E(x))\|^2/\|x - \bar x\|^2$ with the mean $\bar x$; 1 is best."""
        x = self._checked(X)
        missed = np.sum((x - self._outputs(self.network_, x)) ** 2, dtype=np.float64)
        spread = np.sum((x - x.mean(axis=0)) ** 2, dtype=np.float64)
        return float(1 - missed / spread) if spread > 0 else float(missed == 0)

    @property
    def encoder_(self) -> Network:
        """The layers up to the code."""
        network = self.network_
        return Network(network.nodes[: code_layer(len(network.nodes))], network.input_shape)

    @property
    def decoder_(self) -> Network:
        """The layers behind the code, with the code as input."""
        network = self.network_
        first, *others = network.nodes[code_layer(len(network.nodes)) :]
        first = Node(first.name, first.affine, first.potential, INPUT)
        return Network((first, *others), (self.n_components,))

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def _network(self, inputs: int, outputs: int) -> Network:
        if not isinstance(self.n_components, int | np.integer) or self.n_components < 1:
            raise ValueError(f"n_components must be at least 1, got {self.n_components!r}")
        hidden = self._widths()
        widths = [inputs, *hidden, int(self.n_components), *hidden[::-1], outputs]
        return autoencoder(widths, self.activation, self.code, self.output)

    def __sklearn_tags__(self) -> Tags:
        tags = TransformerMixin.__sklearn_tags__(self)
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
