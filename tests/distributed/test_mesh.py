"""A mesh changes where arrays lie, and nothing else."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

import liftax
from liftax import Placement
from liftax.blocks import Implicit
from liftax.networks import Network, ddfb, fixed
from liftax.training import load_model, step_traffic
from liftax.training._traffic import step_program, traffic

SAMPLES, STEPS = 32, 20
ADAM = optax.adam(1e-3)
# Adam divides gradients by their size, rounding's too where there is nothing else.
SGD = optax.sgd(0.01, momentum=0.9)
METHODS = {
    "sweep": liftax.OneSweep(ADAM),
    "backward": liftax.BackPropagation(ADAM),
    "bcd": liftax.BlockCoordinateDescent(),
    "implicit": liftax.ImplicitSGD(1.0, inner=2),
    "contrastive": liftax.Contrastive(SGD, inner=2),
}
ON_IMAGES = {**METHODS, "sweep": liftax.OneSweep(SGD), "backward": liftax.BackPropagation(SGD)}
NETWORKS = {
    "mlp": liftax.mlp([16, 64, 5]),
    "cnn": liftax.cnn((8, 8, 1), [3, 4], [6], 5),
    "resnet": liftax.resnet(16, 8, 2, 5),
    "pnn": fixed(ddfb((8, 8, 1), 3, 2)),
}
CASES = [(n, m, d) for n in NETWORKS for m in METHODS for d in (1, 2, 4, 8)]
FAST = [("mlp", "sweep", 4)]


def mesh(devices: int) -> Mesh:
    return Mesh(np.array(jax.devices()[:devices]), ("data",))


def data(network: Network) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(SAMPLES, *network.input_shape)).astype(np.float32)
    if network.shapes[network.output] == (5,):
        return x, rng.integers(0, 5, SAMPLES)
    return x, np.clip(x + rng.normal(0, 0.1, x.shape), 0, 1).astype(np.float32)


def train(network: Network, method: Any, where: Any, **more: Any):
    """20 steps."""
    epochs = STEPS if method.full_batch else STEPS // (SAMPLES // 16)
    settings = {"epochs": epochs, "batch_size": 16, "progress": False, "mesh": where, **more}
    return liftax.fit(network, data(network), method, **settings)


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(flat(a) - flat(b)) / np.linalg.norm(flat(b)))


_WHOLE: dict[tuple[str, str], Any] = {}


@pytest.mark.parametrize(
    ("network", "method", "devices"),
    [c if c in FAST else pytest.param(*c, marks=pytest.mark.slow) for c in CASES],
)
def test_the_same_parameters_on_any_number_of_devices(
    network: str, method: str, devices: int
) -> None:
    chosen = (ON_IMAGES if network == "pnn" else METHODS)[method]
    if (network, method) not in _WHOLE:
        _WHOLE[network, method] = train(NETWORKS[network], chosen, None)
    whole = _WHOLE[network, method]
    found = train(NETWORKS[network], chosen, mesh(devices))
    assert found.steps == whole.steps == STEPS
    assert distance(found.params, whole.params) < 1e-5
    for column in ("loss", "energy"):
        np.testing.assert_allclose(found.history[column], whole.history[column], rtol=2e-5)
    assert found.placement is not None and found.placement.parts == devices


@pytest.mark.slow
@pytest.mark.parametrize("method", [liftax.SAGA, liftax.PIAG])
def test_aggregated_gradients_are_those_of_one_device(method: Any) -> None:
    chosen = method(liftax.BackPropagation(SGD), 8)
    whole, found = (train(NETWORKS["mlp"], chosen, where, epochs=5) for where in (None, mesh(4)))
    assert distance(found.params, whole.params) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_divided_parameters_take_the_same_steps(method: str) -> None:
    """Large enough to be divided: 64 x 128 weights and their moments, each in four parts."""
    network = liftax.mlp([64, 128, 5])
    whole = train(network, METHODS[method], None)
    found = train(network, METHODS[method], Placement(mesh(4), sharded=True))
    assert distance(found.params, whole.params) < 1e-5
    weight = found.params["layer1"]["weight"]
    assert {shard.data.shape for shard in weight.addressable_shards} == {(64, 32)}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bcd", "sweep"])
def test_divided_parameters_of_several_processes(tmp_path: Path, method: str) -> None:
    """Two processes with two and with four devices, from each other's and one's checkpoints."""

    def launch(name: str, sizes: tuple[int, int], *arguments: str) -> str:
        script, (processes, devices) = Path(__file__).with_name("launched_sharded.py"), sizes
        command = [sys.executable, "-m", "liftax.cli", "launch", "-n", str(processes)]
        command += ["--devices-per-process", str(devices), str(script), "--"]
        command += [str(tmp_path / name), method, *arguments]
        return subprocess.run(
            command, check=True, timeout=200, capture_output=True, text=True
        ).stdout

    def found(name: str) -> Any:
        return load_model(tmp_path / name / "model.safetensors")[0]

    launch("whole", (1, 1), "whole", "10")
    said = launch("parts", (2, 2), "sharded", "4")
    assert "'data'" in said
    launch("parts", (2, 4), "sharded", "7")
    launch("parts", (1, 4), "sharded", "10")
    assert distance(found("parts"), found("whole")) < 1e-5
    launch("other", (1, 2), "whole", "4")
    launch("other", (2, 2), "sharded", "10")
    assert distance(found("other"), found("whole")) < 1e-5


def test_divided_parameters_are_gathered_for_use_and_gradients_summed_to_their_place() -> None:
    network = liftax.mlp([64, 128, 5])
    sent = step_traffic(network, METHODS["sweep"], 256, Placement(mesh(4), sharded=True))
    assert sent.gathered == 4 * 64 * 128


@pytest.mark.parametrize("method", ["sweep", "bcd"])
def test_a_step_leaves_every_array_where_it_was(method: str) -> None:
    """The state after one step lies as after none but the first, U in the devices' parts."""
    place = Placement(mesh(4))
    ends = [train(NETWORKS["mlp"], METHODS[method], place, epochs=n) for n in (1, 2)]
    where = [jax.tree.map(lambda a: a.sharding, (r.params, r.state)) for r in ends]
    assert where[0] == where[1]
    assert all(leaf.sharding == place.everywhere for leaf in jax.tree.leaves(ends[1].params))
    if method == "bcd":
        (hidden,) = ends[1].state.hidden.values()
        assert hidden.sharding == place.samples()
        assert {shard.data.shape for shard in hidden.addressable_shards} == {(8, 64)}


def numbers(network: Network) -> int:
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize("method", ["sweep", pytest.param("backward", marks=pytest.mark.slow)])
def test_a_gradient_step_sends_a_gradient_and_two_numbers(method: str) -> None:
    """The formula of docs/scaling.md: the gradient, loss and accuracy are summed, no more."""
    network = liftax.mlp([16, 12, 8, 5])
    sent = step_traffic(network, METHODS[method], 32, Placement(mesh(4)))
    assert sent == (4 * (numbers(network) + 2), 0, 0, 0, 0, 0)


def test_block_descent_sends_its_probes_as_well_and_never_u() -> None:
    """A probe of each layer has its weights for one output channel and one bias."""
    widths = [16, 12, 8, 5]
    network = liftax.mlp(widths)
    sent = step_traffic(network, METHODS["bcd"], 32, Placement(mesh(4)))
    probes = sum(n + 1 for n in widths[:-1])
    assert sent == (4 * (numbers(network) + probes + 2), 0, 0, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_program_gathers_activations(network: str, method: str) -> None:
    program = step_program(NETWORKS[network], METHODS[method], 32, Placement(mesh(4)))
    sent = traffic(program)
    assert sent.reduced > 0
    assert sent[1:] == (0, 0, 0, 0, 0)


@pytest.mark.slow
def test_an_implicit_metric_gathers_what_its_gram_matrix_needs() -> None:
    """A batch of fewer samples than columns has its Gram matrix among samples."""
    method = liftax.OneSweep(ADAM, metric=Implicit(1.0))
    network = liftax.mlp([64, 40, 5])
    sent = step_traffic(network, method, 32, Placement(mesh(4)))
    assert 0 < sent.gathered <= 4 * 32 * (64 + 40 + 32 + 32)
    whole = train(network, method, None)
    assert distance(train(network, method, mesh(4)).params, whole.params) < 1e-4


def test_bytes_are_read_off_a_program() -> None:
    text = """
    %a = (f32[128,64]{1,0}, f32[], /*index=2*/bf16[3]{0}) all-reduce(%x, %y, %z), channel_id=1
    %b = f64[2,3]{1,0} all-gather(%x), dimensions={0}
    %c = f32[5]{0} collective-permute(%x), source_target_pairs={{0,1}}
    %d = f32[7]{0} get-tuple-element(%all-reduce.1), index=0
    %e = f32[9]{0} reduce-scatter(%x), dimensions={0}
    """
    assert traffic(text) == (4 * 128 * 64 + 4 + 6, 36, 48, 20, 0, 0)


@pytest.mark.slow
def test_streams_batches_and_noise_are_divided_too() -> None:
    network, method = NETWORKS["mlp"], METHODS["sweep"]
    x, y = data(network)

    def noisy(key, x, y):
        return x + 0.1 * jax.random.normal(key, x.shape, x.dtype), y

    whole = train(network, method, None, transform=noisy)
    streamed = train(network, method, mesh(4), transform=noisy, stream=16)
    assert distance(streamed.params, whole.params) < 1e-5
    batches = [(x[:16], y[:16]), (x[16:], y[16:])]
    ends = [
        liftax.fit(network, batches, method, epochs=2, progress=False, mesh=where)
        for where in (None, mesh(2))
    ]
    assert distance(ends[1].params, ends[0].params) < 1e-5


@pytest.mark.slow
def test_other_axes_hold_copies() -> None:
    both = Mesh(np.array(jax.devices()).reshape(4, 2), ("data", "copy"))
    whole = train(NETWORKS["mlp"], METHODS["bcd"], None, epochs=2)
    found = train(NETWORKS["mlp"], METHODS["bcd"], both, epochs=2)
    assert distance(found.params, whole.params) < 1e-5
    assert jax.tree.leaves(found.state.hidden)[0].sharding.spec == PartitionSpec("data")


def test_auto_says_what_it_chose_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    """16 samples are too few to divide: 16 products with each parameter are worth one device."""
    network = NETWORKS["mlp"]
    found = train(network, METHODS["sweep"], "auto", progress=None, epochs=1)
    assert found.placement is not None and found.placement.parts == 1
    assert capsys.readouterr().err == f"liftax: {found.placement.why}\n"
    assert "1 of 8 devices: 16 of 16 samples and 16 products" in found.placement.why
    chosen = liftax.parallel.choose_placement(network, 128)
    assert chosen.parts == 8 and not chosen.sharded
    assert liftax.parallel.choose_placement(network, 7 * 128).parts == 8
    # A kernel meets many positions, so that few samples are enough work.
    assert liftax.parallel.choose_placement(NETWORKS["cnn"], 16).parts > 1


def test_misuse_is_named() -> None:
    network, method = NETWORKS["mlp"], METHODS["sweep"]
    with pytest.raises(ValueError, match=r"mesh: 16 samples cannot be divided among 3 dev.* 15"):
        train(network, method, mesh(3))
    with pytest.raises(ValueError, match=r"mesh has the axes \('x',\), none of them \"data\""):
        train(network, method, Mesh(np.array(jax.devices()), ("x",)))
    with pytest.raises(ValueError, match=r"mesh must be .* got 3"):
        train(network, method, 3)
    with pytest.raises(ValueError, match="batch_size: 3 samples cannot be divided among 2"):
        step_traffic(network, method, 3, Placement(mesh(2)))
    # Every second device of each of two processes.
    devices = np.array([SimpleNamespace(process_index=k % 2) for k in range(4)])
    mixed: Any = SimpleNamespace(mesh=SimpleNamespace(devices=devices, axis_names=("data",)))
    with pytest.raises(ValueError, match=r"the devices of process 0 in the places \[0, 2\] of its"):
        Placement.check_rows(mixed)
