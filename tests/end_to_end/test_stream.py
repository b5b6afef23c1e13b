"""Training data that stay in a file."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

import liftax
from liftax.blocks import (
    Backtracking,
    GaussSouthwell,
    Jacobi,
    Nesterov,
    Optimiser,
    ProximalGradient,
    Solve,
)
from liftax.potentials import ElasticNet
from liftax.training import Checkpoints
from tests.helpers import quick

from . import launched_stream

NETWORK = liftax.mlp([6, 5, 3])
METHOD = liftax.OneSweep(optax.sgd(0.1))


NESTEROV = ProximalGradient(acceleration=Nesterov())
BACKTRACKING = ProximalGradient(Backtracking())
PARTS = {
    "plain": {},
    "jacobi": {"order": Jacobi(), "state_step": NESTEROV, "parameter_step": NESTEROV},
    "optax": {"parameter_step": Optimiser(optax.adam(1e-2), 1e-2)},
}


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
    for method, words in (
        (liftax.SAGA(METHOD), "SAGA takes all samples at once"),
        (liftax.BlockCoordinateDescent(interleaved=True), "interleaved steps and multipliers"),
        (liftax.BlockCoordinateDescent(order=GaussSouthwell()), "the order GaussSouthwell looks"),
        (liftax.BlockCoordinateDescent(parameter_step=Solve()), "parameter_step must be Optimiser"),
        (liftax.BlockCoordinateDescent(state_step=BACKTRACKING), "state_step must be Solve"),
    ):
        with pytest.raises(ValueError, match=f"stream: {words}.*; leave stream away"):
            liftax.fit(NETWORK, given, method, stream=128)
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "layer"))
    with pytest.raises(ValueError, match=r"stream: a full-batch method in parts divides samples"):
        liftax.fit(NETWORK, given, liftax.BlockCoordinateDescent(), stream=8, mesh=mesh)
    with pytest.raises(ValueError, match=r"mesh: 9 samples cannot be divided among 4 devices"):
        liftax.fit(NETWORK, given, liftax.BlockCoordinateDescent(), stream=9, mesh=mesh)


def test_targets_out_of_the_domain_are_found_in_every_block(runs) -> None:
    """Probabilities behind a sigmoid, one of them wrong in the second block of 8,192."""
    targets = np.full((8200, 1), 0.5)
    targets[8195] = 1.5
    network = liftax.mlp([2, 1], output="sigmoid")
    with pytest.raises(ValueError, match=r"1 targets lie outside .* at sample 8195"):
        liftax.fit(network, (np.zeros((8200, 2)), targets), METHOD, stream=128)


@pytest.mark.parametrize("parts", quick(PARTS))
def test_block_descent_in_parts_takes_the_same_steps(tmp_path: Path, parts: str) -> None:
    """Four parts, the last of two samples; inertia of activations is kept with them."""
    given = data(tmp_path)
    network = liftax.mlp([6, 8, 7, 3])
    energy = liftax.LiftedEnergy(network, regularisers={"layer1": ElasticNet(1e-3, 1e-2)})
    method = liftax.BlockCoordinateDescent(**PARTS[parts])
    whole, split = (
        liftax.fit(
            *(energy, given, method),
            **{"epochs": 6, "dtype": jnp.float64, "progress": False, "stack": False, **more},
        )
        for more in ({}, {"stream": 16})
    )
    for a, b in zip(jax.tree.leaves(split.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    for name in ("loss", "accuracy", "energy", "gap/layer1", "gap/layer2"):
        np.testing.assert_allclose(split.history[name], whole.history[name], rtol=1e-11)


@pytest.mark.slow
def test_block_descent_in_parts_on_several_devices(tmp_path: Path) -> None:
    """The last part, of two samples, is on all of them; with a resume."""
    given, network = data(tmp_path), liftax.mlp([6, 8, 7, 3])
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    method = liftax.BlockCoordinateDescent(**PARTS["jacobi"])

    def train(epochs: int, **more: Any) -> liftax.Result:
        settings = {"epochs": epochs, "progress": False, "stack": False, "dtype": jnp.float64}
        return liftax.fit(network, given, method, **settings, **more)

    whole = train(6)
    saved = liftax.Checkpoints(tmp_path / "saved", resume=True)
    for epochs, where in ((2, mesh), (4, None), (6, mesh)):
        split = train(epochs, mesh=where, stream=16, checkpoints=saved)
    for a, b in zip(jax.tree.leaves(split.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(split.history["energy"], whole.history["energy"], rtol=1e-10)


@pytest.mark.slow
def test_two_processes_stream_each_its_samples(tmp_path: Path) -> None:
    """Two with two devices each, one alone in parts of another size, and the two again."""
    script = Path(__file__).with_name("launched_stream.py")
    command = [sys.executable, "-m", "liftax.cli", "launch", "-n", "2"]
    command += ["--devices-per-process", "2", str(script), "--", str(tmp_path)]
    subprocess.run([*command, "2", "6"], check=True, timeout=300)
    saved = Checkpoints(tmp_path / "saved", resume=True)
    with jax.numpy_dtype_promotion("standard"):
        launched_stream.train(12, stream=20, checkpoints=saved)
        whole = launched_stream.train(20)
    subprocess.run([*command, "20"], check=True, timeout=300)
    found = np.load(tmp_path / "found.npz")
    one, other = found["arr_0"], launched_stream.flat(whole)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)
    np.testing.assert_allclose(found["arr_1"], whole.history["energy"], rtol=1e-5)


@pytest.mark.slow
def test_block_descent_in_parts_rounds_products_as_the_whole(tmp_path: Path) -> None:
    given, method = data(tmp_path), liftax.BlockCoordinateDescent()
    whole, split, exact = (
        liftax.fit(liftax.mlp([6, 8, 7, 3]), given, method, epochs=6, progress=False, **more)
        for more in ({"products": jnp.bfloat16}, {"products": jnp.bfloat16, "stream": 16}, {})
    )

    def distance(a: liftax.Result, b: liftax.Result) -> float:
        pairs = zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True)
        return max(float(jnp.max(jnp.abs(p - q))) for p, q in pairs)

    assert distance(split, whole) < 0.5 * distance(exact, whole)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["none", "part", "part and file"])
def test_block_descent_in_parts_goes_on_where_it_was_saved(tmp_path: Path, damage: str) -> None:
    """Bit for bit, with parts of the same size; from the step before if one is damaged."""
    given = data(tmp_path)
    # Inertia: what activations remember is in the files too.
    method = liftax.BlockCoordinateDescent(state_step=ProximalGradient(acceleration=Nesterov()))

    def train(epochs: int, stream: int | None, **more: Any) -> liftax.Result:
        settings = {"epochs": epochs, "progress": False, "stream": stream, **more}
        return liftax.fit(liftax.mlp([6, 8, 7, 3]), given, method, **settings)

    whole, folder = train(9, 16), tmp_path / "saved"
    saved = liftax.Checkpoints(folder, resume=True)
    train(5, 16, checkpoints=saved)
    if damage != "none":
        path = folder / "step-00000005.part-2-of-4.safetensors"
        path.write_bytes(path.read_bytes()[:-3])
    if damage == "part and file":
        (folder / "step-00000005.part-0-of-4.safetensors").unlink()
    warned = contextlib.nullcontext()
    if damage != "none":
        warned = pytest.warns(UserWarning, match="passed over a damaged checkpoint, going back to")
    with warned:
        found = train(9, 16, checkpoints=saved)
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.history["loss"].tolist()[1:] == whole.history["loss"].tolist()[1:]
    # With other parts the numbers are the same to rounding; without parts it is another run.
    other = train(12, 30, checkpoints=saved)
    longer = train(12, 16)
    for a, b in zip(jax.tree.leaves(other.params), jax.tree.leaves(longer.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"is of another run .* streamed"):
        train(12, None, checkpoints=saved)


@pytest.mark.slow
def test_activations_may_be_larger_than_memory() -> None:
    """320 MB of activations where a process may have 300 MB more than it starts with."""
    script = Path(__file__).with_name("limited.py")
    ends = {}
    for stream in ("0", "1000"):
        run = subprocess.run([sys.executable, str(script), stream], capture_output=True, text=True)
        ends[stream] = (run.returncode, run.stdout, run.stderr)
    assert ends["1000"][:2] == (0, "3 steps, 327.68 MB of activations\n"), ends["1000"]
    assert ends["0"][0] != 0
    assert "memory" in ends["0"][2].lower(), ends["0"]
