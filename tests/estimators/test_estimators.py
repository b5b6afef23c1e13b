"""Estimators: what they compute, against `liftax.fit`, scikit-learn and linear algebra."""

import math
import pickle
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.base import BaseEstimator
from sklearn.base import clone as sklearn_clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import liftax
from liftax.estimators import LiftedAutoencoder, LiftedClassifier, LiftedRegressor
from liftax.estimators._samples import Draws, Samples
from liftax.training import History

Estimator = TypeVar("Estimator", bound=BaseEstimator)
X, Y = load_digits(return_X_y=True)
X, Y = (X[:600] / 16).astype(np.float32), Y[:600]
ALL = np.arange(600)
WORDS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
QUICK = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 1e-2,
    "max_iter": 3,
    "tol": math.inf,
    "random_state": 0,
}


def clone(estimator: Estimator) -> Estimator:
    """As its stub would have it."""
    copy = sklearn_clone(estimator)
    assert isinstance(copy, type(estimator))
    return copy


@pytest.fixture(scope="module")
def classifier() -> LiftedClassifier:
    return LiftedClassifier(**QUICK).fit(X, WORDS[Y])


@pytest.fixture(scope="module")
def autoencoder() -> LiftedAutoencoder:
    return LiftedAutoencoder(**{**QUICK, "hidden_layer_sizes": ()}, n_components=8).fit(X)


def test_a_classifier_is_a_call_of_fit(classifier: LiftedClassifier) -> None:
    seed = np.random.RandomState(0).randint(2**31 - 1)
    network = liftax.mlp([64, 16, 10])
    names, labels = np.unique(WORDS[Y], return_inverse=True)
    method, rows = liftax.OneSweep(optax.adam(1e-2)), in_order(X, labels.astype(np.int32))
    result = liftax.fit(
        network,
        (X[rows], labels[rows]),
        method,
        epochs=3,
        batch_size=32,
        seed=int(seed),
        progress=False,
    )
    np.testing.assert_array_equal(classifier.classes_, names)
    np.testing.assert_allclose(classifier.predict_proba(X), result.predict(X), atol=1e-6)
    assert classifier.loss_curve_ == result.history["loss"][1:].tolist()
    assert classifier.n_iter_ == 3
    assert classifier.score(X, WORDS[Y]) > 0.9


def in_order(x: Any, y: Any) -> list[int]:
    """Rows in the order of their bytes, as estimators take them."""
    return sorted(range(len(x)), key=lambda i: x[i].tobytes() + y[i].tobytes())


def test_the_order_of_samples_does_not_matter() -> None:
    settings = {**QUICK, "max_iter": 2}
    models = [LiftedClassifier(**settings).fit(X[rows], Y[rows]) for rows in (ALL, ALL[::-1])]
    assert models[0].loss_curve_ == models[1].loss_curve_


def test_whole_weights_repeat_samples() -> None:
    """To the bit, and samples of weight 0 are not there, nor are labels that they alone have."""
    rng = np.random.default_rng(0)
    weight = np.where(Y == 9, 0, rng.integers(0, 4, len(Y)))
    settings = {**QUICK, "max_iter": 2}
    found = LiftedClassifier(**settings).fit(X, Y, sample_weight=weight)
    rows = ALL.repeat(weight)
    expected = LiftedClassifier(**settings).fit(X[rows], Y[rows])
    assert found.classes_.tolist() == list(range(9))
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    seen = Y != 9
    accuracy = np.average(found.predict(X[seen]) == Y[seen], weights=1.0 + weight[seen])
    assert found.score(X[seen], Y[seen], 1.0 + weight[seen]) == pytest.approx(accuracy)


@pytest.mark.slow
def test_other_weights_are_those_of_the_loss() -> None:
    """A linear regression of few numbers, against weighted normal equations."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(64, 2)), rng.uniform(0.01, 3, 64)
    y = x @ [1.0, -2.0] + rng.normal(size=64)  # the weights make a difference
    model = LiftedRegressor(
        (), solver="sgd", learning_rate_init=2e-2, batch_size=8, tol=math.inf, random_state=0
    )
    found = []
    for _ in range(150):
        model.partial_fit(x, y, sample_weight=weight)
        found.append(model.predict(np.eye(3, 2)))
    one = np.column_stack([x, np.ones(64)])
    slope = np.linalg.solve((one.T * weight) @ one, (one.T * weight) @ y)
    plain = np.linalg.lstsq(one, y, rcond=None)[0]
    expected, other = ([c[0] + c[2], c[1] + c[2], c[2]] for c in (slope, plain))
    mean = np.mean(found[50:], axis=0)
    assert np.linalg.norm(mean - expected) < 0.2 * np.linalg.norm(mean - other)
    with pytest.raises(ValueError, match="block-coordinate-descent takes all samples at once"):
        model.set_params(algorithm="block-coordinate-descent").fit(x, y, weight)


def test_draws_are_in_proportion() -> None:
    """Within one of what the weight says, in every epoch, whatever the random numbers."""
    weight = np.random.default_rng(0).uniform(0.1, 5, 40)
    samples = Samples(np.arange(40.0)[:, None], None, weight)
    batches = Draws(samples, 7, 3)
    epochs = [np.concatenate([x[:, 0] for x, _ in batches]) for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for epoch in epochs:
        counts = np.bincount(epoch.astype(int), minlength=40)
        assert np.abs(counts - 35 * weight / weight.sum()).max() < 1


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones((600, 1)), r"sample_weight.shape is \(600, 1\), and X has 600 samples"),
        (np.zeros(600), "sample_weight is zero for every sample"),
        (np.full(600, -1.0), "sample_weight must hold finite numbers of at least 0"),
    ],
)
def test_bad_weights_are_named(weight: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LiftedClassifier(**QUICK).fit(X, Y, sample_weight=weight)


def small(shape: tuple[int, ...], outputs: int) -> liftax.Network:
    """Of a module, so that it can be pickled."""
    return liftax.cnn((shape[0], shape[1], shape[2]), (4,), (), outputs)


def test_pictures_to_a_convolutional_network() -> None:
    """As rows, which the estimator reshapes; the same as `fit` on the pictures."""
    settings = {**QUICK, "max_iter": 2, "network": small, "input_shape": (8, 8, 1)}
    model = LiftedClassifier(**settings).fit(X, Y)
    model = pickle.loads(pickle.dumps(model))
    rows = in_order(X, Y.astype(np.int32))
    seed = np.random.RandomState(0).randint(2**31 - 1)
    result = liftax.fit(
        small((8, 8, 1), 10),
        (X[rows].reshape(-1, 8, 8, 1), Y[rows]),
        liftax.OneSweep(optax.adam(1e-2)),
        epochs=2,
        batch_size=32,
        seed=int(seed),
        progress=False,
    )
    np.testing.assert_allclose(
        model.predict_proba(X), result.predict(X.reshape(-1, 8, 8, 1)), atol=1e-6
    )
    assert clone(model).get_params()["network"] is small


def test_a_row_does_not_depend_on_the_rows_beside_it(classifier: LiftedClassifier) -> None:
    """Blocks of 256 rows: 600 rows take three."""
    every = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.predict_proba(X[::-1])[::-1], every)
    np.testing.assert_array_equal(classifier.predict_proba(X[300:301]), every[300:301])


def test_pickles_and_clones(classifier: LiftedClassifier) -> None:
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    again.partial_fit(X, WORDS[Y])
    assert again.n_iter_ == 4
    assert again.loss_curve_[3] < again.loss_curve_[2]
    bare = clone(classifier)
    assert bare.get_params() == classifier.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        bare.predict(X)


def test_search_over_a_pipeline() -> None:
    """With a learning rate of 1e-30 nothing is learnt."""
    pipeline = make_pipeline(MinMaxScaler(), LiftedClassifier(**QUICK))
    grid = {"liftedclassifier__learning_rate_init": [1e-30, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(16 * X, Y)
    assert search.best_params_ == {"liftedclassifier__learning_rate_init": 1e-2}
    assert np.mean(search.predict(16 * X) == Y) > 0.9


def test_partial_fits_go_on_with_the_optimiser(classifier: LiftedClassifier) -> None:
    """Adam's count of steps says that its moments were kept: 18 batches an epoch."""
    other = clone(classifier)
    for _ in range(2):
        other.partial_fit(X, WORDS[Y], classes=WORDS)
    counts = [int(s) for s in jax.tree.leaves(other.result_.state) if np.shape(s) == ()]
    assert counts == [36]
    with pytest.raises(ValueError, match=r"y has labels \['ten'\] that are not among classes"):
        other.partial_fit(X[:1], ["ten"])
    with pytest.raises(ValueError, match="are not those of the first call"):
        other.partial_fit(X[:1], ["one"], classes=["one", "two"])
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        clone(classifier).partial_fit(X, WORDS[Y])


def test_early_stopping_keeps_the_best() -> None:
    """Steps that are too long: the held-out loss rises, and the run ends."""
    settings = {**QUICK, "learning_rate_init": 0.3, "max_iter": 60, "tol": 0.0}
    model = LiftedClassifier(**settings, early_stopping=True, n_iter_no_change=3).fit(X, Y)
    history: History = model.result_.history
    held_out = history["validation_loss"][1:]
    assert len(held_out) == int(np.argmin(held_out)) + 4 < 60
    from sklearn.model_selection import train_test_split

    rows = in_order(X, Y.astype(np.int32))
    _, x, _, y = train_test_split(
        X[rows], Y[rows], test_size=0.1, random_state=np.random.RandomState(0), stratify=Y[rows]
    )
    proba = model.predict_proba(x)[np.arange(len(y)), y]
    np.testing.assert_allclose(-np.mean(np.log(proba)), held_out.min(), rtol=1e-4)


def test_a_linear_regressor_with_weight_decay_is_ridge_regression() -> None:
    """Block-coordinate descent of one layer, full batches, against the normal equations."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(60, 4)), rng.normal(size=(4, 2))
    y = x @ w + 0.5 + 0.1 * rng.normal(size=(60, 2))
    model = LiftedRegressor(
        (), algorithm="block-coordinate-descent", alpha=0.3, max_iter=400, tol=math.inf
    )
    with pytest.warns(ConvergenceWarning, match="max_iter=400 epochs were run") as record:
        model.set_params(tol=0.0, n_iter_no_change=400).fit(x, y)
    assert len(record) == 1
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    slope = np.linalg.solve(
        (x - centre).T @ (x - centre) + 0.3 * 60 * np.eye(4), (x - centre).T @ (y - mean)
    )
    np.testing.assert_allclose(model.predict(x), mean + (x - centre) @ slope, atol=1e-4)
    assert model.predict(x).shape == (60, 2)
    flat = clone(model).set_params(tol=math.inf).fit(x, y[:, 0])
    np.testing.assert_allclose(flat.predict(x), model.predict(x)[:, 0], atol=1e-4)


def test_the_inverse_transform_of_a_linear_encoder_solves_normal_equations(
    autoencoder: LiftedAutoencoder,
) -> None:
    model = clone(autoencoder).set_params(inverse_alpha=0.1)
    model.result_ = autoencoder.result_
    codes = autoencoder.transform(X[:5])
    w, b = (np.asarray(model.params_["layer1"][k], np.float64) for k in ("weight", "bias"))
    np.testing.assert_allclose(codes, X[:5] @ w + b, atol=1e-5)
    expected = np.linalg.solve(w @ w.T + 0.1 * np.eye(64), w @ (codes - b).T).T
    np.testing.assert_allclose(model.inverse_transform(codes), expected, atol=2e-3)


def test_an_autoencoder_reconstructs(autoencoder: LiftedAutoencoder) -> None:
    assert autoencoder.transform(X).shape == (600, 8)
    assert autoencoder.get_feature_names_out().tolist()[-1] == "liftedautoencoder7"
    error = X - autoencoder.predict(X)
    explained = 1 - np.sum(error**2) / np.sum((X - X.mean(axis=0)) ** 2)
    np.testing.assert_allclose(autoencoder.score(X), explained, rtol=1e-5)
    assert explained > 0.1
    decoder = np.asarray(
        autoencoder.decoder_(autoencoder.params_, jnp.asarray(autoencoder.transform(X)))
    )
    np.testing.assert_allclose(decoder, autoencoder.predict(X), atol=1e-5)
    with pytest.raises(ValueError, match="X has 3 features, codes have n_components=8"):
        autoencoder.inverse_transform(X[:2, :3])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "one_sweep"}, "algorithm 'one_sweep' is not known, did you mean 'one-swe"),
        ({"solver": "adan"}, "solver 'adan' is not known, did you mean 'adam'"),
        ({"penalty": "l2"}, r"penalty 'l2' is not known \(known: bregman, lifted, quadratic\)"),
        ({"activation": "gelu"}, "activation 'gelu' is not monotone"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be numbers of at least 1"),
        ({"max_iter": 0}, "max_iter must be a number of at least 1, got 0"),
        ({"alpha": -1.0}, "alpha must be at least 0, got -1"),
        ({"learning_rate_init": 0.0}, "learning_rate_init must be positive, got 0"),
        ({"alpha": 1.0, "learning_rate_init": optax.constant_schedule(1.0)}, "alpha: weight decay"),
        ({"input_shape": (8, 7, 1)}, r"input_shape \(8, 7, 1\) has 56 numbers, and X has 64 feat"),
        (
            {"network": lambda s, n: s},
            "network gave a tuple; give a function of an",
        ),
        (
            {"network": lambda s, n: liftax.mlp([64, 3])},
            r"network ends in the shape \(3,\) with",
        ),
        ({"solver": "sgd", "learning_rate_init": 1e30}, "infinite or NaN: take a smaller step"),
    ],
)
def test_bad_settings_are_named(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LiftedClassifier(**{**QUICK, **settings}).fit(X, Y)
