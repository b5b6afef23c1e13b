"""Training on iterables of batches."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax.training import Checkpoints

NETWORK = liftax.mlp([6, 5, 3])
METHOD = liftax.OneSweep(optax.sgd(0.1))
X = np.random.default_rng(0).normal(size=(50, 6))
Y = np.random.default_rng(1).integers(0, 3, 50)


class Loader:
    """New batches every time, of 4 samples; 12 of them and one of two. It has no length."""

    def __init__(self, batch=lambda x, y: (x, y), size: int = 4):
        self.passes, self.batch, self.size = 0, batch, size

    def __iter__(self) -> Iterator:
        self.passes += 1
        for start in range(0, 50, self.size):
            rows = slice(start, start + self.size)
            yield self.batch(X[rows], Y[rows])


def train(given, **settings) -> liftax.Result:
    fixed = {"epochs": 2, "dtype": jnp.float64, "progress": False}
    return liftax.fit(NETWORK, given, METHOD, **{**fixed, **settings})


def equal(a: liftax.Result, b: liftax.Result) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(a.params), jax.tree.leaves(b.params)))


def by_hand(epochs: int) -> dict:
    """The method's own steps; the last batch has two samples, twice."""
    energy = liftax.LiftedEnergy(NETWORK)
    params = NETWORK.init(jax.random.key(0), jnp.float64)
    targets = np.eye(3)[Y]
    rows = [np.arange(t, t + 4) for t in range(0, 48, 4)] + [np.array([48, 49, 48, 49])]
    state = METHOD.init(
        energy, params, jnp.asarray(X[:4]), jnp.asarray(targets[:4]), jax.random.key(1)
    )
    step = jax.jit(lambda p, s, x, y: METHOD.step(energy, p, s, x, y)[:2])
    for _ in range(epochs):
        for r in rows:
            params, state = step(params, state, jnp.asarray(X[r]), jnp.asarray(targets[r]))
    return params


@pytest.fixture(scope="module")
def whole() -> liftax.Result:
    return train(list(Loader()))


def test_every_batch_is_a_step_in_the_order_given(whole: liftax.Result) -> None:
    assert whole.steps == 26
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(by_hand(2)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert whole.history["loss"][2] < whole.history["loss"][1]


@pytest.mark.parametrize("stream", [4, 12, 100])
def test_how_many_are_fetched_changes_nothing(whole: liftax.Result, stream: int) -> None:
    assert equal(train(Loader(), stream=stream), whole)


def test_a_run_goes_on_within_an_epoch(whole: liftax.Result, tmp_path: Path) -> None:
    train(list(Loader()), checkpoints=Checkpoints(tmp_path, every=5), callback=lambda h, p: True)
    for file in tmp_path.glob("step-00000013*"):
        file.unlink()
    again = train(list(Loader()), checkpoints=Checkpoints(tmp_path, resume=True))
    assert (again.steps, again.reason) == (26, liftax.Reason.COMPLETED)
    assert equal(again, whole)


def test_inputs_alone_are_their_own_targets() -> None:
    network = liftax.autoencoder([6, 3, 6])
    given = Loader(lambda x, y: x)
    result = liftax.fit(network, given, METHOD, epochs=2, progress=False, dtype=jnp.float64)
    assert result.history["mse"][2] < result.history["mse"][1]
    assert given.passes == 2 + 1 + 2  # the first batch and the number of them, compiling, epochs


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (iter([(X, Y)]), "data is a list_iterator; give arrays .* gone through anew every epoch"),
        (X, "data is a ndarray; give arrays"),
        ([], "data has no batches"),
        ([(X, Y, Y)], r"a batch is \(x, y\) or x, got 3 things"),
        ([(X[:4], Y[:4]), (X[:5], Y[:5])], "a batch has 5 samples, the first one 4"),
        ([(X[:4], Y[:4]), (X[:4], Y[:4] + 5)], "labels"),
    ],
)
def test_bad_batches_are_named(given, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        train(given)


def test_what_changes_its_length_or_is_short_is_refused() -> None:
    class Short(Loader):
        def __len__(self) -> int:
            return 20

    with pytest.raises(ValueError, match="data gave 13 batches in an epoch, and 20 before"):
        train(Short())
    with pytest.raises(ValueError, match=r"must hold a batch of 4, got 3; give"):
        train(Loader(), stream=3)
    with pytest.raises(ValueError, match="data in batches: BlockCoordinateDescent takes all"):
        liftax.fit(NETWORK, Loader(), liftax.BlockCoordinateDescent())


def test_channels_first_are_not_reshaped() -> None:
    network = liftax.cnn((6, 5, 3), (2,), (4,), 3)
    with pytest.raises(ValueError, match=r"channels first, \(3, 6, 5\).*np.moveaxis\(x, 1, -1\)"):
        liftax.fit(network, [(np.zeros((4, 3, 6, 5)), Y[:4])], METHOD)
