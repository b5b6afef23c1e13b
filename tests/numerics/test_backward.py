"""Signals through stacks: the gradients of one sweep and of back-propagation are the layers'."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

import liftax
from liftax import penalties
from liftax.affine import Dense, Identity, Sum
from liftax.networks import Network, Node, Stacking, ddfb, fixed
from liftax.potentials import ElasticNet, SoftThreshold
from liftax.training import Checkpoints
from liftax.training._optimisers import layerwise
from liftax.training._stacking import layers
from tests.exporting.networks import drawn
from tests.helpers import compiled
from tests.numerics.test_stack import NETWORKS, close, found, inputs

ROWS = {
    **NETWORKS,
    "clipped": ddfb((4, 3, 1), 2, 10),
    "fixed thresholds": fixed(ddfb((4, 3, 1), 2, 10, interval=None)),
}
SGD = optax.sgd(0.1)
PLAIN = ("chain", None, {})
CASES = [
    *[(name, None, {}) for name in ROWS],
    *[(n, None, {"undamped": False}) for n in ("chain", "shortcuts", "thresholds", "unrolled")],
    *[(n, None, {"mirror": True}) for n in ("shortcuts", "tied", "thresholds", "softmax")],
    *[(n, penalties.Lifted(), {}) for n in ("shortcuts", "pictures", "thresholds")],
    *[(n, penalties.Quadratic(), {}) for n in ("shortcuts", "blocks of pictures", "thresholds")],
]


def both(network: Network, **more: Any) -> tuple[liftax.LiftedEnergy, liftax.LiftedEnergy, Any]:
    """The energy, the same with stacks, the stacking."""
    energy = liftax.LiftedEnergy(network, **more)
    stacked = energy.stacked()
    assert stacked is not None
    return energy, *stacked


def compare(energies: tuple, method: Any) -> None:
    """Gradients, losses and states of both energies."""
    energy, other, stacking = energies
    params, (x, y) = drawn(energy.network, np.float64), inputs(energy.network)

    def evaluated(one: liftax.LiftedEnergy, params: dict) -> Any:
        done = method.evaluate(one.at(params), params, (), x, y)
        return done.gradient, method.states(one, params, None, x, y), done.loss

    @compiled
    def run(params: dict) -> Any:
        gradient, states, loss = evaluated(other, stacking.stacked(params))
        states = tuple(map(stacking.unstacked_states, states))
        return evaluated(energy, params), (stacking.unstacked(gradient), states, loss)

    (gradient, states, loss), (same, moved, value) = run(params)
    close(same, gradient, 1e-11)
    for one, two in zip(moved, states, strict=True):
        close(one, two, 1e-11)
    assert value == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "penalty", "more"),
    [c if c == PLAIN else pytest.param(*c, marks=pytest.mark.slow) for c in CASES],
)
def test_one_sweep_through_stacks_is_that_through_layers(name, penalty, more) -> None:
    method = liftax.OneSweep(SGD, step_size=0.7, nudge=0.5, **more)
    compare(both(ROWS[name], penalty=penalty), method)


@pytest.mark.slow
@pytest.mark.parametrize("mirror", [False, True])
def test_weights_and_activity_terms_of_stacks(mirror: bool) -> None:
    names = [node.name for node in NETWORKS["chain"].nodes[1:-1]]
    activity = {} if mirror else {name: SoftThreshold(0.05) for name in names}
    energies = both(NETWORKS["chain"], weights=dict.fromkeys(names, 0.4), activity=activity)
    compare(energies, liftax.OneSweep(SGD, step_size=0.7, nudge=0.5, mirror=mirror))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ROWS))
def test_back_propagation_through_stacks_is_that_through_layers(name: str) -> None:
    compare(both(ROWS[name]), liftax.BackPropagation(SGD))


@pytest.mark.slow
def test_layers_with_regularisers_stay_apart() -> None:
    """A step with their prox, where another run of layers is a stack."""
    regularisers = {f"layer{j}": ElasticNet(0.3, 0.1) for j in range(1, 10)}
    network = liftax.mlp([5, *[4] * 20, 3])
    energy, other, stacking = both(network, regularisers=regularisers)
    assert all(name not in stacking.copies for name in regularisers)
    method = liftax.OneSweep(SGD, proximal_step=0.1)
    params, (x, y) = drawn(network, np.float64), inputs(network)

    @compiled
    def moved(params: dict) -> tuple[dict, dict]:
        ends = []
        for one, theta in ((energy, params), (other, stacking.stacked(params))):
            state = method.init(one, theta, x, y, jax.random.key(0))
            ends.append(method.step(one, theta, state, x, y).params)
        return ends[0], stacking.unstacked(ends[1])

    one, two = moved(params)
    close(two, one, 1e-11)


def classes(network: Network) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, *network.input_shape)).astype(np.float32)
    return x, (x.reshape(24, -1)[:, 0] > 0).astype(np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [liftax.OneSweep, liftax.BackPropagation])
def test_a_run_through_stacks_is_the_run_through_layers(kind, tmp_path, lenient) -> None:
    network = liftax.mlp([5, *[4] * 9, 2])

    def run(epochs: int, stack: bool = True, **more) -> liftax.Result:
        method = kind(optax.adam(1e-2))
        return liftax.fit(
            network, classes(network), method, epochs=epochs, batch_size=8, stack=stack, **more
        )

    whole, apart = run(3), run(3, stack=False)
    assert list(whole.params) == [node.name for node in network.nodes]
    assert whole.history.last.keys() == apart.history.last.keys()
    close(whole.params, apart.params, 1e-4)
    run(1, checkpoints=Checkpoints(tmp_path))
    resumed = run(3, checkpoints=Checkpoints(tmp_path, resume=True))
    one, other = jax.device_get((resumed.params, whole.params))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, other))


@pytest.fixture
def lenient() -> Any:
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam is not strict
        yield


DEEP = liftax.mlp([5, *[4] * 34, 3])


@pytest.mark.parametrize(
    ("network", "method", "stacks"),
    [
        (DEEP, liftax.OneSweep(SGD), True),
        (NETWORKS["chain"], liftax.OneSweep(SGD), False),
        (liftax.mlp([5, *[128] * 40, 3]), liftax.OneSweep(SGD), False),
        (liftax.resnet((5, 4, 1), 8, 18, 3), liftax.BackPropagation(SGD), False),
        pytest.param(DEEP, liftax.BackPropagation(SGD), True, marks=pytest.mark.slow),
        pytest.param(DEEP, liftax.OneSweep(optax.lamb(1e-3)), False, marks=pytest.mark.slow),
    ],
)
def test_deep_networks_are_stacks_by_default(network, method, stacks, lenient) -> None:
    energy = liftax.LiftedEnergy(network)
    assert (layers(energy, method, None, None)[1].stacking is not None) == stacks


def stepped(optimiser: Any, stacking: Stacking) -> tuple[dict, dict]:
    """Parameters after steps against the gradient, of layers and of stacks."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(stacking.plain.init, jax.random.key(0))
    plain, slopes = (
        jax.tree.map(lambda leaf: np.float32(rng.normal(size=leaf.shape)), shapes) for _ in range(2)
    )
    ends = []
    for theta, slope in ((plain, slopes), tuple(map(stacking.stacked, (plain, slopes)))):
        state = optimiser.init(theta)
        for _ in range(8):
            updates, state = jax.jit(optimiser.update)(slope, state, theta)
            theta = optax.apply_updates(theta, updates)
        ends.append(theta)
    return ends[0], stacking.unstacked(ends[1])


def of_matrices(params: dict) -> dict:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


OPTIMISERS = {
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2)),
    "warmed up": optax.sgd(optax.linear_schedule(0.0, 1e-2, 1000), momentum=0.9),
    "gathered": optax.MultiSteps(optax.lion(1e-2), 4).gradient_transformation(),
    "lamb": optax.lamb(1e-2),
    "blocks": optax.chain(optax.clip_by_block_rms(0.1), optax.sgd(1e-2)),
    "matrices": optax.adamw(1e-2, weight_decay=1e-3, mask=of_matrices),
    "factors": optax.chain(
        optax.scale_by_factored_rms(min_dim_size_to_factor=4), optax.scale(-1e-2)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_that_know_layers_are_found(name: str, lenient) -> None:
    """What is said of an optimiser is what its steps are."""
    stacking = found(liftax.mlp([5, *[4] * 9, 3]))
    one, other = stepped(OPTIMISERS[name], stacking)
    moved = jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), one, other))
    assert layerwise(liftax.OneSweep(OPTIMISERS[name]), stacking) == (max(moved) > 1e-5)


@pytest.mark.slow
def test_an_optimiser_that_names_layers_keeps_them() -> None:
    network = liftax.mlp([5, *[4] * 9, 2])
    mask = {node.name: node.name != "layer5" for node in network.nodes}
    method = liftax.OneSweep(optax.masked(SGD, mask))
    assert layerwise(method, found(network))
    with pytest.raises(ValueError, match="stack=True, but the optimiser would take other steps"):
        liftax.fit(network, classes(network), method, stack=True)


def test_a_layer_read_in_the_middle_of_a_run() -> None:
    nodes = [Node("layer1", Dense(4), "relu", "input")]
    nodes += [Node(f"layer{j}", Dense(4), "relu", f"layer{j - 1}") for j in range(2, 12)]
    read = Node("sum", Sum((Identity(), Identity())), "relu", ("layer5", "layer11"))
    network = Network((*nodes, read, Node("out", Dense(2), "softmax", "sum")), (5,))
    method = liftax.OneSweep(SGD)
    with pytest.raises(ValueError, match="stack=True, but a node reads a layer in the middle"):
        liftax.fit(network, classes(network), method, stack=True)
    stacked = found(network).network
    with pytest.raises(ValueError, match="no sweep can go from copy to copy"):
        liftax.fit(stacked, classes(network), method)
