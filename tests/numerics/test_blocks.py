"""Orders, curvatures and descent of the block updates."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import Bregman, Lifted, LiftedEnergy
from liftax._iterate import scan
from liftax.blocks import (
    AbstractOrder,
    GaussSeidel,
    Jacobi,
    RedBlack,
    interactions,
    parameter_curvature,
    parameter_probes,
    state_curvature,
    state_probes,
)
from liftax.methods import BlockCoordinateDescent
from tests.helpers import compiled, quick

from .graphs import NETWORKS, clamped, convolutional, example, moved, perceptrons, residual, skips

ORDERS: dict[str, AbstractOrder] = {"gs": GaussSeidel(), "jacobi": Jacobi(), "rb": RedBlack()}


CASES = {
    "lifted": (perceptrons, "gs"),
    "convolutional": (convolutional, "gs"),
    "skips": (skips, "gs"),
    "jacobi": (residual, "jacobi"),
    "red-black": (residual, "rb"),
}


@pytest.mark.parametrize("case", quick(CASES, "red-black"))
def test_plain_descent_never_increases_the_energy(case: str) -> None:
    network, order = CASES[case][0](), CASES[case][1]
    energy = LiftedEnergy(network, Lifted() if case == "lifted" else Bregman())
    params, x, y = example(network, samples=7)
    method = BlockCoordinateDescent(order=ORDERS[order])

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(0))

        def sweep(carry, _):
            params, state = carry
            out = method.step(energy, params, state, x, y)
            states, _ = method.states(energy, out.params, out.state, x, y)
            return (out.params, out.state), energy.value(out.params, states)

        return scan(sweep, (params, state), jnp.arange(200))[1]

    values = np.asarray(run(params))
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) <= 1e-13 * np.abs(values[:-1])), np.diff(values).max()
    assert values[-1] < 0.9 * values[0]


def test_state_curvature_is_the_norm_of_the_maps() -> None:
    network = skips()
    energy = LiftedEnergy(network, weights={"b": 2.0, "e": 0.5})
    params, x, y = example(network)
    states, _, _ = clamped(energy, params, x, y)
    probes = state_probes(network, jax.random.key(0), jnp.float64, ("a",))
    measured, _ = jax.jit(lambda p: state_curvature(energy, params, states, p, ("a",), 300))(probes)
    found = measured["a"]
    norm = lambda w: np.linalg.norm(np.asarray(w), 2) ** 2  # noqa: E731
    expected = 2 * norm(params["b"]["weight"]) + 1 + 0.5 * norm(params["e"]["weight"])
    assert found == pytest.approx(expected, rel=1e-8)


def test_joint_curvature_bounds_the_hessian_of_simultaneous_moves() -> None:
    """Jacobi steps: diag(L_j) dominates the smooth part's Hessian over all moving nodes."""
    network = skips()
    energy = LiftedEnergy(network)
    params, x, y = example(network, samples=1)
    states = moved(energy, params, x, y)
    group = network.hidden
    probes = state_probes(network, jax.random.key(0), jnp.float64, group)
    sizes = {j: states[j].size for j in group}
    flat = np.concatenate([np.ravel(states[j]) for j in group])

    def smooth(flat):
        cut = np.cumsum([0, *sizes.values()])
        free = {j: flat[a:b][None] for j, a, b in zip(group, cut[:-1], cut[1:], strict=True)}
        full = {**states, **free}
        total = 0.0
        for node in network.nodes:
            z = network.preactivation(params, full, node.name)[0]
            total = total + node.potential.phi_conjugate(z) - jnp.sum(full[node.name][0] * z)
        return total

    @compiled
    def both(flat, probes):
        constants, _ = state_curvature(energy, params, states, probes, group, 300)
        return jax.hessian(smooth)(flat), constants

    hessian, constants = both(flat, probes)
    bound = [np.full(sizes[j], constants[j]) for j in group]
    assert np.linalg.eigvalsh(np.diag(np.concatenate(bound)) - hessian).min() >= -1e-8


@pytest.mark.parametrize("net", quick(NETWORKS, "skips"))
def test_parameter_curvature_is_the_norm_of_the_design(net: str) -> None:
    network = NETWORKS[net]()
    energy = LiftedEnergy(network)
    params, x, y = example(network, samples=4)
    states, _, _ = clamped(energy, params, x, y)
    probes = parameter_probes(network, jax.random.key(0), jnp.float64)
    found, _ = jax.jit(lambda p: parameter_curvature(energy, states, p, 500))(probes)

    @compiled
    def jacobians(params, states):
        columns = {}
        for name in probes:
            node = network.node(name)
            inputs = tuple(states[p] for p in node.parents)
            flat, unravel = jax.flatten_util.ravel_pytree(params[name])

            def apply(t, node=node, unravel=unravel, inputs=inputs):
                return node.affine.apply(unravel(t), *inputs).ravel()

            # What does not depend on the parameters is taken off.
            columns[name] = jax.vmap(apply)(jnp.eye(flat.size)) - apply(0 * flat)
        return columns

    for name, jacobian in jacobians(params, states).items():
        expected = np.linalg.norm(jacobian, 2) ** 2 / 4
        assert found[name] == pytest.approx(expected, rel=1e-6), name


def test_orders_hold_every_free_node_once() -> None:
    network = skips()
    neighbours = interactions(network)
    for order in ORDERS.values():
        groups = order.groups(network, network.hidden)
        assert sorted(n for g in groups for n in g) == sorted(network.hidden)
    for group in RedBlack().groups(network, network.hidden):
        for name in group:
            assert not neighbours[name].intersection(group)
    chain = perceptrons()
    assert len(RedBlack().groups(chain, chain.hidden)) == 2
    assert len(Jacobi().groups(chain, chain.hidden)) == 1
