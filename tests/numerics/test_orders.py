"""Orders of the state updates, and parameters that move in between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import BlockCoordinateDescent, LiftedEnergy, Node, mlp, resnet, split
from liftax._iterate import repeat
from liftax.affine import Dense, Sum
from liftax.blocks import (
    AbstractOrder,
    EssentiallyCyclic,
    Fixed,
    GaussSeidel,
    GaussSouthwell,
    Jacobi,
    Nesterov,
    ParameterBlock,
    ProximalGradient,
    Random,
    RedBlack,
    StateBlock,
    Sweep,
    move_group,
    start_sweeps,
    sweep_states,
    woken,
)
from liftax.blocks._step import Memory
from liftax.networks import INPUT, Network
from liftax.penalties import Quadratic
from liftax.potentials import SoftThreshold
from tests.helpers import compiled

from .graphs import clamped, example, moved, perceptrons, residual
from .problems import assert_descends, energies

STEP = ProximalGradient(Fixed(0.3))


def swept(order: AbstractOrder, energy: LiftedEnergy, params, states, sweeps: int = 1, key=None):
    """The activations after some sweeps of Fixed steps."""
    z, key = energy.preactivations(params, states), jax.random.key(5) if key is None else key
    memory = start_sweeps(energy, order, STEP, params, states, z, key)
    again = lambda s: sweep_states(energy, order, STEP, params, *s)  # noqa: E731
    return repeat(again, Sweep(states, z, memory), sweeps)


def test_orders_with_the_same_sequence_agree() -> None:
    """A written-out sequence is Gauss-Seidel; a colour at once is its nodes one by one."""
    network = mlp([3, 4, 3, 4, 2], "tanh")
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    colours = RedBlack().groups(network, network.hidden)
    assert max(map(len, colours)) > 1
    orders: dict[str, AbstractOrder] = {
        "gauss-seidel": GaussSeidel(),
        "written out": EssentiallyCyclic(tuple(reversed(network.hidden))),
        "colours": RedBlack(),
        "one by one": EssentiallyCyclic(tuple(n for c in colours for n in c)),
    }

    @compiled
    def run(params):
        states = moved(energy, params, x, y)
        ends = {name: swept(order, energy, params, states) for name, order in orders.items()}
        return {name: (end.states, end.z) for name, end in ends.items()}

    found = run(params)

    def distance(a: str, b: str) -> float:
        gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), found[a], found[b])
        return float(max(jax.tree.leaves(gaps)))

    assert distance("gauss-seidel", "written out") == 0
    assert distance("colours", "one by one") < 1e-13
    assert distance("colours", "gauss-seidel") > 1e-3


@pytest.mark.parametrize("order", [Jacobi(), RedBlack()], ids=repr)
def test_what_has_no_slope_yet_does_not_move(order: AbstractOrder) -> None:
    """From a forward pass a sweep that knows what is loud is the sweep, with less products."""
    rows = {"a": "input", "e": "a", "b": "e", "c": "b", "d": "c"}
    nodes = [Node(name, Dense(4), "tanh", parent) for name, parent in rows.items()]
    last = Node("out", Sum((Dense(2), Dense(2))), "softmax", ("d", "b"))
    network = Network((*nodes, last), (3,))
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    stages = woken(energy, order)
    assert stages[0] == {network.output}
    assert woken(energy, GaussSeidel()) == []
    assert woken(LiftedEnergy(network, Quadratic()), order) == stages
    assert woken(LiftedEnergy(network, activity={"a": SoftThreshold(0.1)}), order) == []

    @jax.jit
    def both(params, x, y):
        states, z, _ = energy.clamp(x, y, params)
        memory = start_sweeps(energy, order, STEP, params, states, z, jax.random.key(5))
        ends = [one, other] = [Sweep(states, z, memory)] * 2
        for loud in stages:
            one = sweep_states(energy, order, STEP, params, *one)
            other = sweep_states(energy, order, STEP, params, *other, loud)
            ends += [one, other]
        return ends

    start, _, *ends = both(params, x, y)
    for one, other in zip(ends[::2], ends[1::2], strict=True):
        for name in network.hidden:
            np.testing.assert_allclose(other.states[name], one.states[name], rtol=0, atol=1e-13)
            np.testing.assert_allclose(other.z[name], one.z[name], rtol=0, atol=1e-13)
    assert np.array_equal(ends[1].states["a"], start.states["a"])
    assert not np.array_equal(ends[1].states["b"], start.states["b"])


def test_pre_activations_follow_their_parents() -> None:
    """After sweeps in any order z belongs to the activations."""
    network = residual()
    params, x, y = example(network)
    energy = LiftedEnergy(network).offset({"c": jnp.full((5, 4), 0.1)})

    @compiled
    def run(params):
        states = moved(energy, params, x, y)
        ends = [swept(order, energy, params, states) for order in (Jacobi(), Random())]
        return [(end.z, energy.preactivations(params, end.states)) for end in ends]

    for stored, anew in run(params):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), stored, anew)


def test_gauss_southwell_takes_the_largest_move() -> None:
    network = residual()
    params, x, y = example(network)
    energy = LiftedEnergy(network)

    @compiled
    def first(params):
        states = moved(energy, params, x, y)
        z = energy.preactivations(params, states)
        key = jax.random.key(5)
        memory = start_sweeps(energy, GaussSouthwell(), STEP, params, states, z, key)
        return Sweep(states, z, memory), swept(GaussSouthwell(), energy, params, states).states

    @compiled
    def trials(sweep):
        ends = [
            move_group(energy, STEP, params, sweep, (name,), place)
            for place, name in enumerate(network.hidden)
        ]
        moves = zip(ends, network.hidden, strict=True)
        return ends, jnp.stack([jnp.linalg.norm(e.states[n] - sweep.states[n]) for e, n in moves])

    sweep, found = first(params)
    taken = []
    for _ in network.hidden:
        ends, moves = trials(sweep)
        taken.append(int(jnp.argmax(moves)))
        sweep = ends[taken[-1]]
    assert taken != [2, 1, 0]
    for name in network.hidden:
        np.testing.assert_allclose(found[name], sweep.states[name], atol=1e-13)


@pytest.mark.slow
def test_random_draws_every_node() -> None:
    """With replacement: a node may stand still in a sweep, but none does in many."""
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network)

    @compiled
    @jax.vmap
    def still(key):
        states = moved(energy, params, x, y)
        ends = (swept(Random(), energy, params, states, n, key).states for n in (1, 12))
        moves = [[jnp.max(jnp.abs(e[n] - states[n])) for n in network.hidden] for e in ends]
        return [jnp.stack(own) < 1e-13 for own in moves]

    once, often = still(jax.random.split(jax.random.key(0), 12))
    assert np.all(np.sum(once, 0) > 0)
    assert not np.any(often)


@pytest.mark.slow
@pytest.mark.parametrize("order", [Random(), GaussSouthwell()], ids=repr)
def test_chosen_nodes_descend(order: AbstractOrder) -> None:
    network = perceptrons()
    params, x, y = example(network)
    method = BlockCoordinateDescent(order=order)
    assert_descends(energies(method, LiftedEnergy(network), params, x, y, 60))


def test_the_constant_of_a_node_that_is_a_parent_thrice() -> None:
    """z = Au + Bu + Cu: the constant bounds the square of the norm of the sum."""
    network = Network(
        (
            Node("a", Dense(4), "identity", INPUT),
            Node("b", Sum((Dense(4), Dense(4), Dense(4))), "relu", ("a", "a", "a")),
            Node("out", Dense(3), "softmax", "b"),
        ),
        (5,),
    )
    params, x, y = example(network)
    params["b"] = (params["b"][0],) * 3
    energy = LiftedEnergy(network)
    states, z, _ = clamped(energy, params, x, y)

    @compiled
    def constant(params):
        block = StateBlock(energy, params, states, z, ("a",))
        return block.curvature(block.probes(jax.random.key(0)), 200)[0]["a"]

    sum_of_maps = 3 * np.asarray(params["b"][0]["weight"])
    assert constant(params) == pytest.approx(np.linalg.norm(sum_of_maps, 2) ** 2, rel=1e-6)


def test_interleaved_descent_by_hand() -> None:
    """Output's parameters, then for each layer its activation and its parameters, in numpy.

    ReLU and the Bregman penalty: u ← relu((u - τ(Wᵀr - z))/(1 + τ)).
    """
    network = mlp([4, 5, 6, 3], "relu", "identity")
    params, x, _ = example(network)
    y = jax.random.normal(jax.random.key(4), (5, 3), jnp.float64)
    energy, tau, gamma = LiftedEnergy(network), 0.3, 0.2
    method = BlockCoordinateDescent(
        state_step=ProximalGradient(Fixed(tau)),
        parameter_step=ProximalGradient(Fixed(gamma)),
        interleaved=True,
    )

    @compiled
    def run(params):
        def step(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        state = method.init(energy, params, x, y, jax.random.key(0))
        params, state = repeat(step, (params, state), 3)
        return params, state.hidden

    found, hidden = run(params)
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    w = [np.array(params[f"layer{j}"]["weight"]) for j in (1, 2, 3)]
    b = [np.array(params[f"layer{j}"]["bias"]) for j in (1, 2, 3)]
    u = [np.asarray(x)]
    for j in (0, 1):
        u.append(relu(u[j] @ w[j] + b[j]))
    u.append(np.asarray(y))
    sigma = [relu, relu, lambda z: z]

    def signal(j: int) -> np.ndarray:
        return sigma[j](u[j] @ w[j] + b[j]) - u[j + 1]

    def move_parameters(j: int) -> None:
        r = signal(j)
        w[j] -= gamma * u[j].T @ r / 5
        b[j] -= gamma * r.mean(0)

    for _ in range(3):
        move_parameters(2)
        for j in (1, 0):
            g = signal(j + 1) @ w[j + 1].T - (u[j] @ w[j] + b[j])
            u[j + 1] = relu((u[j + 1] - tau * g) / (1 + tau))
            move_parameters(j)
    for j in (1, 2, 3):
        np.testing.assert_allclose(found[f"layer{j}"]["weight"], w[j - 1], atol=1e-12)
        np.testing.assert_allclose(found[f"layer{j}"]["bias"], b[j - 1], atol=1e-12)
    for j in (1, 2):
        np.testing.assert_allclose(hidden[f"layer{j}"], u[j], atol=1e-12)


def test_interleaved_descent_with_tied_parameters() -> None:
    """All pre-activations computed anew before every move: two nodes see the shared parameters."""
    network = resnet(5, 4, 1, 3, tied=True)
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    method = BlockCoordinateDescent(state_step=STEP, parameter_step=STEP, interleaved=True)
    nothing = Memory((), ())

    @compiled
    def both(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        out = method.step(energy, params, state, x, y)
        states, _, _ = energy.clamp(x, y, params)
        for name in (network.output, *reversed(network.hidden)):
            if name != network.output:
                z = energy.preactivations(params, states)
                block = StateBlock(energy, params, states, z, (name,))
                states = {**states, **STEP.update(block, nothing)[0]}
            z = energy.preactivations(params, states)
            own = ParameterBlock(energy, params, states, z, None, (name,))
            params = {**params, **STEP.update(own, nothing)[0]} if own.x else params
        hidden = {name: states[name] for name in network.hidden}
        return (out.params, out.state.hidden), (params, hidden)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), *both(params))


INTERLEAVED = {
    "colours": (residual, RedBlack()),
    "tied parameters": (lambda: resnet(5, 4, 1, 3, tied=True), GaussSeidel()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERLEAVED)
def test_interleaved_descent_never_increases_the_energy(name: str) -> None:
    build, order = INTERLEAVED[name]
    network = build()
    params, x, y = example(network)
    method = BlockCoordinateDescent(order=order, interleaved=True)
    assert_descends(energies(method, LiftedEnergy(network), params, x, y, 60))


def test_interleaved_passes_over_nodes_without_parameters() -> None:
    network = split(mlp([4, 5, 3]))
    params, x, y = example(network)
    rule = ProximalGradient(acceleration=Nesterov())
    method = BlockCoordinateDescent(parameter_step=rule, interleaved=True)

    def step(params):
        state = method.init(LiftedEnergy(network), params, x, y, jax.random.key(0))
        return method.step(LiftedEnergy(network), params, state, x, y).params

    found = jax.eval_shape(step, params)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda p: p.shape, found)


def test_misuse_is_named() -> None:
    network = perceptrons()
    with pytest.raises(ValueError, match=r"must name every hidden node.*missing.*layer1$"):
        EssentiallyCyclic(("layer2",)).groups(network, network.hidden)
    with pytest.raises(ValueError, match=r"and no other \(layer1, layer2\).*: layer3$"):
        EssentiallyCyclic(("layer1", ("layer2", "layer3"))).groups(network, network.hidden)
    with pytest.raises(ValueError, match=r"known in advance, got GaussSouthwell\(\)"):
        BlockCoordinateDescent(order=GaussSouthwell(), interleaved=True)
    learner = Network(
        (
            Node("a", Dense(3), "soft_threshold", INPUT, learn="threshold"),
            Node("out", Dense(2), "softmax", "a"),
        ),
        (4,),
    )
    params, x, y = example(learner)
    method = BlockCoordinateDescent(interleaved=True)
    with pytest.raises(ValueError, match="cannot train what the potential of 'a' learns"):
        method.init(LiftedEnergy(learner), params, x, y, jax.random.key(0))
