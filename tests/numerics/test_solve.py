"""Closed forms of the blocks: minimisers, against optimality conditions, grids and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import (
    BlockCoordinateDescent,
    Bregman,
    ImplicitSGD,
    Lifted,
    LiftedEnergy,
    Node,
    Quadratic,
    mlp,
    split,
)
from liftax.affine import Convolution, Dense, Identity, Sum
from liftax.blocks import ProximalGradient, Solve, StateBlock
from liftax.blocks._solve import cholesky_solve, inverse_factor
from liftax.networks import INPUT, Network, chain
from liftax.penalties import Hinge
from liftax.potentials import AbstractPiecewiseLinear, Clip, ElasticNet, SoftThreshold, Tanh
from tests.helpers import FULL, ROWS, SLOW, compiled, domain_points, quick

from .graphs import clamped, example, moved, perceptrons
from .problems import (
    LAYER,
    assert_descends,
    energies,
    over_bias,
    parameter_block,
    regression,
    ridge_minimiser,
)

KEY = jax.random.key(0)


def solved(energy: LiftedEnergy, params, states, alpha):
    """The closed form of every hidden node's block, each by itself."""
    z = energy.preactivations(params, states)
    blocks = {name: StateBlock(energy, params, states, z, (name,)) for name in alpha}
    return {name: Solve(alpha).update(block, ())[0][name] for name, block in blocks.items()}


def slope(energy: LiftedEnergy, params, states, name: str, new, alpha: float):
    """Gradient of s E + α|u - u₀|²/2 in one node's activation."""

    def total(u):
        value = energy.value(params, {**states, name: u})
        return len(u) * value + 0.5 * alpha * jnp.sum((u - states[name]) ** 2)

    return jax.grad(total)(new)


@pytest.mark.slow
def test_activations_of_a_split_network_are_minimised() -> None:
    """Three-splitting with MAC-QP: linear nodes, and a copied one before a softmax loss.

    With weights, multipliers and proximal terms. Nodes before a kink are searched on a grid.
    """
    network = split(mlp([4, 5, 4, 3], Clip(-0.3, 0.5)))
    params, x, y = example(network, samples=3)
    weights = {"layer1": 1.7, "layer2.z": 0.6, "layer2": 1.2, "layer1.z": 0.8}
    energy = LiftedEnergy(network, Quadratic(), weights=weights)
    states = moved(energy, params, x, y)
    offsets = {n: 0.2 * jnp.sin(jnp.arange(states[n].size)) for n in ("layer1.z", "layer1")}
    energy = energy.offset({n: p.reshape(states[n].shape) for n, p in offsets.items()})
    alpha = {"layer1.z": 0.3, "layer1": 0.0, "layer2.z": 0.4, "layer2": 0.5, "layer3.z": 0.7}

    @compiled
    def run(params, states):
        found = solved(energy, params, states, alpha)
        smooth = ("layer1", "layer2", "layer3.z")
        z = energy.preactivations(params, states)
        return found, z, {n: slope(energy, params, states, n, found[n], alpha[n]) for n in smooth}

    found, z, slopes = run(params, states)
    given, expected = z["layer1"], states["layer1.z"] - energy.offsets["layer1"]
    np.testing.assert_allclose(given, expected, atol=1e-14)
    for name, error in slopes.items():
        np.testing.assert_allclose(error, 0, atol=1e-10, err_msg=name)
    grid = np.linspace(-4, 4, 160_001)
    for name, child in (("layer1.z", "layer1"), ("layer2.z", "layer2")):
        shift = energy.offsets.get(child, np.zeros(states[name].shape))
        entries = (found[name], z[name], states[name], states[child], shift)
        for new, own, old, above, p in zip(*(np.ravel(a) for a in entries), strict=True):
            cost = weights.get(name, 1.0) * (grid - own) ** 2 + alpha[name] * (grid - old) ** 2
            cost += weights.get(child, 1.0) * (above - np.clip(grid - p, -0.3, 0.5)) ** 2
            assert abs(grid[np.argmin(cost)] - new) < 1e-4, name


@pytest.mark.slow
def test_activations_before_other_maps_are_minimised() -> None:
    """Convolutions, skips and a node that is a parent twice: conjugate gradients."""
    network = Network(
        (
            Node("a", Convolution(2, (2, 2)), "identity", INPUT),
            Node("b", Convolution(1, (2, 2)), "identity", "a"),
            Node("out", Sum((Dense(2), Dense(2), Dense(2))), "identity", ("a", "b", "b")),
        ),
        (2, 2, 1),
    )
    params, x, _ = example(network, samples=3)
    y = jax.random.normal(KEY, (3, 2), jnp.float64)
    energy = LiftedEnergy(network, weights={"b": 1.4, "out": 0.8})
    alpha = {"a": 0.2, "b": 0.6}

    @compiled
    def run(params):
        states = moved(energy, params, x, y)
        found = solved(energy, params, states, alpha)
        before = {n: slope(energy, params, states, n, states[n], alpha[n]) for n in alpha}
        return before, {n: slope(energy, params, states, n, found[n], alpha[n]) for n in alpha}

    before, after = run(params)
    for name in alpha:
        assert jnp.max(jnp.abs(before[name])) > 0.1
        assert jnp.max(jnp.abs(after[name])) < 1e-3 * jnp.max(jnp.abs(before[name]))


BASIC = set(FULL) - {"softmax"}
ALL = [
    pytest.param(n, marks=[pytest.mark.slow] if n in SLOW or n not in BASIC else []) for n in ROWS
]


@pytest.mark.parametrize("name", ALL)
def test_bregman_prox_in_z(name: str) -> None:
    """The root of τ(σ(z) - u) + z - v, which is unique as σ is monotone."""
    potential, u = ROWS[name].potential, domain_points(name)
    v = 2 * jax.random.normal(jax.random.key(7), u.shape)

    @compiled
    @jax.vmap
    def errors(tau):
        z = jax.vmap(lambda u, v: Bregman().prox_z(potential, u, v, tau))(u, v)
        return tau * (jax.vmap(potential.activation)(z) - u) + z - v

    taus = jnp.asarray([0.05, 0.7, 1.0, 20.0])
    assert jnp.max(jnp.abs(errors(taus)) / (1 + taus[:, None, None])) < 1e-9


def test_lifted_prox_in_z() -> None:
    """The root of τ(z - u) + z - v, whatever the potential."""
    u, v = jax.random.normal(KEY, (2, 7))
    for tau in (0.2, 5.0):
        z = Lifted().prox_z(ROWS["relu"].potential, u, v, tau)
        np.testing.assert_allclose(tau * (z - u) + z - v, 0, atol=1e-13)


PIECES = [n for n in ROWS if isinstance(ROWS[n].potential, AbstractPiecewiseLinear)]


@pytest.mark.parametrize("name", quick(PIECES, "huber(0.3, 2)", *(set(PIECES) - set(SLOW))))
def test_quadratic_prox_in_z(name: str) -> None:
    """No point of a fine grid is better; targets u also lie outside the range of σ."""
    potential = ROWS[name].potential
    u, v = 2 * np.random.default_rng(8).normal(size=(2, 40))
    grid, taus = np.linspace(-9, 9, 9001), (0.2, 1.0, 6.0)

    @compiled
    def excess(u, v, grid):
        sigma = potential.activation(grid)
        worst = []
        for tau in taus:
            z = Quadratic().prox_z(potential, u, v, tau)
            cost = tau * (u - potential.activation(z)) ** 2 + (z - v) ** 2
            best = jnp.min(tau * (u[:, None] - sigma) ** 2 + (grid - v[:, None]) ** 2, 1)
            worst.append(jnp.max(cost - best))
        return jnp.stack(worst)

    assert np.max(excess(u, v, grid)) < 1e-12


@pytest.mark.parametrize("samples", [12, 3])
def test_parameters_are_ridge_regression(samples: int) -> None:
    """By either Gram matrix, with a proximal term, an anchor and a weight; in numpy."""
    energy, params, x, y = regression([1.0, 0.5, 0.3, 2.0], samples=samples)
    weighted = LiftedEnergy(energy.network, weights={LAYER: 1.6})
    anchor = jax.tree.map(lambda p: p + 0.3, params)

    @compiled
    def run(params):
        blocks = [
            (parameter_block(energy, params, x, y), Solve(0.4)),
            (parameter_block(weighted, params, x, y), Solve({LAYER: 0.4})),
            (parameter_block(energy, params, x, y, (anchor, 0.8)), Solve()),
            (parameter_block(energy, params, x, y), Solve()),
        ]
        return [step.update(block, ())[0][LAYER] for block, step in blocks]

    plain, heavy, anchored, free = (over_bias(theta) for theta in run(params))
    old, centre = over_bias(params[LAYER]), over_bias(anchor[LAYER])
    by_hand = lambda damping, old: ridge_minimiser(x, y, [damping] * 5, old)  # noqa: E731
    np.testing.assert_allclose(plain, by_hand(0.4, old), atol=1e-10)
    np.testing.assert_allclose(heavy, by_hand(0.4 / 1.6, old), atol=1e-10)
    np.testing.assert_allclose(anchored, by_hand(1 / 0.8, centre), atol=1e-10)
    design = np.hstack([x, np.ones((samples, 1))])
    best = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(design @ free, best, atol=1e-5)


def test_the_implicit_step_in_one_solve() -> None:
    """One linear layer, inner=1: ridge regression towards the old parameters."""
    energy, params, x, y = regression([1.0, 0.5, 2.0])
    method = ImplicitSGD(jnp.asarray(2.5), inner=1, parameter_step=Solve())

    @compiled
    def step(params):
        state = method.init(energy, params, x, y, KEY)
        return method.step(energy, params, state, x, y).params[LAYER]

    expected = ridge_minimiser(x, y, [1 / 2.5] * 4, over_bias(params[LAYER]))
    np.testing.assert_allclose(over_bias(step(params)), expected, atol=1e-11)


OTHERWISE = Solve(otherwise=ProximalGradient())
DESCENTS = {
    "parameters": (perceptrons, Bregman(), ProximalGradient()),
    "split": (lambda: split(perceptrons()), Bregman(), OTHERWISE),
    "split MAC-QP": (lambda: split(perceptrons()), Quadratic(), Solve()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DESCENTS)
def test_closed_forms_never_increase_the_energy(name: str) -> None:
    build, penalty, state_step = DESCENTS[name]
    network = build()
    params, x, y = example(network)
    method = BlockCoordinateDescent(state_step=state_step, parameter_step=Solve(1e-3))
    assert_descends(energies(method, LiftedEnergy(network, penalty), params, x, y, 60))


def test_what_has_no_closed_form_is_named() -> None:
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    states, z, _ = clamped(energy, params, x, y)

    def solve(energy, *group, params=params, states=states, z=z):
        block = StateBlock(energy, params, states, z, group)
        return jax.eval_shape(lambda: Solve().update(block, ()))

    with pytest.raises(ValueError, match="'layer1' with the activation ReLU has no closed form"):
        solve(energy, "layer1")
    mac = LiftedEnergy(network, Quadratic(), activity={"layer2": SoftThreshold(0.1)})
    with pytest.raises(ValueError, match="'layer2' with the activation ReLU has no closed form"):
        solve(mac, "layer2")
    with pytest.raises(ValueError, match="'layer1' moves together with a node that it interacts"):
        solve(mac, "layer1", "layer2")
    solve(mac, "layer1")
    with pytest.raises(ValueError, match="quadratic penalty of a Tanh node has no closed form"):
        Quadratic().prox_z(Tanh(), x[0], x[0], 1.0)
    copies = chain((6,), [(Dense(4), "identity"), (Identity(), "identity")])
    params, x, y = example(copies)
    hinge = LiftedEnergy(copies, loss=Hinge())
    states, z, _ = clamped(hinge, params, x, y)
    with pytest.raises(ValueError, match="the loss Hinge states no prox"):
        solve(hinge, "layer1", params=params, states=states, z=z)


def test_nodes_with_a_common_child_are_refused() -> None:
    network = Network(
        (
            Node("a", Dense(4), "identity", INPUT),
            Node("b", Dense(4), "identity", INPUT),
            Node("out", Sum((Dense(2), Dense(2))), "softmax", ("a", "b")),
        ),
        (3,),
    )
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    states, z, _ = clamped(energy, params, x, y)
    block = StateBlock(energy, params, states, z, ("a", "b"))
    with pytest.raises(ValueError, match="'a' moves together with a node that it interacts"):
        block.solve({"a": 0.0, "b": 0.0})


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="proximal must be at least 0, got -1"):
        Solve(-1)
    with pytest.raises(ValueError, match="proximal must be at least 0"):
        Solve({"layer1": 0.1, "layer2": -0.1})
    energy, params, x, y = regression([1.0, 0.5])
    energy = LiftedEnergy(energy.network, regularisers={LAYER: ElasticNet(0.1, 0.0)})
    block = parameter_block(energy, params, x, y)
    with pytest.raises(ValueError, match="regularisers have no closed form"):
        Solve().update(block, ())
    step = Solve(otherwise=ProximalGradient())
    jax.eval_shape(lambda: step.update(block, step.init(block, KEY)))


@pytest.mark.parametrize("size", [1, 32, 45, 300])
def test_the_factor_by_halves_is_choleskys(size: int) -> None:
    rows = np.random.default_rng(size).standard_normal((size, size + 5))
    matrix = rows @ rows.T + np.eye(size)
    inverse = np.asarray(jax.jit(inverse_factor)(matrix))
    np.testing.assert_allclose(inverse @ np.linalg.cholesky(matrix), np.eye(size), atol=1e-10)
    right = rows[:, :3]
    found = jax.jit(cholesky_solve)(rows @ rows.T, 1.0, right)
    np.testing.assert_allclose(matrix @ found, right, atol=1e-9)
