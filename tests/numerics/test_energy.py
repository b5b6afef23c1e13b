"""The energy's gradients, written by hand in the library, against jax.grad of its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from liftax import Bregman, Lifted, LiftedEnergy, Quadratic
from liftax.blocks import ParameterBlock, StateBlock, target
from liftax.potentials import SoftThreshold
from tests.helpers import compiled, quick

from .graphs import NETWORKS, example, moved, perceptrons

PENALTIES = {"bregman": Bregman(), "lifted": Lifted(), "quadratic": Quadratic()}


def smooth_term(energy: LiftedEnergy, params, parents, own, name: str) -> Array:
    """Mean penalty of one node with its state from `own` and its parents' states from `parents`."""
    node = energy.network.node(name)
    z = node.affine.apply(params[name], *(parents[p] for p in node.parents))
    penalty = energy.loss if name == energy.network.output else energy.penalty
    return jnp.mean(jax.vmap(lambda u, z: penalty.value(node.potential, u, z))(own[name], z))


def smooth_energy(energy: LiftedEnergy, params, states) -> Array:
    """The weighted penalties, node by node."""
    terms = [
        energy.weights.get(node.name, 1.0) * smooth_term(energy, params, states, states, node.name)
        for node in energy.network.nodes
    ]
    return jnp.sum(jnp.stack(terms))


@pytest.mark.parametrize("penalty", quick(PENALTIES, "bregman", "quadratic"))
@pytest.mark.parametrize("net", quick(NETWORKS, "skips"))
def test_gradients_are_those_of_the_definition(net: str, penalty: str) -> None:
    network = NETWORKS[net]()
    weights = {network.hidden[0]: 0.7, network.output: 1.3}
    energy = LiftedEnergy(network, PENALTIES[penalty], weights=weights)
    params, x, y = example(network)
    states = moved(energy, params, x, y)

    @compiled
    def both(params, states):
        z = {n.name: network.preactivation(params, states, n.name) for n in network.nodes}
        block = ParameterBlock(energy, params, states, z)
        ours = block.gradient(block.x)
        theirs = jax.grad(lambda p: smooth_energy(energy, p, states))(params)
        blocks = {j: StateBlock(energy, params, states, z, (j,)) for j in network.hidden}
        pulls = {j: block.gradient(block.x)[j] for j, block in blocks.items()}
        value = energy.value(params, states), smooth_energy(energy, params, states)

        # Of a node's own penalty the smooth part is -<u, c(z)>; the rest is in the prox.
        linear = {
            j: jax.vmap(network.node(j).potential.activation)(z[j])
            if penalty == "quadratic"
            else z[j]
            for j in pulls
        }

        def children_only(hidden):
            all_states = {**states, **hidden}
            return x.shape[0] * sum(
                energy.weight(c) * smooth_term(energy, params, all_states, states, c)
                for c in {c.name for j in hidden for c, _ in network.children(j)}
            )

        expected = {
            j: jax.grad(lambda u, j=j: children_only({j: u}))(states[j])
            - weights.get(j, 1.0) * linear[j]
            for j in pulls
        }
        return ours, theirs, pulls, expected, value

    ours, theirs, pulls, expected, value = both(params, states)
    assert abs(value[0] - value[1]) < 1e-12
    for a, b in ((ours, theirs), (pulls, expected)):
        error = jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), a, b)
        assert max(jax.tree.leaves(error)) < 1e-10, error


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("activity", [False, True])
def test_state_step_minimises_its_majorant(penalty: str, activity: bool) -> None:
    """The closed form against a fine search of τ(w·C(u,z) + α|u| + ⟨g,u⟩) + ½|u-u₀|²."""
    network = perceptrons("soft_threshold")
    name = network.hidden[0]
    extra = {name: SoftThreshold(0.25)} if activity else {}
    energy = LiftedEnergy(network, PENALTIES[penalty], weights={name: 1.7}, activity=extra)
    u, z, g = np.random.default_rng(3).normal(size=(3, 2, 8))
    tau, potential = 0.6, network.node(name).potential
    grid = np.linspace(-6, 6, 480_001)  # an argument: as a constant it would be folded

    def majorant(v: Array, u: Array, z: Array, g: Array) -> Array:
        cost = 1.7 * energy.penalty.value(potential, v, z) + (
            0.25 * jnp.abs(v) if activity else 0.0
        )
        return tau * (cost + g * v) + 0.5 * (v - u) ** 2

    def search(grid: Array, u: Array, z: Array, g: Array) -> Array:
        return grid[jnp.argmin(jax.vmap(lambda v: majorant(v, u, z, g))(grid))]

    @compiled
    def both(grid, u, z, g):
        best = jax.lax.map(lambda row: search(grid, *row), tuple(a.reshape(-1) for a in (u, z, g)))
        block = StateBlock(energy, {}, {name: u}, {name: z}, (name,))
        found = block.prox({name: u - tau * (g - target(energy, z, name))}, {name: tau})[name]
        return found.reshape(-1), best

    found, best = both(grid, u, z, g)
    assert np.max(np.abs(found - best)) < 3e-5


def test_energy_names_what_is_wrong() -> None:
    network = perceptrons("sigmoid")
    with pytest.raises(ValueError, match="no node 'nowhere'"):
        LiftedEnergy(network, weights={"nowhere": 1.0})
    with pytest.raises(ValueError, match="must be positive, got 0"):
        LiftedEnergy(network, weights={"layer1": 0})
    with pytest.raises(ValueError, match="does not map 0 to 0"):
        LiftedEnergy(network, activity={"layer1": SoftThreshold(0.1)})
    with pytest.raises(ValueError, match="no hidden node"):
        LiftedEnergy(network, activity={"layer3": SoftThreshold(0.1)})
