"""When the energy of a residual network is convex."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.inversion import certificate, smallest_rho
from liftax.networks import INPUT, Network, gradient_resnet, mlp, resnet
from liftax.objectives import LiftedEnergy
from tests.helpers import compiled

# The smallest ρ for l blocks, λ = 1 and λ = 10: arXiv 2510.09796.
TABLE = {2: (5.0, 1.1), 5: (17.2, 3.9), 10: (53.7, 12.6), 20: (187.0, 45.2), 50: (1075.0, 265.0)}


def path(blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """M and K of a chain of scalar blocks."""
    m = np.eye(blocks + 1, k=1) - np.eye(blocks + 1)
    m[-1] = 0
    return m, np.eye(blocks + 1)[-1:]


@pytest.mark.parametrize("blocks", TABLE)
def test_the_table_of_the_paper(blocks: int) -> None:
    m, k = path(blocks)
    found = [smallest_rho(m, k, weight) for weight in (1.0, 10.0)]
    digits = [1, 1] if blocks < 20 else [0, 1] if blocks == 20 else [0, 0]
    assert [round(r, d) for r, d in zip(found, digits, strict=True)] == list(TABLE[blocks])


def test_one_block_by_hand() -> None:
    """Q = [[2 - 1/ρ, -1], [-1, λ - 1/ρ]]; with the identity on u₀ only 2 - 1/ρ ≥ 1/λ."""
    m, k = path(1)
    for weight in (1.0, 4.0):
        least = (2 + weight - np.sqrt((2 - weight) ** 2 + 4)) / 2
        np.testing.assert_allclose(smallest_rho(m, k, weight), 1 / least)
        sharp = smallest_rho(m, k, weight, np.array([True, False]))
        np.testing.assert_allclose(sharp, 1 / (2 - 1 / weight))
    assert smallest_rho(m, k, 0.5) == np.inf
    assert smallest_rho(-m, k, 100.0) == np.inf


def test_networks_have_the_numbers_of_their_matrices() -> None:
    """Blocks of more entries too; none for V = -Wᵀ and for other V, whatever λ is."""
    network = gradient_resnet(2, 3, 5)
    params = network.init(jax.random.key(0), jnp.float64)
    found = certificate(network, params, 1.0, 10.0)
    m, k = path(5)
    np.testing.assert_allclose(found.smallest, smallest_rho(m, k, 10.0), rtol=1e-10)
    np.testing.assert_allclose(found.sharp, smallest_rho(m, k, 10.0, np.arange(6) < 5), rtol=1e-10)
    assert found.sharp < found.smallest
    other = gradient_resnet(2, 3, 5, sign=-1)
    free = resnet(2, 3, 2, 2, output="identity")
    for network in (other, free, mlp([2, 3, 2], output="identity")):
        params = network.init(jax.random.key(0), jnp.float64)
        for weight in (1.0, 1e3):
            found = certificate(network, params, 1e4, weight)
            assert found.smallest == found.sharp == np.inf


def energies(network: Network, params, rho: float, weight: float):
    """The energy as a function of the rows of all variables, the output clamped to 0."""
    hidden = [name for name in network.hidden if name.startswith("u")]
    energy = LiftedEnergy(network, weights={"out": weight, **dict.fromkeys(hidden, rho)})
    sizes = [network.shapes[name][0] for name in (INPUT, *network.hidden)]
    cuts = np.cumsum(sizes)[:-1].tolist()

    def one(point):
        states = dict(zip((INPUT, *network.hidden), jnp.split(point, cuts), strict=True))
        states["out"] = jnp.zeros(network.shapes["out"])
        return energy.value(params, {name: u[None] for name, u in states.items()})

    return compiled(jax.vmap(one)), compiled(jax.hessian(one)), sum(sizes)


@pytest.mark.parametrize(("sign", "blocks"), [(1, 2), (1, 4), (-1, 2)])
def test_midpoints(sign: int, blocks: int) -> None:
    """Certified: E at a midpoint is at most the mean. Not certified: a pair that violates it."""
    network, weight = gradient_resnet(1, 1, blocks, sign=sign), 2.0
    names = [f"a{j}" for j in range(1, blocks + 1)]
    # Units that sleep: φ* is 0, and steep weights leave nothing of ½‖z‖² in v = Wᵀz.
    one = {"weight": jnp.full((1, 1), 100.0), "bias": jnp.full(1, -1e4)}
    asleep = {**dict.fromkeys(names, one), "out": {}}
    awake = network.init(jax.random.key(0), jnp.float64)
    found = certificate(network, asleep, 1.0, weight)
    rng = np.random.default_rng(0)
    if sign > 0:
        rho = 1.001 * found.sharp
        for params in (awake, asleep):
            assert certificate(network, params, rho, weight).convex
            values, _, size = energies(network, params, rho, weight)
            p, q = np.abs(rng.normal(size=(2, 400, size)))
            mean = (values(p) + values(q)) / 2
            assert np.all(values((p + q) / 2) <= mean * (1 + 1e-12))
    rho = 0.9 * found.sharp if sign > 0 else 1e3
    assert not certificate(network, asleep, rho, weight).convex
    values, hessian, size = energies(network, asleep, rho, weight)
    worst = np.linalg.eigh(hessian(np.ones(size)))[1][:, 0]
    ends = 1 + 0.5 * np.stack([worst, -worst]) / np.abs(worst).max()
    p, q, middle = values(np.stack([*ends, ends.mean(axis=0)]))
    assert middle > (p + q) / 2
