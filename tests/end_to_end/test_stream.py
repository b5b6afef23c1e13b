"""Training data that stay in a file."""

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


def data(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Memory-mapped inputs, and labels."""
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.normal(size=(50, 6)))
    return np.load(folder / "x.npy", mmap_mode="r"), rng.integers(0, 3, 50)


def noisy(key, x, y):
    return x + 0.1 * jax.random.normal(key, x.shape, x.dtype), y


def train(given, **settings):
    fixed = {"epochs": 2, "batch_size": 4, "transform": noisy, "dtype": jnp.float64}
    return liftax.fit(NETWORK, given, METHOD, progress=False, **fixed, **settings)


def equal(a, b) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(a.params), jax.tree.leaves(b.params)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    given = data(tmp_path_factory.mktemp("stream"))
    return given, train(given)


@pytest.mark.parametrize("stream", [20, 1000])
def test_streaming_takes_the_same_steps(runs, stream: int) -> None:
    """12 batches an epoch, 5 at a time (the last block is not full), or all."""
    given, whole = runs
    streamed = train(given, stream=stream)
    assert isinstance(given[0], np.memmap)
    assert equal(streamed, whole)
    for key in ("loss", "accuracy", "energy"):
        assert streamed.history.last[key] == whole.history.last[key]


def test_a_streamed_run_goes_on_from_a_checkpoint(runs, tmp_path: Path) -> None:
    given, whole = runs
    save = Checkpoints(tmp_path, every=5)

    def stop(history, params):
        return history.last["epoch"] == 1

    train(given, stream=20, checkpoints=save, callback=stop)
    resumed = train(given, stream=8, checkpoints=Checkpoints(tmp_path, every=7, resume=True))
    assert equal(resumed, whole)


def test_what_cannot_be_streamed_is_refused(runs) -> None:
    given, _ = runs
    with pytest.raises(ValueError, match="stream must hold a batch of 4"):
        train(given, stream=3)
    with pytest.raises(ValueError, match=r"stream must hold a batch .* BlockCoordinateDescent"):
        liftax.fit(NETWORK, given, liftax.BlockCoordinateDescent(), stream=128)


def test_targets_out_of_the_domain_are_found_in_every_block(runs) -> None:
    """Probabilities behind a sigmoid, one of them wrong in the second block of 8,192."""
    targets = np.full((8200, 1), 0.5)
    targets[8195] = 1.5
    network = liftax.mlp([2, 1], output="sigmoid")
    with pytest.raises(ValueError, match=r"1 targets lie outside .* at sample 8195"):
        liftax.fit(network, (np.zeros((8200, 2)), targets), METHOD, stream=128)
