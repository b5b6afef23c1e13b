"""Unrolled algorithms of inverse problems against the algorithms, written with dense matrices."""

import jax
import numpy as np
import pytest

from liftax.imaging import Blur, FilteredBackProjection, Mask, Radon
from liftax.networks import (
    Prior,
    chambolle_pock,
    condat_vu,
    half_quadratic_network,
    proximal_gradient,
)
from tests.helpers import quick

from .test_proximal_networks import (
    FEATURES,
    SHAPE,
    box,
    clipped,
    dictionary,
    filled,
    in_balls,
    matrix,
)

STEPS = (0.5, 2.0, 8.0)
PIXELS = int(np.prod(SHAPE))


def blur() -> Blur:
    kernel = np.random.default_rng(3).uniform(0, 1, (3, 3))
    return Blur(SHAPE, kernel / kernel.sum(), "periodic")


def mask() -> Mask:
    return Mask((np.random.default_rng(3).uniform(size=SHAPE) < 0.6).astype(float))


def radon() -> Radon:
    return Radon(SHAPE, (0.0, 50.0, 110.0), 7)


def dense(operator) -> np.ndarray:
    images = jax.vmap(operator.apply)(
        np.eye(operator_size(operator)).reshape(-1, *operator.in_shape)
    )
    return np.asarray(images).reshape(len(images), -1).T


def operator_size(operator) -> int:
    return int(np.prod(operator.in_shape))


def splitting(a, d, y, sigma, data) -> np.ndarray:
    """`data` holds a function for each step."""
    x = box(data[0](a.T @ y))
    for step in data[1:]:
        x = box(step(x - d.T @ sigma(1.9 * d @ x)))
    return box(x - d.T @ sigma(1.9 * d @ x))


def primal_dual(a, d, y, sigma, step, dual, iterations) -> np.ndarray:
    """`step` is a function of x and Vu."""
    older, u = a.T @ y, np.zeros(len(d))
    x = box(step(older, 0))
    for _ in range(iterations):
        u = sigma(u + dual * d @ (2 * x - older))
        older, x = x, box(step(x, d.T @ u))
    return x


def by_layers(operator, prior, a, d, y, sigma):
    """Three dual steps of each denoising."""

    def denoised(x):
        u = sigma(1.9 * d @ x)
        for _ in range(2):
            u = sigma(u + 1.9 * d @ box(x - d.T @ u))
        return x - d.T @ u

    data = [resolvent(a, y, t) for t in STEPS]
    x = box(data[0](a.T @ y))
    for step in data[1:]:
        x = box(step(denoised(x)))
    network = half_quadratic_network(operator, prior._replace(layers=3), STEPS)
    return network, box(denoised(x))


def gradient(a, y, t, back=None):
    b = a.T if back is None else back
    return lambda x: x - t * b @ (a @ x - y)


def resolvent(a, y, t):
    system = np.eye(a.shape[1]) + t * a.T @ a
    return lambda x: np.linalg.solve(system, x + t * a.T @ y)


def bound(operator) -> float:
    """The library's upper bound of |A|², checked against the matrix."""
    found = 1.02 * float(operator.norm()) ** 2
    assert np.linalg.norm(dense(operator), 2) ** 2 <= found
    return found


def by_gradients(operator, prior, a, d, y, sigma):
    t = 1 / bound(operator)
    return proximal_gradient(operator, prior, 3), splitting(a, d, y, sigma, [gradient(a, y, t)] * 3)


def by_another_map_back(operator, prior, a, d, y, sigma):
    """Filtered back-projection B in place of the adjoint, also at the start, with steps of 0.7."""
    back = FilteredBackProjection(operator)
    b = dense(back)
    network = proximal_gradient(operator, prior, 3, step=0.7, back=back)
    return network, splitting(b.T, d, y, sigma, [gradient(a, y, 0.7, b)] * 3)


def by_halves(operator, prior, a, d, y, sigma):
    data = [resolvent(a, y, t) for t in STEPS]
    return half_quadratic_network(operator, prior, STEPS), splitting(a, d, y, sigma, data)


def by_condat(operator, prior, a, d, y, sigma):
    t = 1 / bound(operator)
    dual = 0.99 * (1 - t * bound(operator) / 2)
    one = gradient(a, y, t)
    solution = primal_dual(a, d, y, sigma, lambda x, v: one(x) - v, dual, 3)
    return condat_vu(operator, prior, 3), solution


def by_chambolle(operator, prior, a, d, y, sigma):
    one = resolvent(a, y, 3.0)
    solution = primal_dual(a, d, y, sigma, lambda x, v: one(x - v), 0.99, 3)
    return chambolle_pock(operator, prior, 3, 3.0), solution


CASES = {
    "gradients, radon": (by_gradients, radon, False, False),
    "another map back, radon": (by_another_map_back, radon, False, False),
    "gradients, blur, tied": (by_gradients, blur, False, True),
    "halves, blur": (by_halves, blur, False, False),
    "halves, mask, groups, tied": (by_halves, mask, True, True),
    "layers, blur, tied": (by_layers, blur, False, True),
    "layers, mask": (by_layers, mask, False, False),
    "condat, radon, groups": (by_condat, radon, True, False),
    "condat, mask, tied": (by_condat, mask, False, True),
    "chambolle, blur, groups, tied": (by_chambolle, blur, True, True),
    "chambolle, mask": (by_chambolle, mask, False, False),
}
FAST = (
    "halves, mask, groups, tied",
    "layers, blur, tied",
    "chambolle, blur, groups, tied",
)


@pytest.mark.parametrize("case", quick(CASES, *FAST))
def test_equal_dictionaries_give_the_algorithm(case: str) -> None:
    algorithm, make, group, tied = CASES[case]
    operator, w = make(), dictionary()
    a = dense(operator)
    y = a @ np.random.default_rng(1).uniform(-0.2, 1.2, PIXELS)
    prior = Prior(FEATURES, group=group, tied=tied)
    sigma = in_balls if group else clipped
    network, solution = algorithm(operator, prior, a, matrix(w), y, sigma)
    params = {**filled(network, w), "x1": ({}, {})}
    found = jax.jit(lambda p, y: network(p, y))(params, y.reshape(1, *operator.out_shape))
    np.testing.assert_allclose(np.asarray(found).ravel(), solution, atol=1e-11)
