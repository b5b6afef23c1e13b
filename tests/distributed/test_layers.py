"""Equal layers divided among devices: the same steps, and nothing but neighbours' borders sent."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

import liftax
from liftax import Placement
from liftax.blocks import Jacobi, RedBlack
from liftax.networks import Network, gradient_resnet, lista
from liftax.training import step_traffic

from . import launched_layers

SAMPLES, WIDTH = 16, 6
NETWORKS = {
    "chain": liftax.mlp([5, *[WIDTH] * 17, 3]),
    "shortcuts": liftax.resnet(5, WIDTH, 16, 3),
    "tied": gradient_resnet(WIDTH, 4, 16),
    "thresholds": lista(WIDTH, WIDTH, 34),
    "simplices": liftax.mlp([5, *[WIDTH] * 17, 3], activation="softmax"),
}
METHODS = {
    "descent": liftax.BlockCoordinateDescent(order=RedBlack()),
    "contrastive": liftax.Contrastive(optax.sgd(0.01), inner=3, order=Jacobi()),
}
GRIDS = [(1, 2), (1, 4), (1, 8), (2, 2), (2, 4), (4, 2)]
CASES = [(n, m, g) for n in NETWORKS for m in METHODS for g in GRIDS]
FAST = [("chain", "descent", (2, 4))]


def place(grid: tuple[int, int]) -> Mesh:
    devices = np.array(jax.devices()[: grid[0] * grid[1]])
    return Mesh(devices.reshape(grid), ("data", "layer"))


def train(network: Network, method: Any, where: Any, **more: Any) -> liftax.Result:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, *network.input_shape)).astype(np.float32)
    target = rng.normal(size=(SAMPLES, WIDTH)).astype(np.float32)
    y = target if network.shapes[network.output] == (WIDTH,) else np.arange(SAMPLES) % 3
    settings = {"epochs": 20, "batch_size": SAMPLES, "progress": False, **more}
    return liftax.fit(network, (x, y), method, mesh=where, **settings)


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


_WHOLE: dict[tuple[str, str], liftax.Result] = {}


@pytest.mark.parametrize(
    ("network", "method", "grid"),
    [c if c in FAST else pytest.param(*c, marks=pytest.mark.slow) for c in CASES],
)
def test_the_same_parameters_with_divided_layers(
    network: str, method: str, grid: tuple[int, int]
) -> None:
    given = NETWORKS[network], METHODS[method]
    if (network, method) not in _WHOLE:
        _WHOLE[network, method] = train(*given, None)
    whole, found = _WHOLE[network, method], train(*given, place(grid))
    one, other = flat(found.params), flat(whole.params)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)
    np.testing.assert_allclose(found.history["energy"], whole.history["energy"], rtol=1e-4)
    if method == "descent":
        specs = {leaf.sharding.spec for leaf in jax.tree.leaves(found.state.hidden)}
        assert PartitionSpec("data" if grid[0] > 1 else None, "layer") in specs


@pytest.mark.parametrize("order", [Jacobi(), pytest.param(RedBlack(), marks=pytest.mark.slow)])
@pytest.mark.parametrize("blocks", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_a_step_sends_the_borders_of_neighbours_whatever_the_depth(order: Any, blocks: int) -> None:
    """The formulas of docs/scaling.md; in particular nothing is gathered."""
    network = liftax.mlp([5, *[WIDTH] * (2 * blocks + 1), 3])
    method = liftax.BlockCoordinateDescent(order=order)
    sent = step_traffic(network, method, SAMPLES, Placement(place((1, 4))))
    border = SAMPLES * WIDTH
    assert sent.shifted == 4 * (9 * border + 1)
    assert sent.reduced == 4 * (7 * border + 1)
    assert sent.gathered == sent.scattered == sent.exchanged == 0
    unseen = step_traffic(network, method, SAMPLES, Placement(place((1, 4))), reported=False)
    assert unseen.shifted == 4 * (7 * border + 1)
    assert unseen.reduced == 4 * (6 * border + 1)


@pytest.mark.slow
def test_a_run_goes_on_with_layers_on_another_number_of_devices(tmp_path) -> None:
    given = NETWORKS["chain"], METHODS["descent"]
    whole = train(*given, None, epochs=8)
    for epochs, grid in ((3, (2, 4)), (6, (1, 2)), (8, None)):
        saved = liftax.Checkpoints(tmp_path, resume=True)
        where = None if grid is None else place(grid)
        found = train(*given, where, epochs=epochs, checkpoints=saved)
        assert found.steps == epochs
    one, other = flat(found.params), flat(whole.params)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["1x4", "2x2"])
def test_two_processes_divide_the_layers(tmp_path: Path, grid: str) -> None:
    script = Path(__file__).with_name("launched_layers.py")
    command = [
        sys.executable,
        "-m",
        "liftax.cli",
        "launch",
        "-n",
        "2",
        "--devices-per-process",
        "2",
    ]
    subprocess.run(
        [*command, str(script), "--", str(tmp_path), "chain", "red-black", grid],
        check=True,
        timeout=200,
    )
    whole = launched_layers.train("chain", "red-black", 20)
    one, other = np.load(tmp_path / "found.npy"), flat(whole.params)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


def test_layers_that_cannot_be_divided_are_named() -> None:
    network, method = liftax.mlp([5, 6, 3]), METHODS["descent"]
    with pytest.raises(ValueError, match=r"mesh divides layers into 4 parts, but .* has 2 nodes"):
        train(network, method, place((1, 4)))
    with pytest.raises(ValueError, match=r"stack=True, but .* no run of 4 or more equal layers"):
        train(network, method, place((1, 4)), stack=True)


@pytest.mark.slow
def test_devices_that_samples_leave_divide_layers() -> None:
    found = train(NETWORKS["chain"], METHODS["descent"], "auto", epochs=1).placement
    assert found is not None and dict(found.mesh.shape) == {"data": 1, "layer": 8}
    assert "layers in 8 parts, on 8 devices in all" in found.why
