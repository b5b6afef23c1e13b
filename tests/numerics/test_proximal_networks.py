"""Unrolled networks with equal dictionaries against the algorithms, written with a dense matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import BlockCoordinateDescent, LiftedEnergy
from liftax._iterate import scan
from liftax.networks import dcp, ddfb, ddifb, dscp, fixed
from tests.helpers import compiled, quick

SHAPE, FEATURES, LEVEL = (5, 4, 1), 3, 0.1


def dictionary() -> np.ndarray:
    """Filters of norm below 1: differences, and a smaller random one."""
    rng = np.random.default_rng(0)
    w = np.zeros((3, 3, 1, FEATURES))
    w[1, 1, 0, :2], w[1, 2, 0, 0], w[2, 1, 0, 1] = -0.3, 0.3, 0.3
    w[..., 2] = rng.normal(size=(3, 3, 1)) / 20
    return w


def matrix(w: np.ndarray) -> np.ndarray:
    """Correlation with zeros outside, from pixels to (pixels, features)."""
    height, width, _ = SHAPE
    rows = np.zeros((height, width, FEATURES, height, width))
    for i in range(height):
        for j in range(width):
            for a in range(3):
                for b in range(3):
                    k, m = i + a - 1, j + b - 1
                    if 0 <= k < height and 0 <= m < width:
                        rows[i, j, :, k, m] = w[a, b, 0]
    return rows.reshape(-1, height * width)


def box(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 1)


def clipped(u: np.ndarray) -> np.ndarray:
    return np.clip(u, -LEVEL, LEVEL)


def in_balls(u: np.ndarray) -> np.ndarray:
    rows = u.reshape(-1, FEATURES)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.minimum(1, LEVEL / np.maximum(size, 1e-300))).ravel()


def forward_backward(d, y, sigma, iterations: int) -> np.ndarray:
    u = sigma(1.9 * d @ y)
    for _ in range(iterations - 1):
        u = sigma(u + 1.9 * d @ box(y - d.T @ u))
    return box(y - d.T @ u)


def fista(d, y, sigma, iterations: int) -> np.ndarray:
    u = v = sigma(d @ y)
    t = (1 + np.sqrt(5)) / 2
    for _ in range(iterations - 1):
        new = sigma(v + d @ box(y - d.T @ v))
        grown = (1 + np.sqrt(1 + 4 * t**2)) / 2
        v, u, t = new + (t - 1) / grown * (new - u), new, grown
    return box(y - d.T @ u)


def chambolle_pock(d, y, sigma, iterations: int, accelerated: bool = False) -> np.ndarray:
    u, x, older = np.zeros(len(d)), y, y
    s = t = 0.99
    alpha = 1.0
    for _ in range(iterations):
        u = sigma(u + s * d @ (x + alpha * (x - older)))
        older, x = x, box((x + t * (y - d.T @ u)) / (1 + t))
        if accelerated:
            alpha = 1 / np.sqrt(1 + 2 * t)
            t, s = alpha * t, s / alpha
    return x


ALGORITHMS = {
    "ddfb": (ddfb, forward_backward),
    "ddifb": (ddifb, fista),
    "dcp": (dcp, chambolle_pock),
    "dscp": (dscp, lambda *problem: chambolle_pock(*problem, accelerated=True)),
}


def filled(network, w: np.ndarray):
    """The parameters with this dictionary everywhere."""
    shapes = jax.eval_shape(lambda key: network.init(key, jnp.float64), jax.random.key(0))
    level = {"low": jnp.array(-LEVEL), "high": jnp.array(LEVEL), "radius": jnp.array(LEVEL)}
    return {
        name: {k: level[k] for k in theta} if name.endswith(".potential") else {"weight": w}
        for name, theta in shapes.items()
    }


CASES = {
    f"{name}{', groups' if group else ''}{', tied' if tied else ''}": (name, group, tied)
    for name in ALGORITHMS
    for group in (False, True)
    for tied in (False, True)
}
FAST = ("ddfb, tied", "ddifb, groups", "dcp, groups, tied", "dscp")


@pytest.mark.parametrize("case", quick(CASES, *FAST))
def test_equal_dictionaries_give_the_algorithm(case: str) -> None:
    name, group, tied = CASES[case]
    build, algorithm = ALGORITHMS[name]
    network = build(SHAPE, FEATURES, 4, group=group, tied=tied)
    y = np.random.default_rng(1).uniform(-0.2, 1.2, (2, *SHAPE))
    w = dictionary()
    found = jax.jit(network)(filled(network, w), y)
    sigma = in_balls if group else clipped
    for image, expected in zip(np.asarray(found), y, strict=True):
        solution = algorithm(matrix(w), expected.ravel(), sigma, 4)
        np.testing.assert_allclose(image.ravel(), solution, atol=1e-12)


def test_all_algorithms_agree_in_the_limit() -> None:
    y = np.random.default_rng(1).uniform(-0.2, 1.2, np.prod(SHAPE))
    d = matrix(dictionary())
    for sigma in (clipped, in_balls):
        limits = [algorithm(d, y, sigma, 3000) for _, algorithm in ALGORITHMS.values()]
        for limit in limits:
            np.testing.assert_allclose(limit, limits[0], atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_descent(name: str) -> None:
    """Block descent of the lifted energy, thresholds as they are; dictionaries keep their bound."""
    network = fixed(ALGORITHMS[name][0](SHAPE, FEATURES, 3, tied=True))
    energy = LiftedEnergy(network)
    rng = np.random.default_rng(2)
    x = jax.device_put(rng.uniform(0, 1, (4, *SHAPE)))
    y = jax.device_put(rng.uniform(0, 1, (4, *SHAPE)))
    method = BlockCoordinateDescent()

    @compiled
    def run(key):
        params = network.init(key, jnp.float64)

        def step(carry, _):
            params, state = carry
            states, _ = method.states(energy, params, state, x, y)
            out = method.step(energy, params, state, x, y)
            return (out.params, out.state), energy.value(params, states)

        carry = params, method.init(energy, params, x, y, key)
        return scan(step, carry, jnp.arange(4))[1]

    values = np.asarray(run(jax.random.key(0)))
    assert np.all(np.diff(values) < 0)


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        ddfb(SHAPE, 3, 0)
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        dcp(SHAPE, 3, 0)
    with pytest.raises(ValueError, match="threshold must be positive, got 0"):
        dscp(SHAPE, 3, 2, threshold=0)
