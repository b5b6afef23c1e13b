"""Steps on one block: accelerations, backtracking, and what a block says about itself."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import BlockCoordinateDescent, Bregman, Lifted, LiftedEnergy, Quadratic
from liftax.affine import Dense, Sum
from liftax.blocks import (
    AbstractBlock,
    Adam,
    Backtracking,
    Fixed,
    GaussSeidel,
    HeavyBall,
    Jacobi,
    Lipschitz,
    Nesterov,
    Optimiser,
    ParameterBlock,
    Plain,
    ProximalGradient,
    StateBlock,
)
from liftax.blocks._step import Memory
from liftax.networks import INPUT, Network, Node, chain
from liftax.potentials import ElasticNet, GroupSoftThreshold, SoftThreshold
from tests.helpers import compiled

from .graphs import NETWORKS, clamped, example, moved, perceptrons, residual
from .problems import (
    LAYER,
    assert_descends,
    energies,
    iterates,
    over_bias,
    parameter_block,
    regression,
    ridge_minimiser,
)

ACCELERATIONS = {
    "plain": Plain(),
    "nesterov": Nesterov(),
    "heavy ball": HeavyBall(0.4),
    "no inertia": HeavyBall(0.0),
}
PENALTIES = {"bregman": Bregman(), "lifted": Lifted(), "quadratic": Quadratic()}


@pytest.mark.parametrize("ridge", [0.0, pytest.param(0.2, marks=pytest.mark.slow)])
def test_accelerations_reach_the_least_squares_solution(ridge: float) -> None:
    """And Nesterov's in far fewer steps, where the columns are badly scaled."""
    energy, params, x, y = regression([1.0, 0.5, 0.1], ridge)
    best = ridge_minimiser(x, y, [ridge] * 3 + [0.0])
    if not ridge:
        np.testing.assert_allclose(
            best, np.linalg.lstsq(np.hstack([x, np.ones((12, 1))]), y, rcond=None)[0], atol=1e-9
        )

    @compiled
    def run(params):
        return {
            name: iterates(ProximalGradient(acceleration=a), energy, params, x, y, 6000)[LAYER]
            for name, a in ACCELERATIONS.items()
        }

    needed = {}
    paths = run(params)
    for name, path in paths.items():
        found = np.concatenate([path["weight"], path["bias"][:, None]], 1)
        errors = np.abs(found - best).max((1, 2))
        assert errors[-1] < 1e-7, name
        needed[name] = int(np.argmax(errors < 1e-5))
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(paths["no inertia"][name], paths["plain"][name])
    assert 0 < needed["heavy ball"] < needed["plain"]
    assert 0 < needed["nesterov"] < (0.3 if not ridge else 0.8) * needed["plain"]


def test_inertia_by_hand() -> None:
    """FISTA with adaptive restart, and iPALM with two points and its shorter step, in numpy.

    The curvature is that of the design; the prox is that of a ridge on the weights.
    """
    ridge, count = 0.3, 40
    energy, params, x, y = regression([1.0, 0.4, 0.2], ridge)
    rules = {"nesterov": Nesterov(), "heavy ball": HeavyBall(0.6, 0.3)}

    @compiled
    def run(params):
        exact = Lipschitz(power_iterations=300)
        steps = {name: ProximalGradient(exact, rule) for name, rule in rules.items()}
        return {n: iterates(s, energy, params, x, y, count)[LAYER] for n, s in steps.items()}

    found = run(params)
    design, target = np.hstack([x, np.ones((12, 1))]), np.asarray(y)
    tau = 12 / np.linalg.norm(design, 2) ** 2
    shrink = np.array([[1 + tau * ridge]] * 3 + [[1.0]])
    gradient = lambda w: design.T @ (design @ w - target) / 12  # noqa: E731
    old = new = over_bias(params[LAYER])
    t, restarts = 1.0, 0
    for k in range(count):
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead = new + (t - 1) / following * (new - old)
        old, new = new, (ahead - tau * gradient(ahead)) / shrink
        turned = np.sum((ahead - new) * (new - old)) > 0
        restarts += turned
        t = 1.0 if turned else following
        np.testing.assert_allclose(found["nesterov"]["weight"][k], new[:-1], atol=1e-9)
    assert restarts
    old = new = over_bias(params[LAYER])
    step = 2 * (1 - 0.6) / (1 + 2 * 0.3) * tau
    shrink = 1 + (shrink - 1) * step / tau
    for k in range(count):
        slope = gradient(new + 0.3 * (new - old))
        old, new = new, (new + 0.6 * (new - old) - step * slope) / shrink
        np.testing.assert_allclose(found["heavy ball"]["weight"][k], new[:-1], atol=1e-9)


@pytest.mark.parametrize("name", ["nesterov", "heavy ball"])
def test_a_restart_drops_the_inertia(name: str) -> None:
    """As at a new batch: the next step is one without memory."""
    energy, params, x, y = regression([1.0, 0.4])
    step = ProximalGradient(Fixed(0.1), ACCELERATIONS[name])

    @compiled
    def run(params):
        block = parameter_block(energy, params, x, y)
        memory = step.init(block, jax.random.key(0))
        for _ in range(4):
            moved, memory = step.update(block, memory)
            block = parameter_block(energy, {**params, **moved}, x, y)
        plain, _ = ProximalGradient(Fixed(0.1)).update(block, Memory((), ()))
        factor = 1.0 if name == "nesterov" else 2 * 0.6 / 1.8
        expected = jax.tree.map(lambda a, b: a + factor * (b - a), block.x, plain)
        return (
            step.update(block, memory)[0],
            step.update(block, step.restart(memory, block))[0],
            expected,
        )

    kept, fresh, expected = run(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), fresh, expected)
    assert np.max(np.abs(kept[LAYER]["weight"] - fresh[LAYER]["weight"])) > 1e-4


def test_adam_is_optax_adam_without_regularisers() -> None:
    energy, params, x, y = regression([1.0, 0.5, 0.1])
    step = ProximalGradient(Fixed(0.05), Adam(0.8, 0.99, 1e-6))

    @compiled
    def both(params):
        reference = Optimiser(optax.adam(0.05, 0.8, 0.99, 1e-6))
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam is not strict
            theirs = iterates(reference, energy, params, x, y, 30)
        return iterates(step, energy, params, x, y, 30), theirs

    ours, theirs = both(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), ours, theirs)


def test_adam_takes_the_prox_entry_by_entry() -> None:
    """A step for every entry of an activation, with an activity term; softmax is refused."""
    network = chain((3,), [(Dense(4), "tanh"), (Dense(4), "softmax"), (Dense(2), "identity")])
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={LAYER: 1.3}, activity={LAYER: SoftThreshold(0.1)})
    states, z, _ = clamped(energy, params, x, y)
    block = StateBlock(energy, params, states, z, (LAYER,))
    steps = jnp.exp(jax.random.normal(jax.random.key(0), states[LAYER].shape))
    v = states[LAYER] + jax.random.normal(jax.random.key(1), steps.shape)

    @compiled
    def both(v, steps):
        whole = block.prox({LAYER: v}, {LAYER: steps})[LAYER]
        single = jax.vmap(lambda tau: block.prox({LAYER: v}, {LAYER: tau})[LAYER])(steps.ravel())
        return whole.ravel(), jnp.diagonal(single.reshape(v.size, v.size))

    np.testing.assert_allclose(*both(v, steps), atol=1e-12)
    step = ProximalGradient(Fixed(0.1), Adam())
    other = StateBlock(energy, params, states, z, ("layer2",))
    with pytest.raises(ValueError, match="'layer2' has the activation Softmax, which is not sep"):
        jax.eval_shape(lambda: step.update(other, step.init(other, jax.random.key(0))))


def blocks_of(energy: LiftedEnergy, params, x, y) -> dict[str, AbstractBlock]:
    states = moved(energy, params, x, y)
    z = energy.preactivations(params, states)
    return {
        "states": StateBlock(energy, params, states, z, energy.network.hidden),
        "parameters": ParameterBlock(energy, params, states, z),
    }


@pytest.mark.slow
def test_backtracking_accepts_the_first_step_with_a_majorant() -> None:
    """The accepted τ satisfies the inequality of the descent lemma, the trial before it does not.

    The following search starts at growth times the accepted step.
    """
    network = chain((3,), [(Dense(3), "relu"), (Dense(2), "softmax")])
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    step = ProximalGradient(Backtracking(100.0, 0.7, 1.2))

    def excess(block: AbstractBlock, tau):
        """f(x⁺) less the majorant at x, for the step τ."""
        gradient = block.gradient(block.x)
        ahead = jax.tree.map(lambda x, g: x - tau * g, block.x, gradient)
        new = block.prox(ahead, dict.fromkeys(block.x, tau))
        move = jax.tree.map(jnp.subtract, new, block.x)
        dot = lambda a, b: sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))  # noqa: E731
        model = block.value(block.x) + dot(gradient, move) + dot(move, move) / (2 * tau)
        return block.value(new) - model, new

    @compiled
    def measure(params):
        found = {}
        for name, block in blocks_of(energy, params, x, y).items():
            new, memory = step.update(block, step.init(block, jax.random.key(0)))
            tau = memory.sizes
            _, again = step.update(block, memory)
            here, expected = excess(block, tau)
            found[name] = tau, again.sizes, here, excess(block, tau / 0.7)[0], new, expected
        return found

    for tau, again, at, before, new, expected in measure(params).values():
        assert 0 < tau < 100
        assert at <= 1e-12
        assert before > 1e-9
        trials = np.log(1.2 * tau / again) / np.log(1 / 0.7)
        assert trials == pytest.approx(round(float(trials)), abs=1e-9)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), new, expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["chain", "jacobi"])
def test_backtracking_descends(case: str) -> None:
    network = perceptrons() if case == "chain" else residual()
    params, x, y = example(network)
    rule = ProximalGradient(Backtracking())
    order = GaussSeidel() if case == "chain" else Jacobi()
    method = BlockCoordinateDescent(order, rule, rule)
    assert_descends(energies(method, LiftedEnergy(network), params, x, y, 60))


GRAPHS = {**NETWORKS, "residual": residual}
CASES = [
    ("residual", "bregman"),
    *(pytest.param(net, p, marks=pytest.mark.slow) for net in NETWORKS for p in PENALTIES),
]


@pytest.mark.parametrize(("net", "penalty"), CASES)
def test_a_block_knows_its_value_and_gradient(net: str, penalty: str) -> None:
    """The gradient is that of the value at any point, for one node and for nodes that interact.

    What the value leaves out of the energy does not depend on the variables but through h, and the
    gradient at the block's own point, from stored pre-activations, is the one computed anew.
    """
    network = GRAPHS[net]()
    params, x, y = example(network, samples=2)
    first = network.hidden[0]
    weights = {first: 0.7, network.output: 1.3}
    plain = LiftedEnergy(network, PENALTIES[penalty], weights=weights)
    states, other = moved(plain, params, x, y), moved(plain, params, x, y, 2)
    offsets = {name: 0.1 * other[name] + 0.2 for name in (first, network.output)}
    energy, groups = plain.offset(offsets), [(first,), network.hidden]

    @compiled
    def measure(params, states, other):
        z = energy.preactivations(params, states)
        blocks: list[AbstractBlock] = [StateBlock(energy, params, states, z, g) for g in groups]
        blocks.append(ParameterBlock(energy, params, states, z, (params, 0.5)))
        points = [{name: other[name] for name in g} for g in groups]
        points.append(jax.tree.map(lambda p: 0.9 * p + 0.1, blocks[-1].x))
        found = []
        for block, point in zip(blocks, points, strict=True):
            copy = jax.tree.map(lambda a: a + 0, block.x)
            pairs = [(block.gradient(point), jax.grad(block.value)(point))]
            pairs.append((block.gradient(block.x), block.gradient(copy)))
            found.append((pairs, block.value(block.x) - block.value(copy)))
        rise = blocks[-1].value(points[-1]) - blocks[-1].value(blocks[-1].x)
        return found, rise - energy.value(points[-1], states) + energy.value(params, states)

    found, error = measure(params, states, other)
    assert abs(error) < 1e-12
    for pairs, same in found:
        assert abs(same) < 1e-12
        for a, b in pairs:
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), a, b)


@pytest.mark.parametrize("graph", ["chain", "skip"])
def test_constants_of_simultaneous_moves_bound_the_hessian(graph: str) -> None:
    """Linear nodes, where no slack of an activation helps; each term of the constants counts."""
    edge = Node("b", Dense(2, use_bias=False), "identity", "a")
    last = (Dense(2), ("b",)) if graph == "chain" else (Sum((Dense(2), Dense(2))), ("a", "b"))
    nodes = (
        Node("a", Dense(2), "identity", INPUT),
        edge,
        Node("out", last[0], "identity", last[1]),
    )
    network = Network(nodes, (3,))
    params, x, y = example(network, samples=1)
    rotation = jnp.asarray([[0.6, -0.8], [0.8, 0.6]])
    params["b"] = {"weight": 0.7 * rotation}
    alike = {"weight": 0.5 * jnp.eye(2), "bias": jnp.zeros(2)}
    params["out"] = alike if graph == "chain" else (alike, {**alike, "weight": -0.5 * rotation.T})
    energy = LiftedEnergy(network, weights={"b": 1.8, "out": 0.6})
    states, z, _ = clamped(energy, params, x, y)
    group = ("a", "b")

    @compiled
    def run(params):
        block = StateBlock(energy, params, states, z, group)
        flat, unravel = jax.flatten_util.ravel_pytree(block.x)
        hessian = jax.hessian(lambda v: block.value(unravel(v)))(flat)
        return hessian, block.curvature(block.probes(jax.random.key(0)), 100)[0]

    hessian, constants = run(params)
    bound = np.diag(np.repeat([constants[name] for name in group], 2))
    least = np.linalg.eigvalsh(bound - np.asarray(hessian)).min()
    # With isometries the bound is attained.
    assert least == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("entrywise", [False, True])
def test_prox_of_parameters_with_an_anchor(entrywise: bool) -> None:
    """The argmin of r(W) + |Θ - Θᵏ|²/(2τ) + |Θ - V|²/(2γ), entry by entry, by a fine grid."""
    energy, params, x, y = regression([1.0, 1.0])
    term, tau = ElasticNet(0.4, 0.3), 0.6
    energy = LiftedEnergy(energy.network, regularisers={LAYER: term})
    v = jax.tree.map(lambda p: 1.5 * p - 0.7, params)
    block = parameter_block(energy, params, x, y, (params, tau))
    gamma = jax.tree.map(lambda p: jnp.full_like(p, 0.8), params)
    if entrywise:
        gamma = jax.tree.map(lambda p: 0.3 + jnp.abs(p), v)
    steps = gamma if entrywise else {LAYER: jnp.asarray(0.8)}
    found = jax.jit(lambda v, steps: block.prox(v, steps))(v, steps)[LAYER]
    grid = np.linspace(-4, 4, 400_001)
    for name in ("weight", "bias"):
        entries = (np.ravel(a[LAYER][name]) for a in (params, v, gamma, {LAYER: found}))
        for old, near, step, new in zip(*entries, strict=True):
            cost = (grid - old) ** 2 / (2 * tau) + (grid - near) ** 2 / (2 * step)
            if name == "weight":
                cost += 0.4 * np.abs(grid) + 0.15 * grid**2
            assert abs(grid[np.argmin(cost)] - new) < 3e-5


def test_entrywise_steps_need_a_separable_regulariser() -> None:
    energy, params, x, y = regression([1.0, 1.0])
    step = ProximalGradient(Fixed(0.1), Adam())
    energy = LiftedEnergy(energy.network, regularisers={LAYER: GroupSoftThreshold(0.1)})
    block = parameter_block(energy, params, x, y)
    with pytest.raises(ValueError, match=r"regularisers\['layer1'\].*not separable"):
        jax.eval_shape(lambda: step.update(block, step.init(block, jax.random.key(0))))


def test_a_nudge_weights_the_loss_and_the_activity() -> None:
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={"layer3": 1.5}, activity={"layer1": SoftThreshold(0.2)})
    nudged = energy.nudged(0.5).nudged(0.4)

    @compiled
    def run(params):
        states = moved(energy, params, x, y)
        loss = 1.5 * energy.loss_value(energy.preactivation(params, states, "layer3"), y)
        activity = 0.2 * jnp.sum(jnp.abs(states["layer1"])) / len(x)
        change = nudged.value(params, states) - energy.value(params, states)
        return change, -0.8 * (loss + activity)

    np.testing.assert_allclose(*run(params), rtol=1e-12)


def test_an_optimisers_prox_has_its_own_step() -> None:
    """Proximal gradient descent by optax.sgd and a prox of the same step."""
    energy, params, x, y = regression([1.0, 0.5], 0.3)

    @compiled
    def both(params):
        ours = iterates(Optimiser(optax.sgd(0.1), 0.1), energy, params, x, y, 5)
        return ours, iterates(ProximalGradient(Fixed(0.1)), energy, params, x, y, 5)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), *both(params))


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="inertia must lie in"):
        HeavyBall(1.0)
    with pytest.raises(ValueError, match="decay and decay_square must lie in"):
        Adam(1.0)
    with pytest.raises(ValueError, match="first must be positive, shrink in"):
        Backtracking(shrink=1.0)
    network = perceptrons()
    params, x, y = example(network)
    blocks = blocks_of(LiftedEnergy(network), params, x, y)
    with pytest.raises(ValueError, match="the prox of an activation needs the step"):
        Optimiser(optax.sgd(0.1)).init(blocks["states"], jax.random.key(0))
