"""Equal layers as stacks: the same network, the same sweeps, a program that depth leaves alone."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax import blocks
from liftax.affine import AbstractAffine, Convolution, Dense, Normalisation, TransposedConvolution
from liftax.blocks import (
    Fixed,
    GaussSeidel,
    Jacobi,
    Lipschitz,
    Nesterov,
    ProximalGradient,
    RedBlack,
    StateBlock,
)
from liftax.networks import Network, Node, Stacking, chain, stack
from liftax.potentials import ElasticNet, GroupSoftThreshold, SoftThreshold
from liftax.training import Checkpoints
from liftax.training._stacking import layers
from tests.exporting.networks import drawn
from tests.helpers import compiled, quick


def pictures() -> Network:
    """Convolutions and transposed ones, learnt thresholds, norms of pixels."""
    nodes = [Node("layer1", Convolution(2), "identity", "input")]
    for j in range(2, 10, 2):
        soft, norms = SoftThreshold(0.1), GroupSoftThreshold(0.1, axis=-1)
        nodes.append(Node(f"layer{j}", Convolution(2), soft, nodes[-1].name, learn="threshold"))
        back = TransposedConvolution(2)
        nodes.append(Node(f"layer{j + 1}", back, norms, nodes[-1].name, learn="threshold"))
    return Network((*nodes, Node("layer10", Dense(3), "softmax", "layer9")), (4, 3, 1))


def normalised(shape: tuple[int, ...], affine: AbstractAffine, count: int) -> Network:
    """Maps with the batch's statistics behind them."""
    layers = [(affine, "identity"), (Normalisation(), "relu")] * count
    return chain(shape, [*layers, (Dense(3), "softmax")])


NETWORKS = {
    "chain": liftax.mlp([5, *[4] * 9, 3], activation="relu"),
    "shortcuts": liftax.resnet(5, 4, 9, 3, activation="tanh"),
    "tied": liftax.networks.gradient_resnet(4, 3, 8),
    "pictures": pictures(),
    "blocks of pictures": liftax.resnet((4, 3, 1), 2, 9, 3),
    "thresholds": liftax.networks.lista(5, 4, 10),
    "softmax": liftax.mlp([5, *[4] * 9, 3], activation="softmax"),
    "unrolled": liftax.networks.ddfb((4, 3, 1), 2, 10, group=True, interval=None),
    "normalised": chain(
        (5,), [(Dense(4), "identity"), (Normalisation(), "relu")] * 9 + [(Dense(3), "softmax")]
    ),
    "normalised pictures": chain(
        (4, 3, 2),
        [(Convolution(2), "identity"), (Normalisation(), "relu")] * 5 + [(Dense(3), "softmax")],
    ),
}
BLOCKS = [(name, 4) for name in ("a1", "u1", "a2", "u2")]
STACKED = {
    "chain": [("layer2", 4), ("layer3", 4)],
    "shortcuts": BLOCKS,
    "tied": BLOCKS,
    "pictures": [("layer2", 4), ("layer3", 4)],
    "blocks of pictures": BLOCKS,
    "thresholds": [(name, 4) for name in ("r1", "u2", "r2", "u3")],
    "softmax": [("layer2", 4), ("layer3", 4)],
    "unrolled": [(name, 4) for name in ("p1", "u2", "p2", "u3")],
    "normalised": [("layer2", 8), ("layer3", 8)],
    "normalised pictures": [("layer1", 5), ("layer2", 5)],
}
CHANNELS = liftax.resnet((5, 4, 1), 8, 9, 3)
LOOPED = {"pictures", "blocks of pictures", "unrolled", "normalised pictures"}
FAST = quick(NETWORKS, "chain", "shortcuts", "tied", "pictures", "normalised")


def found(network: Network) -> Stacking:
    stacking = stack(network)
    assert stacking is not None
    return stacking


def inputs(network: Network, samples: int = 6) -> tuple[Any, Any]:
    rng, shape = np.random.default_rng(1), network.shapes[network.output]
    x = rng.normal(size=(samples, *network.input_shape))
    return x, rng.dirichlet(np.ones(math.prod(shape)), samples).reshape(samples, *shape)


def close(one: dict, other: dict, rtol: float) -> None:
    assert one.keys() == other.keys()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol), one, other)


@pytest.mark.parametrize("name", FAST)
def test_the_stacked_network_is_the_network(name: str) -> None:
    network = NETWORKS[name]
    stacking = found(network)
    assert [(n.name, n.copies) for n in stacking.network.nodes if n.copies] == STACKED[name]
    params, (x, _) = drawn(network, np.float64), inputs(network)
    in_stages = stack(network, stages=2) or stacking
    assert (in_stages is stacking) == (name in LOOPED)

    @compiled
    def passes(params: dict) -> tuple[dict, ...]:
        joined = stacking.stacked(params)
        plain = network.forward(params, x)
        states, z = stacking.network.forward(joined, x)
        again = {n: in_stages.network.preactivation(joined, states, n) for n in z}
        staged = in_stages.network.forward(joined, x)
        apart = map(stacking.unstacked_states, (states, z, again, *staged))
        return stacking.unstacked(joined), *plain, *apart

    same, states, z, of_stacks, z_of_stacks, again, staged, z_staged = passes(params)
    assert jax.tree.all(jax.tree.map(np.array_equal, same, params))
    close(of_stacks, states, 1e-12)
    close(staged, states, 1e-12)
    for other in (z_of_stacks, again, z_staged):
        close(other, z, 1e-12)


FIXED, TRIED = ProximalGradient(Fixed(0.1)), ProximalGradient(blocks.Backtracking(), Nesterov())
CASES = [
    ("normalised", GaussSeidel(), FIXED),
    ("pictures", RedBlack(), FIXED),
    ("normalised pictures", RedBlack(), TRIED),
    *[(name, Jacobi(), FIXED) for name in ("blocks of pictures", "thresholds", "softmax")],
    *[(name, GaussSeidel(), FIXED) for name in ("pictures", "blocks of pictures", "softmax")],
    ("pictures", Jacobi(), TRIED),
    ("thresholds", GaussSeidel(), TRIED),
]


@pytest.mark.parametrize(
    ("name", "order", "step"),
    [
        ("chain", RedBlack(), ProximalGradient(Lipschitz(power_iterations=60))),
        ("tied", Jacobi(), ProximalGradient(Fixed(0.1), Nesterov())),
        ("chain", GaussSeidel(), ProximalGradient(Fixed(0.1))),
        *[pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
    ],
)
def test_sweeps_over_stacks_are_sweeps_over_layers(name, order, step) -> None:
    method = liftax.BlockCoordinateDescent(order=order, state_step=step, parameter_step=step)
    one, other, stacking = stepped(NETWORKS[name], method)
    # Start vectors of power iterations differ.
    close(stacking.unstacked(other[0]), one[0], 1e-5 if name == "chain" else 1e-9)
    close(stacking.unstacked_states(other[1].hidden), one[1].hidden, 1e-9)


def stepped(network: Network, method: Any) -> tuple:
    """Parameters and state after three steps, of the network and of its stacks; the stacking."""
    energy = liftax.LiftedEnergy(network)
    both = energy.stacked()
    assert both is not None
    other, stacking = both
    plain = energy.network.init(jax.random.key(0), jnp.float64)
    x, y = inputs(energy.network)
    ends = []
    for one, params in ((energy, plain), (other, stacking.stacked(plain))):
        state = jax.jit(lambda p, one=one: method.init(one, p, x, y, jax.random.key(3)))(params)
        move = jax.jit(lambda params, state, one=one: method.step(one, params, state, x, y))
        for _ in range(3):
            params, state, *_ = move(params, state)
        ends.append((params, state))
    return *ends, stacking


def probes_of(network: Network) -> Any:
    return lambda: blocks.state_probes(network, jax.random.key(4), jnp.float64, network.hidden)


@pytest.mark.parametrize("name", FAST)
def test_constants_of_stacks_are_those_of_their_layers(name: str) -> None:
    energy = liftax.LiftedEnergy(NETWORKS[name])
    both = energy.stacked()
    assert both is not None
    other, stacking = both
    params, (x, y) = drawn(energy.network, np.float64), inputs(energy.network)
    rng = np.random.default_rng(0)
    starts = [
        {edge: rng.normal(size=probe.shape) for edge, probe in shapes.items()}
        for one in (energy, other)
        for shapes in (jax.eval_shape(probes_of(one.network)),)
    ]
    by_end = {edge.split("->")[1]: probe for edge, probe in starts[0].items()}
    for edge in starts[1]:
        name, slot = edge.split("->")[1].rsplit(".", 1)
        if name in stacking.copies:
            # The first copy may read what is in no block.
            own, blank = stacking.copies[name], starts[1][edge][0]
            starts[1][edge] = np.stack([by_end.get(f"{n}.{slot}", blank) for n in own])
        else:
            starts[1][edge] = by_end[f"{name}.{slot}"]
    constants = []
    thetas = params, stacking.stacked(params)
    for one, theta, probes in zip((energy, other), thetas, starts, strict=True):

        @jax.jit
        def found_at(theta: dict, probes: dict, one: liftax.LiftedEnergy = one) -> dict:
            group = one.network.hidden
            states, z, _ = one.clamp(x, y, theta)
            return StateBlock(one, theta, states, z, group).curvature(probes, 3)[0]

        constants.append(found_at(theta, probes))
    apart = {
        own: value.reshape(-1)[place]
        for name, value in constants[1].items()
        for place, own in enumerate(stacking.copies.get(name, (name,)))
    }
    close(apart, constants[0], 1e-9)


@pytest.mark.parametrize("name", quick(("normalised", "normalised pictures", "read"), "normalised"))
def test_statistics_of_stacks_are_those_of_their_layers(name: str) -> None:
    layers = [(Dense(4), "relu")] * 8 + [(Normalisation(), "relu"), (Dense(3), "softmax")]
    network = NETWORKS[name] if name in NETWORKS else chain((4,), layers)
    stacking, params, (x, _) = found(network), drawn(network, np.float64), inputs(network)

    @jax.jit
    def renewed(params: dict) -> tuple[dict, dict]:
        new = network.with_statistics(params, x)
        joined = stacking.stacked(params)
        there = stacking.network.with_statistics(joined, x)
        both = network.averaged(params, new), stacking.network.averaged(joined, there)
        return {"new": new, "mean": both[0]}, {
            "new": stacking.unstacked(there),
            "mean": stacking.unstacked(both[1]),
        }

    one, other = renewed(params)
    close(other, one, 1e-12)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), one["new"], params)
    assert {field for node in moved.values() for field in node if node[field]} == {
        "mean",
        "variance",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shortcuts", "tied"])
@pytest.mark.parametrize("step", [Lipschitz(power_iterations=60), blocks.Backtracking()])
def test_copies_are_met_as_layers_are(name: str, step: blocks.AbstractStepSize) -> None:
    method = liftax.BlockCoordinateDescent(
        order=GaussSeidel(),
        state_step=ProximalGradient(step, Nesterov()),
        parameter_step=ProximalGradient(Fixed(0.1)),
        multipliers=liftax.methods.ADMM(),
    )
    one, other, stacking = stepped(NETWORKS[name], method)
    close(stacking.unstacked(other[0]), one[0], 1e-9)
    close(stacking.unstacked_states(other[1].hidden), one[1].hidden, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pictures", "thresholds"])
@pytest.mark.parametrize("order", [Jacobi(), GaussSeidel()])
def test_contrastive_steps_through_stacks_are_those_of_layers(name, order) -> None:
    method = liftax.Contrastive(optax.sgd(0.1), inner=3, order=order, state_step=FIXED)
    one, other, stacking = stepped(NETWORKS[name], method)
    close(stacking.unstacked(other[0]), one[0], 1e-9)


@pytest.mark.parametrize(
    "method",
    [
        liftax.Contrastive(optax.sgd(0.1), order=Jacobi()),
        liftax.Contrastive(optax.sgd(0.1)),
        liftax.OneSweep(optax.sgd(0.1)),
        liftax.BackPropagation(optax.sgd(0.1)),
    ],
)
def test_the_program_does_not_grow_with_depth(method: Any) -> None:
    def equations(depth: int) -> int:
        both = liftax.LiftedEnergy(liftax.mlp([5, *[4] * depth, 3])).stacked()
        assert both is not None
        energy = both[0]
        params = jax.eval_shape(
            lambda key: energy.network.init(key, jnp.float64), jax.random.key(0)
        )
        x, y = jnp.zeros((6, 5)), jnp.zeros((6, 3))

        def step(params: dict) -> dict:
            state = method.init(energy, params, x, y, jax.random.key(0))
            return method.step(energy, params, state, x, y).params

        return str(jax.make_jaxpr(step)(params)).count(" = ")

    assert equations(12) == equations(40)


def test_a_run_with_stacks_speaks_of_layers(tmp_path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 5)).astype(np.float32)
    data = (x, (x[:, 0] > 0).astype(np.int64))
    network = liftax.mlp([5, *[4] * 9, 2])
    method = liftax.Contrastive(optax.sgd(0.1), inner=2, order=RedBlack())
    seen = []

    def run(epochs: int, **more) -> liftax.Result:
        return liftax.fit(network, data, method, epochs=epochs, batch_size=8, stack=True, **more)

    whole = run(2, callback=lambda history, params: seen.append(params.keys()))
    names = [node.name for node in network.nodes]
    assert list(whole.params) == names and set(seen[0]) == set(names)
    assert {f"energy/{name}" for name in names} < whole.history.last.keys()
    assert {f"gap/{name}" for name in names[:-1]} < whole.history.last.keys()
    np.testing.assert_array_equal(whole.predict(x), jax.jit(network.__call__)(whole.params, x))
    run(1, checkpoints=Checkpoints(tmp_path))
    resumed = run(2, checkpoints=Checkpoints(tmp_path, resume=True))
    one, other = jax.device_get((resumed.params, whole.params))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "learnt"),
    [
        ("thresholds", ("u9.potential", "threshold", 0.1)),
        ("normalised", ("layer8", "mean", 0)),
        ("normalised pictures", ("layer8", "variance", 1)),
    ],
)
def test_a_run_learns_what_layers_of_stacks_have(name: str, learnt: tuple, tmp_path) -> None:
    network, data = NETWORKS[name], inputs(NETWORKS[name])
    method = liftax.BlockCoordinateDescent(
        order=Jacobi(), state_step=FIXED, parameter_step=ProximalGradient(Fixed(0.3))
    )

    def run(epochs: int, stack: bool = True, **more) -> liftax.Result:
        return liftax.fit(network, data, method, epochs=epochs, stack=stack, **more)

    whole, apart = run(4), run(4, stack=False)
    assert whole.params.keys() == apart.params.keys()
    close(whole.params, apart.params, 1e-5)
    node, field, start = learnt
    assert np.max(np.abs(whole.params[node][field] - start)) > 1e-5
    run(2, checkpoints=Checkpoints(tmp_path))
    resumed = run(4, checkpoints=Checkpoints(tmp_path, resume=True))
    one, other = jax.device_get((resumed.params, whole.params))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, other))


@pytest.mark.parametrize(
    ("network", "method", "stacks"),
    [
        (NETWORKS["chain"], liftax.BlockCoordinateDescent(order=RedBlack()), True),
        (NETWORKS["chain"], liftax.BlockCoordinateDescent(), False),
        (liftax.mlp([5, *[4] * 66, 3]), liftax.BlockCoordinateDescent(), True),
        (NETWORKS["chain"], liftax.Contrastive(optax.sgd(0.1), order=Jacobi()), False),
        (NETWORKS["unrolled"], liftax.BlockCoordinateDescent(order=Jacobi()), False),
        (CHANNELS, liftax.BlockCoordinateDescent(order=Jacobi()), False),
        (liftax.resnet((5, 4, 1), 8, 37, 3), liftax.BlockCoordinateDescent(order=Jacobi()), True),
        (CHANNELS, liftax.BlockCoordinateDescent(), False),
        (CHANNELS, liftax.Contrastive(optax.sgd(0.1), order=RedBlack()), False),
    ],
)
def test_stacks_are_the_default_where_they_pay(network, method, stacks) -> None:
    energy = liftax.LiftedEnergy(network)
    assert (layers(energy, method, None, None)[1].stacking is not None) == stacks


def test_what_is_no_stack() -> None:
    def layers(**more) -> Network:
        nodes = [Node("layer0", liftax.affine.Dense(4), "relu", "input")]
        nodes += [
            Node(f"layer{j}", liftax.affine.Dense(4), SoftThreshold(0.1), f"layer{j - 1}", **more)
            for j in range(1, 10)
        ]
        return Network(tuple(nodes), (4,))

    assert stack(layers()) is not None
    assert stack(layers(), least=5) is None
    pulled = liftax.LiftedEnergy(layers(), regularisers={"layer4": ElasticNet(0.1, 0.1)})
    assert pulled.stacked() is None
    weighted = liftax.LiftedEnergy(layers(), weights={"layer4": 2.0})
    assert weighted.stacked() is None


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (liftax.Chunked(liftax.OneSweep(optax.sgd(0.1)), 2), "the orders GaussSeidel"),
        (liftax.OneSweep(optax.sgd(0.1), metric=blocks.Implicit()), "closed"),
        (liftax.BackPropagation(optax.sgd(0.1), segments=3), "segments"),
        (liftax.BlockCoordinateDescent(order=Jacobi(), parameter_step=blocks.Solve()), "closed"),
        (liftax.BlockCoordinateDescent(interleaved=True), "interleaved"),
        (liftax.BlockCoordinateDescent(multipliers=liftax.methods.DualAscent()), "of its own"),
    ],
)
def test_stacks_that_cannot_be_are_refused(method, why) -> None:
    network, data = liftax.mlp([5, *[4] * 10, 2]), (np.zeros((8, 5)), np.zeros(8, int))
    with pytest.raises(ValueError, match=f"stack=True, but .*{why}"):
        liftax.fit(network, data, method, stack=True)
    stacking = found(network)
    implicit = liftax.OneSweep(optax.sgd(0.1), metric=blocks.Implicit())
    with pytest.raises(ValueError, match="has stacks, and the metric Implicit"):
        liftax.fit(stacking.network, data, implicit)
