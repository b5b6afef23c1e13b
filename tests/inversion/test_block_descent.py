"""Inversion of deep networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax._solution import Reason
from liftax.affine import Dense, Pointwise, Scores
from liftax.affine import Sum as Added
from liftax.blocks import GaussSeidel, Nesterov, Plain, ProximalGradient, RedBlack
from liftax.inversion import (
    L1,
    BlockDescent,
    Box,
    PrimalDual,
    Sum,
    Tikhonov,
    TotalVariation,
    certificate,
)
from liftax.networks import Network, Node, chain, gradient_resnet
from tests.blind import Blind

from .problems import SHAPE, inverted, layer

PLAIN = {"step": ProximalGradient(), "inertia": Plain()}


def linear(weights: dict[str, float]):
    """Two layers and a skip from the input, without activations; the minimiser by NumPy."""
    rng = np.random.default_rng(1)
    a, b, skip = rng.normal(size=(4, 5)), rng.normal(size=(5, 6)), rng.normal(size=(4, 6))
    nodes = (
        Node("u", Dense(5, use_bias=False), "identity", "input"),
        Node(
            "out",
            Added((Dense(6, use_bias=False), Dense(6, use_bias=False))),
            "identity",
            ("u", "input"),
        ),
    )
    network = Network(nodes, (4,))
    params = {"u": {"weight": a}, "out": ({"weight": b}, {"weight": skip})}
    params = jax.device_put(params)
    y, alpha, w = rng.normal(size=6), 0.3, weights.get("u", 1.0)
    # The gradient in (u, x) is zero.
    upper = [w * np.eye(5) + b @ b.T, -w * a.T + b @ skip.T]
    lower = [upper[1].T, w * a @ a.T + skip @ skip.T + alpha * np.eye(4)]
    hessian = np.block([upper, lower])
    found = np.linalg.solve(hessian, np.concatenate([b @ y, skip @ y]))
    u, x = found[:5], found[5:]
    energy = 0.5 * w * np.sum((u - x @ a) ** 2) + 0.5 * np.sum((y - u @ b - x @ skip) ** 2)
    return network, params, y, alpha, x, energy + 0.5 * alpha * np.sum(x**2)


@pytest.mark.slow
def test_a_pull_that_has_not_reached_the_input_yet_is_no_end() -> None:
    """In a red-black sweep it passes on by two nodes; both orders end in one point."""
    network = gradient_resnet(2, 3, 3)
    params = network.init(jax.random.key(2), jnp.float64)
    y = network(params, jnp.asarray([[0.3, -0.2]]))
    weights = {"out": 10.0, "u1": 2.0, "u2": 2.0, "u3": 2.0}
    found = []
    for order in (RedBlack(), GaussSeidel()):
        solver = BlockDescent(5000, tolerance=1e-12, weights=weights, order=order)
        out = inverted(network, params, y, Tikhonov(), 1e-4, solver=solver)
        assert out.reasons == (Reason.SETTLED,)
        found.append(np.asarray(out.x))
    np.testing.assert_allclose(found[0], [[0.3, -0.2]], atol=1e-3)
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)


@pytest.mark.parametrize("weights", [{}, {"u": 3.0}])
def test_a_linear_network_has_the_solution_of_its_normal_equations(weights) -> None:
    network, params, y, alpha, x, energy = linear(weights)
    solver = BlockDescent(5000, tolerance=1e-12, weights=weights)
    found = inverted(network, params, y[None], Tikhonov(), alpha, solver=solver)
    assert found.reasons == (Reason.SETTLED,)
    np.testing.assert_allclose(found.x[0], x, atol=1e-7)
    np.testing.assert_allclose(found.energy, energy, rtol=1e-9)
    np.testing.assert_allclose(
        found.residual[0], np.linalg.norm(y - network(params, found.x)[0]), rtol=1e-12
    )


@pytest.mark.parametrize("prior", [TotalVariation(), L1()])
def test_one_layer_has_the_optimum_of_the_convex_solver(prior) -> None:
    network, params, _, y = layer()
    exact = inverted(network, params, y, prior, 0.02)
    found = inverted(
        network, params, y, prior, 0.02, solver=BlockDescent(20000, 1, tolerance=1e-9, **PLAIN)
    )
    assert exact.reasons == (Reason.CERTIFIED,) * 2
    assert np.all(found.energy <= exact.energy * (1 + 2e-6))
    assert np.all(exact.energy <= found.energy + exact.gap)
    assert np.isnan(found.gap).all()
    assert np.isnan(exact.change).all()


def test_exact_nodes_are_no_variables() -> None:
    """The ridge solution of the whole map, with any weight of the node that is exact."""
    network, params, y, alpha, _, _ = linear({})
    whole = np.asarray(params["u"]["weight"] @ params["out"][0]["weight"])
    whole = whole + np.asarray(params["out"][1]["weight"])
    x = np.linalg.solve(whole @ whole.T + alpha * np.eye(4), whole @ y)
    energy = 0.5 * np.sum((y - x @ whole) ** 2) + 0.5 * alpha * np.sum(x**2)
    solver = BlockDescent(20000, tolerance=1e-13, weights={"u": 3.0}, exact=True, **PLAIN)
    found = inverted(network, params, y[None], Tikhonov(), alpha, solver=solver)
    np.testing.assert_allclose(found.x[0], x, atol=1e-7)
    np.testing.assert_allclose(found.energy, energy, rtol=1e-7)
    network, params, y = deep()
    with pytest.raises(ValueError, match="exact=True needs hidden nodes with the identity"):
        inverted(network, params, y, L1(), 1.0, solver=BlockDescent(exact=True))


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_a_convex_residual_network_ends_in_one_point(exact: bool) -> None:
    """From all starts, near the true input."""
    network, weight, rho = gradient_resnet(1, 2, 4), 10.0, 1.0
    params = network.init(jax.random.key(1), jnp.float64)
    if not exact:
        rho = certificate(network, params, rho, weight).sharp
    assert certificate(network, params, max(rho, 5.0), weight).convex
    x = np.linspace(-1, 1, 5)[:, None]
    y = np.asarray(network(params, jnp.asarray(x)))
    weights = {"out": weight, **{f"u{j}": rho for j in range(1, 5)}}
    solver = BlockDescent(20000, 1, tolerance=1e-12, weights=weights, exact=exact)
    starts = np.concatenate([x, x + 3, x - 5])
    found = inverted(
        network, params, np.tile(y, (3, 1)), Tikhonov(), 1e-8, solver=solver, start=starts
    )
    ends = np.asarray(found.x).reshape(3, 5, 1)
    np.testing.assert_allclose(ends, np.broadcast_to(x, ends.shape), atol=1e-4)
    np.testing.assert_allclose(found.energy, np.tile(0.5e-8 * x[:, 0] ** 2, 3), atol=1e-9)


def deep(activation="relu"):
    network = chain(
        SHAPE, [(Dense(12), activation), (Dense(8), activation), (Dense(6), activation)]
    )
    params = network.init(jax.random.key(0), jnp.float64)
    x = np.random.default_rng(0).uniform(size=(3, *SHAPE))
    return network, params, np.asarray(network(params, jnp.asarray(x)))


@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_the_energy_never_increases(activation: str) -> None:
    """Plain steps, a regulariser with a prox: sweep by sweep, for every example."""
    network, params, y = deep(activation)
    energies = [
        inverted(
            network,
            params,
            y,
            L1(),
            0.05,
            solver=BlockDescent(sweeps, 2, tolerance=0.0, **PLAIN),
            start=np.full((3, *SHAPE), 0.5),
        ).energy
        for sweeps in (1, 2, 3, 4, 40)
    ]
    assert np.all(np.diff(np.stack(energies), axis=0) <= 1e-12)
    assert np.all(energies[-1] < energies[0])


@pytest.mark.slow
def test_the_guard_ends_the_circling_of_inertia_with_dual_variables() -> None:
    """One layer, total variation: with it at the optimum of the convex solver, without it not."""
    network, params, _, y = layer()
    given = (network, params, y, TotalVariation(), 0.02)
    exact = inverted(*given, solver=PrimalDual(40000, 1e-10))
    found = {
        guard: inverted(*given, solver=BlockDescent(2000, 1, tolerance=0.0, guard=guard))
        for guard in (True, False)
    }
    np.testing.assert_allclose(found[True].energy, exact.energy, rtol=1e-7)
    assert np.max(found[False].energy / exact.energy) > 1.005


@pytest.mark.slow
@pytest.mark.parametrize("prior", [TotalVariation(), Sum(TotalVariation(), Box(), Tikhonov(0.5))])
def test_the_guarded_energy_never_rises(prior) -> None:
    """Sweep by sweep, for every example, with inertia and dual variables."""
    network, params, y = deep("tanh")
    given = (network, params, y, prior, 0.3)
    energies = []
    for sweeps in [*range(1, 25), 300]:
        solver = BlockDescent(jnp.asarray(sweeps), 1, tolerance=0.0)
        energies.append(inverted(*given, solver=solver).energy)
    rises = np.diff(np.stack(energies), axis=0) / np.stack(energies)[:-1]
    assert np.all(rises <= 1e-13)
    assert np.all(energies[-1] < 0.9 * energies[0])
    free = [
        inverted(*given, solver=BlockDescent(jnp.asarray(k), 1, tolerance=0.0, guard=False)).energy
        for k in range(1, 25)
    ]
    assert np.max(np.diff(np.stack(free), axis=0)) > 1e-3  # without it


def test_no_activation_is_differentiated() -> None:
    """With one that refuses, the result is that of ReLU."""
    network, params, y = deep()
    blind = chain(SHAPE, [(n.affine, Blind()) for n in network.nodes])
    solver = BlockDescent(20, tolerance=0.0)
    expected, found = (
        inverted(n, params, y, TotalVariation(), 0.01, solver=solver) for n in (network, blind)
    )
    np.testing.assert_array_equal(found.x, expected.x)
    assert found.reasons == (Reason.MOVING,) * 3


def test_a_batch_is_its_members_and_starts_again_where_it_ended() -> None:
    """With inertia too: every example has its own."""
    network, params, y = deep()
    solver = BlockDescent(30, tolerance=0.0)
    batch = inverted(network, params, y, TotalVariation(), 0.01, solver=solver)
    single = inverted(network, params, y[1:2], TotalVariation(), 0.01, solver=solver)
    np.testing.assert_allclose(batch.x[1:2], single.x, atol=1e-10)
    again = inverted(network, params, y, TotalVariation(), 0.01, solver=solver, start=batch.point)
    assert np.all(again.energy < batch.energy)


def test_inertia_of_each_example_restarts_alone() -> None:
    """From 0 by way of 1 the first goes on to 1.5, the second turns back to 0.5."""
    inertia, zero, one = Nesterov(each=True), {"u": jnp.zeros((2, 3))}, {"u": jnp.ones((2, 3))}
    memory = inertia.after(inertia.init(zero), zero, zero, zero)  # no step, no restart
    new = {"u": jnp.asarray([[1.5], [0.5]]) * one["u"]}
    after = inertia.after(memory, zero, one, new)
    first = (1 + np.sqrt(5)) / 2
    np.testing.assert_allclose(memory.t, [first, first])
    np.testing.assert_allclose(after.t, [(1 + np.sqrt(1 + 4 * first**2)) / 2, 1])
    ahead, _ = inertia.points(after, new)
    pull = np.array([[(after.t[0] - 1) * 2 / (1 + np.sqrt(1 + 4 * after.t[0] ** 2))], [0]])
    np.testing.assert_allclose(ahead["u"], new["u"] + pull * new["u"])


@pytest.mark.slow
def test_a_thousand_codes_in_one_call() -> None:
    """The first and the last as if they were alone."""
    network, params, _ = deep()
    x = np.random.default_rng(2).uniform(size=(1000, *SHAPE))
    codes = np.asarray(network(params, jnp.asarray(x)))
    solver = BlockDescent(20, tolerance=0.0, **PLAIN)
    whole = inverted(network, params, codes, L1(), 0.01, solver=solver)
    ends = inverted(network, params, codes[[0, -1]], L1(), 0.01, solver=solver)
    assert whole.x.shape == x.shape
    np.testing.assert_allclose(np.asarray(whole.x)[[0, -1]], ends.x, atol=1e-10)


def test_misuse_is_named() -> None:
    network, params, y = deep()
    with pytest.raises(ValueError, match="one node with the input as its parent, got 3"):
        inverted(network, params, y, L1(), 1.0, solver=PrimalDual())
    with pytest.raises(ValueError, match=r"y\[0\] has values that ReLU never takes"):
        inverted(network, params, y - 9.0, L1(), 1.0)
    for make, name in (
        (lambda: BlockDescent(0), "sweeps"),
        (lambda: BlockDescent(inner=0), "inner"),
        (lambda: BlockDescent(prox_steps=0), "prox_steps"),
        (lambda: BlockDescent(tolerance=-1.0), "tolerance"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be"):
            make()


def test_an_input_that_is_multiplied_is_refused() -> None:
    nodes = (
        Node("keys", Pointwise(3), "identity", "input"),
        Node("scores", Scores(), "softmax", ("input", "keys")),
    )
    network = Network(nodes, (2, 3))
    params = network.init(jax.random.key(0), jnp.float64)
    with pytest.raises(ValueError, match="'scores' multiplies the input by an activation"):
        inverted(network, params, np.full((1, 1, 2, 2), 0.5), Tikhonov(), 1.0)
