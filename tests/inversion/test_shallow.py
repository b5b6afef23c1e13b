"""Shallow networks with one input, unit by unit."""

import jax
import jax.numpy as jnp
import numpy as np

from liftax.affine import Dense
from liftax.blocks import Plain, ProximalGradient
from liftax.inversion import BlockDescent, Tikhonov, invert
from liftax.networks import chain, mlp, units
from tests.helpers import compiled


def closed_form(c, w, b, f: float, alpha: float, sweeps: int) -> float:
    r"""Coordinate descent for ½(f - Σcu)² + Σ B(u, wu₀ + b) + α/2 u₀², from u₀ = 0.

    ReLU; the units from the last to the first. A step on u₀ is that of the majorant with
    1.02‖w‖², of which the solver's power iteration knows.
    """
    u, start = np.maximum(b, 0.0), 0.0
    size = 1.02 * np.sum(w**2)
    for _ in range(sweeps):
        for k in reversed(range(len(c))):
            rest = c @ u - c[k] * u[k]
            u[k] = max(0.0, (c[k] * (f - rest) + w[k] * start + b[k]) / (1 + c[k] ** 2))
        start = start - w @ (np.maximum(w * start + b, 0) - u) / size
        start = start / (1 + alpha / size)
    return start


def test_block_descent_over_units_is_the_closed_form() -> None:
    """Sweep by sweep, for many values of the network at once."""
    rng = np.random.default_rng(0)
    c, w, b = rng.normal(size=4), rng.uniform(0.5, 1.5, 4), np.array([0.1, 0.0, -0.2, 0.3])
    network = chain((1,), [(Dense(4), "relu"), (Dense(1, use_bias=False), "identity")])
    layers = {"weight": w[None], "bias": b}, {"weight": c[:, None]}
    given = dict(zip(("layer1", "layer2"), layers, strict=True))
    divided, params = units(network, jax.device_put(given))
    y = np.array([0.7, 1.5, -0.3])[:, None]
    solver = BlockDescent(7, 1, tolerance=0.0, step=ProximalGradient(), inertia=Plain())
    found = invert(divided, params, y, Tikhonov(), 0.03, solver=solver)
    expected = [closed_form(c, w, b, f, 0.03, 7) for f in y[:, 0]]
    np.testing.assert_allclose(np.asarray(found.x)[:, 0], expected, atol=1e-12)


def test_units_are_the_same_network() -> None:
    """Several layers, a softmax that is no unit's own, names in order."""
    network = mlp([3, 2, 3, 2], "tanh")
    params = network.init(jax.random.key(0), jnp.float64)
    divided, parts = units(network, params)
    x = np.random.default_rng(0).normal(size=(5, 3))
    run = compiled(lambda a, b, x: (network(a, x), divided(b, x)))
    np.testing.assert_allclose(*run(params, parts, x), atol=1e-14)
    names = [f"layer1.{k}" for k in range(2)] + [f"layer2.{k}" for k in range(3)] + ["layer3"]
    assert [node.name for node in divided.nodes] == names
    expected = jax.tree.structure(divided.init(jax.random.key(0)))
    assert jax.tree.structure(parts) == expected
