"""Directions of the aggregated methods, by hand: SAGA is unbiased, SAG and PIAG take means."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import PIAG, SAG, SAGA, BackPropagation
from liftax._iterate import repeat
from tests.helpers import compiled

from .problems import LAYER, over_bias, regression

COUNT, SIZE, RATE = 2, 5, 0.3
RULES = {"saga": SAGA, "sag": SAG}


def gradients(x, y, theta: np.ndarray) -> np.ndarray:
    """Of the batches, at weights over the bias."""
    design = np.hstack([x, np.ones((len(x), 1))])
    parts = zip(np.split(design, COUNT), np.split(np.asarray(y), COUNT), strict=True)
    return np.stack([a.T @ (a @ theta - b) / SIZE for a, b in parts])


def by_hand(x, y, start: np.ndarray, rule: str, places: tuple[int, ...]) -> np.ndarray:
    theta, table = start, gradients(x, y, start)
    for place in places:
        new, mean = gradients(x, y, theta)[place], table.mean(0)
        direction = new - table[place] + mean
        table = table.copy()
        table[place] = new
        theta = theta - RATE * (direction if rule == "saga" else table.mean(0))
    return theta


@pytest.mark.parametrize("rule", RULES)
def test_every_draw_gives_the_step_by_hand(rule: str) -> None:
    """Two batches, two epochs: each end is that of one of the sixteen sequences of draws."""
    energy, params, x, y = regression([1.0, 0.6], samples=COUNT * SIZE + 1)
    method = RULES[rule](BackPropagation(optax.sgd(RATE)), SIZE)

    @compiled
    @jax.vmap
    def two_epochs(key):
        def epoch(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        return repeat(epoch, (params, method.init(energy, params, x, y, key)), 2)[0][LAYER]

    found = two_epochs(jax.random.split(jax.random.key(0), 60))
    found = np.concatenate([found["weight"], found["bias"][:, None]], 1)
    data = np.asarray(x)[: COUNT * SIZE], np.asarray(y)[: COUNT * SIZE]
    start = over_bias(params[LAYER])
    drawn = itertools.product(range(COUNT), repeat=2 * COUNT)
    expected = np.stack([by_hand(*data, start, rule, places) for places in drawn])
    gaps = np.abs(found[:, None] - expected).max((2, 3))
    assert np.all(gaps.min(1) < 1e-12)
    assert len(set(gaps.argmin(1))) >= 8


@pytest.mark.parametrize("delay", [0, 3])
def test_delayed_gradients_by_hand(delay: int) -> None:
    """Batch k mod m at the parameters of `delay` steps before, and the mean of the table."""
    energy, params, x, y = regression([1.0, 0.6], samples=COUNT * SIZE)
    method = PIAG(BackPropagation(optax.sgd(RATE)), SIZE, delay)

    @compiled
    def epochs(params):
        def epoch(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        state = method.init(energy, params, x, y, jax.random.key(0))
        return repeat(epoch, (params, state), 4)[0][LAYER]

    path = [over_bias(params[LAYER])] * (delay + 1)
    table = gradients(x, y, path[0])
    for step in range(4 * COUNT):
        place = step % COUNT
        table[place] = gradients(x, y, path[-1 - delay])[place]
        path.append(path[-1] - RATE * table.mean(0))
    np.testing.assert_allclose(over_bias(epochs(params)), path[-1], atol=1e-12)


def test_the_mean_of_the_table_is_kept() -> None:
    energy, params, x, y = regression([1.0, 0.6], samples=COUNT * SIZE)
    method = SAGA(BackPropagation(optax.sgd(RATE)), SIZE)

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        state = method.step(energy, params, state, x, y).state
        return state.mean, jax.tree.map(lambda t: jnp.mean(t, 0), state.table)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), *run(params))
