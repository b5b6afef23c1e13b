"""What a stranger passes by mistake: one sentence with the argument, what came and what to do."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax import fit
from liftax.affine import Dense
from liftax.data import Dataset
from liftax.networks import Network, chain, check_params, with_output
from liftax.penalties import Hinge, Quadratic
from liftax.training import History, Result, measure, rounded_products
from liftax.training._prepare import warn_of_scores

METHOD = liftax.OneSweep(optax.adam(1e-2))
SMALL = liftax.mlp([4, 3])
X = np.random.default_rng(0).uniform(size=(4, 4)).astype(np.float32)
Y = np.array([0, 1, 2, 1])


def pictures() -> Network:
    return chain((6, 8, 3), [(Dense(2), "identity")])


def result(network: Network) -> Result:
    params = network.init(jax.random.key(0))
    energy = liftax.LiftedEnergy(network)
    return Result(energy, params, None, History([]), liftax.Reason.COMPLETED, 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (2, 3, 6, 8),
            r"have the channels first, \(3, 6, 8\), the network takes \(6, 8, 3\); move",
        ),
        ((2, 8, 6, 3), r"examples of shape \(8, 6, 3\).*height and width are swapped: exchange"),
        ((2, 4, 12, 3), r"examples of shape \(4, 12, 3\).*bring the axes into that order"),
        ((6, 8, 3), r"examples of shape \(8, 3\).*put the samples first, one is x\[None\]"),
        ((144,), r"examples of shape \(\), .*put the samples first, one is x\[None\]"),
        ((2, 143), r"examples of shape \(143,\), the network takes"),
    ],
)
def test_predict_fit_and_measure_refuse_the_same_shapes(shape, words: str) -> None:
    network, x = pictures(), np.ones(shape, np.float32)
    trained = result(network)
    with pytest.raises(ValueError, match=f"x: inputs {words}" if words[0] == "h" else words):
        trained.predict(x)
    if x.ndim < 2:
        return
    y = np.zeros((len(x), 2), np.float32)
    with pytest.raises(ValueError, match=words):
        measure(network, trained.params, (x, y))
    with pytest.raises(ValueError, match=words):
        fit(network, (x, y), METHOD)


def test_flat_examples_and_axes_of_length_one_are_reshaped() -> None:
    network = pictures()
    x = np.random.default_rng(1).uniform(size=(2, 6, 8, 3)).astype(np.float32)
    trained = result(network)
    expected = np.asarray(trained.predict(x))
    np.testing.assert_array_equal(trained.predict(x.reshape(2, -1)), expected)
    np.testing.assert_array_equal(trained.predict(x[:, None].tolist()), expected)
    np.testing.assert_array_equal(trained.predict(jnp.asarray(x)), expected)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (Y.astype(float), r"shape \(\) and dtype float64.*must be integers.*astype\(int\)"),
        (Y[:, None], r"shape \(1,\) and dtype int64.*the shape \(samples,\): y\.ravel\(\)$"),
    ],
)
def test_labels_in_another_form(y: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(SMALL, (X, y), METHOD)


def test_one_output_takes_no_labels() -> None:
    with pytest.raises(ValueError, match="an output for each class, and the network has one"):
        fit(liftax.mlp([4, 1], output="sigmoid"), (X, Y), METHOD)


def test_parameters_of_another_network() -> None:
    other = liftax.mlp([4, 5]).init(jax.random.key(0))
    words = (
        r"params: node 'layer1' has the shapes .*weight \(4, 3\) in the network, .*\(4, 5\) were"
    )
    with pytest.raises(ValueError, match=words):
        fit(SMALL, (X, Y), METHOD, params=other)
    with pytest.raises(ValueError, match=words):
        measure(SMALL, other, (X, Y))
    with pytest.raises(ValueError, match="params lack layer1; they belong to another network"):
        fit(SMALL, (X, Y), METHOD, params={})
    own = SMALL.init(jax.random.key(0))
    with pytest.raises(ValueError, match="have all nodes and have layer2 beside"):
        check_params(SMALL, {**own, "layer2": {}})
    with pytest.raises(ValueError, match=r"must be a dictionary by node name.*got Network"):
        check_params(SMALL, SMALL)
    check_params(SMALL, own)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"batch_size": 50.0}, r"batch_size must be a whole number of at least 1, got 50\.0"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"report": True}, "report must be a whole number"),
        ({"stream": 2.5}, "stream must be a whole number"),
        ({"seed": 1.5}, r"seed must be a whole number, got 1\.5"),
        ({"dtype": int}, "dtype must be a floating-point type such as jnp.float32, got int64"),
        ({"dtype": "bf16"}, "dtype must be a floating-point type .*, got 'bf16'"),
        ({"validation": False}, "validation must be a Dataset or a pair of arrays .* got False"),
        ({"checkpoints": "ck"}, r'checkpoints must be Checkpoints\("folder"\) or None, got .ck'),
        ({"callback": "x"}, "callback must be a function or several, got 'x'"),
        ({"method": liftax.OneSweep}, "got the class OneSweep itself; call it"),
        (
            {"energy": liftax.mlp},
            "energy must be a LiftedEnergy or a Network, got the function mlp",
        ),
    ],
)
def test_settings_of_another_kind(setting: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(**{"energy": SMALL, "data": Dataset(X, Y), "method": METHOD, **setting})


def test_double_precision_is_switched_on_first() -> None:
    with jax.enable_x64(False), pytest.raises(ValueError, match=r'update\("jax_enable_x64", True'):
        fit(SMALL, (X, Y), METHOD, dtype=jnp.float64)


@pytest.mark.parametrize("given", ["adam", 1e-3, optax.adam, optax.GradientTransformation])
def test_optimisers_of_another_kind(given) -> None:
    words = r"optimiser must be an optax.GradientTransformation such as optax.adam\(1e-3\), got "
    for method in (liftax.OneSweep, liftax.BackPropagation, liftax.Contrastive):
        with pytest.raises(ValueError, match=words):
            method(given)


@pytest.mark.parametrize("given", ["quadratic", Quadratic])
def test_penalties_of_another_kind(given) -> None:
    with pytest.raises(ValueError, match=r"penalty must be a penalty such as Quadratic\(\), got "):
        liftax.LiftedEnergy(SMALL, given)
    with pytest.raises(ValueError, match=r"loss must be a loss such as Bregman\(\), got "):
        liftax.LiftedEnergy(SMALL, loss=given)


def test_other_types_and_widths() -> None:
    with pytest.raises(ValueError, match=r"products of fit\) must be a floating-point .* 'bf16'"):
        rounded_products(lambda x: x, "bf16")
    with pytest.raises(ValueError, match=r"every one of widths must be a whole number.*got 3\.5"):
        liftax.mlp([64, 3.5, 10])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"widths needs an input and an output size.*got 64"):
        liftax.autoencoder(64)  # pyright: ignore[reportArgumentType]


def test_labels_at_scores_are_warned_of_and_a_softmax_is_put_there() -> None:
    """With the softmax the same parameters give the probabilities of the same scores."""
    scores = chain((4,), [(Dense(3), "identity")])
    method = liftax.BackPropagation(optax.sgd(0.0))
    with pytest.warns(UserWarning, match="squared error to one-hot") as caught:
        trained = fit(scores, (X, Y), method, epochs=1, progress=False)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    classifier = with_output(scores, "softmax")
    z = np.asarray(trained.predict(X))
    expected = np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(4), Y])
    found = measure(classifier, trained.params, (X, Y))["loss"]
    assert found == pytest.approx(expected, rel=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_scores(liftax.LiftedEnergy(scores, loss=Hinge()), Y)
