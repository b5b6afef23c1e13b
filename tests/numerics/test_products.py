"""Products of rounded factors: what they equal, what they leave alone, what they do to training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax.training import rounded_products


def drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# A function, the shapes of its two factors, and the product as einsum has it.
PRODUCTS: dict[str, tuple[Callable, tuple[int, ...], tuple[int, ...], str]] = {
    "plain": (lambda a, b: a @ b, (9, 7), (7, 5), "ik,kj->ij"),
    "second transposed": (lambda a, b: a @ b.T, (9, 7), (5, 7), "ik,jk->ij"),
    "first transposed": (lambda a, b: a.T @ b, (7, 9), (7, 5), "ki,kj->ij"),
    "both transposed": (lambda a, b: a.T @ b.T, (7, 9), (5, 7), "ki,jk->ij"),
    "result transposed": (lambda a, b: (a @ b).T, (9, 7), (7, 5), "ik,kj->ji"),
    "all transposed": (lambda a, b: (a.T @ b.T).T, (7, 9), (5, 7), "ki,jk->ji"),
    "one row": (lambda a, b: a.T @ b, (1, 9), (1, 5), "ki,kj->ij"),
    "a batch": (lambda a, b: a @ b, (3, 9, 7), (3, 7, 5), "bik,bkj->bij"),
    "a batch, result transposed": (
        lambda a, b: jnp.swapaxes(a @ b, 1, 2),
        (3, 9, 7),
        (3, 7, 5),
        "bik,bkj->bji",
    ),
    "three axes": (lambda a, b: a @ b, (3, 9, 7), (7, 5), "bik,kj->bij"),
    "mapped": (lambda a, b: jax.vmap(lambda row: b @ row)(a), (9, 7), (5, 7), "ik,jk->ij"),
    "mapped, transposed": (
        lambda a, b: jax.vmap(lambda row: b.T @ row)(a),
        (9, 7),
        (7, 5),
        "ik,kj->ij",
    ),
    "in a program": (lambda a, b: jax.jit(lambda a, b: a @ b)(a, b), (9, 7), (7, 5), "ik,kj->ij"),
    "in a branch": (
        lambda a, b: jax.lax.cond(a[0, 0] < 9, jnp.matmul, lambda a, b: 0 * a @ b, a, b),
        (9, 7),
        (7, 5),
        "ik,kj->ij",
    ),
    "in a loop": (
        lambda a, b: jax.lax.fori_loop(0, 2, lambda i, c: 0 * c + a @ b, 0 * (a @ b)),
        (9, 7),
        (7, 5),
        "ik,kj->ij",
    ),
    "a gradient": (
        lambda a, b: jax.grad(lambda b: 0.5 * jnp.sum((a @ b) ** 2) - 0.5 * jnp.sum(b**2))(b) + b,
        (9, 7),
        (7, 5),
        "",
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_those_of_rounded_factors(name: str) -> None:
    function, first, second, subscripts = PRODUCTS[name]
    a, b = drawn(*first), drawn(*second, seed=1)
    found, plain = jax.jit(lambda a, b: (rounded_products(function)(a, b), function(a, b)))(a, b)
    exact = [v.astype(jnp.bfloat16).astype(np.float64) for v in (a, b)]
    if subscripts:
        expected = np.einsum(subscripts, *exact)
    else:  # A'(AB), whose second product rounds the first one again
        inner = (exact[0] @ exact[1]).astype(np.float32).astype(jnp.bfloat16)
        expected = exact[0].T @ inner.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert np.abs(np.asarray(found) - plain).max() > 1e-4


def test_whatever_is_no_product_of_single_matrices_stays() -> None:
    def function(a: Any, x: Any) -> Any:
        kept = jnp.matmul(a, a.T, precision="highest")
        return a @ x, jnp.vdot(a, a), jnp.tanh(a), jnp.sum(a), x, kept

    a, x = drawn(9, 7), drawn(7)
    ours, theirs = jax.jit(rounded_products(function))(a, x), jax.jit(function)(a, x)
    assert all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))
    wide = np.asarray(a, np.float64)
    found = jax.jit(rounded_products(lambda a: a @ a.T))(wide)
    np.testing.assert_allclose(found, wide @ wide.T, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (jnp.float32, "shorter type such as bfloat16, got"),
        (jnp.float64, "shorter type such as bfloat16, got"),
        (jnp.int8, "must be a floating-point type such as jnp.float32, got int8"),
    ],
)
def test_types_that_are_not_shorter_are_refused(dtype: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rounded_products(jnp.matmul, dtype)


@pytest.mark.parametrize(
    "method",
    [
        liftax.OneSweep(optax.sgd(0.1)),
        pytest.param(liftax.Contrastive(optax.sgd(0.1), inner=3), marks=pytest.mark.slow),
        pytest.param(liftax.ImplicitSGD(1.0, inner=2), marks=pytest.mark.slow),
        liftax.BackPropagation(optax.sgd(0.1)),
    ],
    ids=lambda method: type(method).__name__,
)
def test_a_step_changes_by_the_rounding_only(method: Any) -> None:
    network = liftax.mlp([12, 16, 8, 3])
    energy, x = liftax.LiftedEnergy(network), jnp.asarray(drawn(20, 12))
    y = jnp.eye(3, dtype=jnp.float32)[jnp.arange(20) % 3]

    @jax.jit
    def started() -> Any:
        params = network.init(jax.random.key(0), jnp.float32)
        return params, method.init(energy, params, x, y, jax.random.key(1))

    def step(params: Any, state: Any) -> Any:
        return method.step(energy, params, state, x, y).params

    params, state = started()
    both = (rounded_products(step), step)
    ours, theirs = (jax.tree.leaves(jax.jit(f)(params, state)) for f in both)
    moved = [new - old for new, old in zip(theirs, jax.tree.leaves(params), strict=True)]
    for a, b, step_taken in zip(ours, theirs, moved, strict=True):
        difference, length = np.linalg.norm(a - b), np.linalg.norm(step_taken)
        assert 1e-5 * length < difference < 0.1 * length
