"""Layers that are not equal on stages: the same steps, and the fewest bytes between stages."""

import functools
import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

import liftax
from liftax import Placement
from liftax.blocks import Backtracking, Jacobi, ProximalGradient, RedBlack
from liftax.networks import Network, ddfb, fixed, gradient_resnet
from liftax.parallel import Leaf, Staged, busiest, node_stages
from liftax.parallel._cut import stages_of
from liftax.parallel._flat import NONE, SHARED, Flat, Operation
from liftax.training import step_traffic
from liftax.training._stacking import divisible

from . import launched_layers
from .test_mesh import data, distance

SETTINGS = {"batch_size": 16, "progress": False, "stack": False}
SGD = optax.sgd(0.01, momentum=0.9)
NETWORKS = {
    "mlp": liftax.mlp([16, 12, 10, 8, 5]),
    "shallow": liftax.mlp([16, 12, 5]),
    "cnn": liftax.cnn((8, 8, 1), [3, 4], [6], 5),
    "normalised": liftax.cnn((8, 8, 1), [3, 4], [6], 5, normalised=True),
    "resnet": liftax.resnet((6, 6, 1), 3, 3, 5),
    "pnn": fixed(ddfb((8, 8, 1), 3, 3)),
    "learnt": ddfb((8, 8, 1), 3, 3),
}
METHODS = {
    "jacobi": liftax.BlockCoordinateDescent(order=Jacobi()),
    "red-black": liftax.BlockCoordinateDescent(order=RedBlack()),
    "contrastive": liftax.Contrastive(SGD, inner=2, order=Jacobi()),
    "contrastive, red-black": liftax.Contrastive(SGD, inner=2, order=RedBlack()),
    "sweep": liftax.OneSweep(SGD),
    "backward": liftax.BackPropagation(SGD),
    # Larger steps turn the learnt intervals of a clipping inside out.
    "slow sweep": liftax.OneSweep(optax.sgd(2e-4, momentum=0.9)),
    "slow backward": liftax.BackPropagation(optax.sgd(2e-4, momentum=0.9)),
    "gauss-seidel": liftax.BlockCoordinateDescent(),
}
DEEP = ("cnn", "resnet", "pnn")
CASES = [
    *(("mlp", m, (1, 4)) for m in METHODS if "slow" not in m),
    *((n, "jacobi", g) for n in DEEP for g in ((1, 2), (1, 4), (2, 2), (2, 4))),
    *((n, "red-black", (1, 4)) for n in DEEP),
    *((n, "contrastive", g) for n in DEEP for g in ((1, 4), (2, 4))),
    ("resnet", "jacobi", (1, 8)),
    ("pnn", "jacobi", (1, 6)),
    ("normalised", "sweep", (1, 4)),
    *((n, "sweep", (1, 4)) for n in DEEP),
    ("learnt", "slow sweep", (1, 4)),
    ("learnt", "slow sweep", (2, 2)),
    ("learnt", "slow backward", (1, 3)),
]
FAST = [("shallow", "red-black", (1, 2))]


def place(grid: tuple[int, int]) -> Mesh:
    devices = np.array(jax.devices()[: math.prod(grid)])
    return Mesh(devices.reshape(grid), ("data", "layer"))


def train(network: Network, method: Any, grid: tuple[int, int] | None, **more: Any) -> Any:
    """20 steps."""
    epochs, where = 20 if method.full_batch else 10, None if grid is None else place(grid)
    settings = {"epochs": epochs, **SETTINGS, **more}
    return liftax.fit(network, data(network), method, mesh=where, **settings)


_WHOLE: dict[tuple[str, str], Any] = {}


@pytest.mark.parametrize(
    ("network", "method", "grid"),
    [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES)],
)
def test_the_same_parameters_with_layers_on_stages(
    network: str, method: str, grid: tuple[int, int]
) -> None:
    if (network, method) not in _WHOLE:
        _WHOLE[network, method] = train(NETWORKS[network], METHODS[method], None)
    whole = _WHOLE[network, method]
    found = train(NETWORKS[network], METHODS[method], grid)
    assert found.steps == whole.steps == 20
    assert distance(found.params, whole.params) < 1e-5
    for column in ("loss", "energy"):
        np.testing.assert_allclose(found.history[column], whole.history[column], rtol=2e-5)
    if METHODS[method].full_batch:
        # Activations of a node are on its stage, divided by samples.
        stages = node_stages(NETWORKS[network], grid[1])
        for name, u in found.state.hidden.items():
            column = set(place(grid).devices[:, stages[name]])
            assert u.sharding.device_set == column
            assert u.sharding.spec == PartitionSpec("data")


def equal_apart() -> liftax.LiftedEnergy:
    """Eleven layers of the same shapes, whose weights keep them from being a stack."""
    network = liftax.mlp([6] * 12)
    names = [node.name for node in network.nodes]
    return liftax.LiftedEnergy(network, weights={n: 1 + k / 8 for k, n in enumerate(names)})


@pytest.mark.parametrize(
    ("energy", "order"),
    [
        (liftax.LiftedEnergy(NETWORKS["mlp"]), Jacobi()),
        pytest.param(liftax.LiftedEnergy(NETWORKS["mlp"]), RedBlack(), marks=pytest.mark.slow),
        (equal_apart(), Jacobi()),
    ],
    ids=["differ", "differ, red-black", "equal"],
)
def test_a_step_of_descent_passes_four_activations_a_border(energy: Any, order: Any) -> None:
    """The formula of docs/scaling.md; of a chain whose layers differ, or are equal but no stack."""
    network, samples = energy.network, 16
    method = liftax.BlockCoordinateDescent(order=order)
    sent = step_traffic(energy, method, samples, Placement(place((1, 4))))
    stages = node_stages(network, 4)
    nodes = [node.name for node in network.nodes]
    borders = [a for a, b in itertools.pairwise(nodes) if stages[a] != stages[b]]
    widths = [network.shapes[name][0] for name in borders]
    assert len(widths) == 3
    arrays = 4 * sum(4 * samples * n for n in widths)
    assert sent[:5] == (0, 0, 0, 0, 0)
    assert arrays <= sent.passed <= arrays + 4 * len(widths)
    # One of the four is the forward pass, for the loss in the history.
    unseen = step_traffic(energy, method, samples, Placement(place((1, 4))), reported=False)
    assert sent.passed - unseen.passed == 4 * sum(samples * n for n in widths)


def test_a_function_of_two_stages() -> None:
    """Two layers: the hidden activation goes up, its gradient down, and nothing else."""
    rng = np.random.default_rng(0)
    first, second, x = (rng.normal(size=s).astype(np.float32) for s in ((9, 4), (4, 3), (5, 9)))

    def function(weights: Any, x: Any) -> Any:
        def loss(weights: Any) -> Any:
            hidden = jnp.tanh(x @ weights[0])
            return jnp.sum((hidden @ weights[1]) ** 2), jnp.max(x)

        (value, top), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
        # A loop whose two halves do not meet, and one with both weights.
        turned = jax.lax.fori_loop(0, 3, lambda _, w: (w[0] / 2, w[1] + 1), tuple(weights))
        both = jax.lax.fori_loop(0, 2, lambda k, v: v @ weights[0] @ weights[1] @ back + k, x)
        return gradient, turned, value, top, both

    back = rng.normal(size=(3, 9)).astype(np.float32)
    given = ([Leaf(0, weights=True), Leaf(1, weights=True)], Leaf(None))

    def wanted(out: Any) -> Any:
        pair = [Leaf(0), Leaf(1)]
        return pair, tuple(pair), *(Leaf(None) for _ in out[2:])

    meshes = [Mesh(np.array([device]), ("data",)) for device in jax.devices()[:2]]
    arguments = ([first, second], x)
    run = Staged(function, arguments, given, wanted, meshes)
    found = run(*arguments)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, function(*arguments)
    )
    # Forward and back once; twice up and once down between the turns of the last loop.
    hidden = 4 * 5 * 4
    assert [s for s in run.sent if s.start == 0] == [(0, 1, hidden)] * 3
    assert [s for s in run.sent if s.start == 1] == [(1, 0, 4 * 5 * 3), (1, 0, hidden)]
    assert {next(iter(a.sharding.device_set)).id for a in found[0]} == {0, 1}


def test_memory_that_is_given_up_is_used_again() -> None:
    """Two matrices, on two stages, that move in turns; each result has memory of its own."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(4, 4)).astype(np.float32) for _ in range(2)]

    def function(pair: Any) -> Any:
        first, second = pair
        first = first / 2 + 1
        second = first + second
        return [first, second], second

    meshes = [Mesh(np.array([device]), ("data",)) for device in jax.devices()[:2]]
    given = ([Leaf(k, weights=True, spent=True) for k in range(2)],)
    run = Staged(function, (start,), given, lambda _: ([Leaf(0), Leaf(1)], Leaf(1)), meshes)
    pair: Any = start
    before, seen = [], []
    for _ in range(3):
        before = pair
        pair, last = run(pair)
        np.testing.assert_array_equal(last, pair[1])
        seen.append(last)
    assert all(array.is_deleted() for array in before)
    assert not any(array.is_deleted() for array in seen)
    first, second = start
    for _ in range(3):
        first = first / 2 + 1
        second = first + second
    np.testing.assert_allclose(pair[0], first, rtol=1e-6)
    np.testing.assert_allclose(pair[1], second, rtol=1e-6)


def test_stages_of_operations_are_the_best_of_all() -> None:
    """Against every choice, on random graphs of six operations and three stages."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        operations, kinds = [], []
        for number in range(6):
            kinds.append(jax.ShapeDtypeStruct((int(rng.integers(1, 9)),), np.float32))
            read = tuple(int(v) for v in np.flatnonzero(rng.random(number) < 0.5))
            stage = int(rng.integers(3)) if rng.random() < 0.5 else NONE
            operations.append(Operation(None, {}, read, (number,), stage))
        wanted = int(rng.integers(3))
        flat = Flat(kinds, operations, [], [5], {})

        def cost(stages: Any, flat: Flat = flat, wanted: int = wanted) -> float:
            total = 0.0
            for value, kind in enumerate(flat.kinds):
                readers = [stages[k] for k, o in enumerate(flat.operations) if value in o.inputs]
                readers += [wanted] if value == 5 else []
                own = stages[value]
                hops = max([own, *readers]) - own + own - min([own, *readers])
                total += 4 * kind.shape[0] * hops
            return total

        free = [range(3) if o.stage == NONE else [o.stage] for o in operations]
        least = min(map(cost, itertools.product(*free)))
        found = stages_of(flat, [], [wanted], 3)
        assert all(o.stage in (NONE, k) for o, k in zip(operations, found, strict=True))
        assert cost(found) == least
    assert SHARED not in found


def test_stages_cost_about_the_same() -> None:
    """Against every division into three."""
    network = liftax.mlp([16, 64, 8, 40, 24, 5])
    each = costs(network)
    best = min(
        max(sum(each[:a]), sum(each[a:b]), sum(each[b:]))
        for a, b in itertools.combinations(range(1, 5), 2)
    )
    found = list(node_stages(network, 3).values())
    sums = [sum(c for c, k in zip(each, found, strict=True) if k == stage) for stage in range(3)]
    assert found == sorted(found) and max(sums) == best
    # W and its transpose stay together.
    tied = node_stages(gradient_resnet(6, 4, 3), 3)
    assert len(set(tied.values())) == 3
    for node in gradient_resnet(6, 4, 3).nodes:
        assert tied[node.name] == tied[node.owner]


def test_auto_takes_stages_that_cost_about_the_same() -> None:
    """Batches that two devices cannot divide; four layers, of which the first costs most."""
    even, uneven = liftax.mlp([400, 399, 398, 397, 396]), liftax.mlp([900, 800, 700, 600, 500])
    assert busiest(uneven, 4) == pytest.approx(max(costs(uneven)) / sum(costs(uneven)) * 4)
    for network, samples, parts in ((even, 1009, 4), (even, 503, 2), (uneven, 503, 3)):
        energy = liftax.LiftedEnergy(network)
        fitting = functools.partial(divisible, energy, METHODS["jacobi"], samples)
        assert liftax.parallel.choose_placement(network, samples, fitting).layers == parts
        assert not divisible(energy, METHODS["sweep"], samples, 2)


def costs(network: Network) -> list[float]:
    """Of dense layers: products with weights and biases, and 16 for each activation."""
    widths = [network.input_shape[0], *(network.shapes[node.name][0] for node in network.nodes)]
    return [a * b + b + 16 * b for a, b in itertools.pairwise(widths)]


def test_what_stages_cannot_do_is_named() -> None:
    network, descent = NETWORKS["mlp"], METHODS["jacobi"]
    with pytest.raises(ValueError, match=r"into 8 parts, but the network has 4 nodes"):
        train(network, descent, (1, 8))
    with pytest.raises(ValueError, match="layers on stages are not divided further; use shar"):
        liftax.fit(network, data(network), descent, mesh=Placement(place((1, 2)), sharded=True))
    three = Mesh(np.array(jax.devices()).reshape(2, 2, 2), ("data", "layer", "copy"))
    with pytest.raises(ValueError, match='layers on stages take "data" and "layer" only'):
        liftax.fit(network, data(network), descent, mesh=three)
    search = ProximalGradient(Backtracking())
    method = liftax.BlockCoordinateDescent(order=Jacobi(), state_step=search)
    with pytest.raises(ValueError, match="step has a while over several stages; use steps of kno"):
        step_traffic(network, method, 16, Placement(place((1, 4))))


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_stages(tmp_path: Path) -> None:
    network, method = NETWORKS["cnn"], METHODS["red-black"]
    whole = train(network, method, None, epochs=8)
    for epochs, grid in ((3, (1, 4)), (6, (2, 2)), (8, None)):
        saved = liftax.Checkpoints(tmp_path, resume=True)
        found = train(network, method, grid, epochs=epochs, checkpoints=saved)
        assert found.steps == epochs
    assert distance(found.params, whole.params) < 1e-5


@pytest.mark.slow
def test_validation_and_prediction_with_stages() -> None:
    network, method = NETWORKS["cnn"], METHODS["contrastive"]
    more = {"epochs": 2, "validation": data(network)}
    whole = train(network, method, None, **more)
    turned = Mesh(np.array(jax.devices()).reshape(4, 2), ("layer", "data"))
    found = liftax.fit(network, data(network), method, mesh=turned, **SETTINGS, **more)
    for column in ("validation_loss", "validation_accuracy"):
        np.testing.assert_allclose(found.history[column], whole.history[column], rtol=2e-5)
    x, _ = data(network)
    np.testing.assert_allclose(found.predict(x), whole.predict(x), rtol=1e-4)


# Processes and their devices; samples over the processes, and layers: in order, and with two parts
# of the samples in each.
LAUNCHED = [
    *((n, "red-black", (2, 4), "8x1") for n in ("cnn", "resnet", "pnn")),
    ("cnn", "red-black", (2, 4), "2x4"),
    ("cnn", "red-black", (2, 2), "1x4"),
    ("cnn", "contrastive", (2, 4), "2x4'"),
    ("mlp", "red-black", (2, 4), "1x8"),
    ("mlp", "red-black", (4, 1), "2x2"),
    ("mlp", "sweep", (2, 2), "2x2'"),
    ("resnet", "red-black", (2, 4), "1x8"),
    ("resnet", "red-black", (2, 4), "2x4'"),
    ("resnet", "sweep", (2, 2), "1x4"),
    ("pnn", "red-black", (2, 4), "2x4'"),
    ("learnt", "sweep", (2, 2), "1x4"),
]


def launch(folder: Path, sizes: tuple[int, int], *arguments: str) -> None:
    script = Path(__file__).with_name("launched_layers.py")
    command = [sys.executable, "-m", "liftax.cli", "launch", "-n", f"{sizes[0]}"]
    command += ["--devices-per-process", f"{sizes[1]}", str(script), "--", str(folder)]
    subprocess.run([*command, *arguments], check=True, timeout=500)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "method", "sizes", "grid"), LAUNCHED)
def test_processes_divide_what_differs(
    tmp_path: Path, network: str, method: str, sizes: tuple[int, int], grid: str
) -> None:
    """From a checkpoint that each wrote its part of; as many bytes are passed on as are counted."""
    launch(tmp_path, sizes, network, method, grid)
    whole = launched_layers.train(network, method, 20)
    one, other = np.load(tmp_path / "found.npy"), launched_layers.flat(whole.params)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), launched_layers.rows(whole), 2e-5)
    passed, counted = np.load(tmp_path / "bytes.npy")
    assert (counted > 0) == (not grid.endswith("x1"))
    if grid.startswith("1x"):
        assert passed == counted


@pytest.mark.slow
def test_a_run_goes_on_with_stages_of_other_processes(tmp_path: Path) -> None:
    """Four stages in two processes, two in one, none, and four with samples divided in two."""
    launch(tmp_path, (2, 2), "cnn", "red-black", "1x4", "5")
    saved = liftax.Checkpoints(tmp_path / "saved", resume=True)
    launched_layers.train("cnn", "red-black", 10, mesh=place((1, 2)), checkpoints=saved)
    launched_layers.train("cnn", "red-black", 15, checkpoints=saved)
    launch(tmp_path, (2, 4), "cnn", "red-black", "2x4'", "20")
    whole = launched_layers.train("cnn", "red-black", 20)
    one, other = np.load(tmp_path / "found.npy"), launched_layers.flat(whole.params)
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), launched_layers.rows(whole), 2e-5)
