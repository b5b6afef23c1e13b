"""Potentials that couple entries, and orthogonal matrices, against independent solutions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import polar

from liftax.potentials import (
    AbstractPotential,
    Ball,
    GroupSoftThreshold,
    MaxAffine,
    NuclearNorm,
    Orthogonal,
    Sparsemax,
    SpectralBall,
)
from tests.helpers import compiled

RNG = np.random.default_rng(5)


def nearest_on_simplex(z: np.ndarray, mass: float) -> np.ndarray:
    """By trying every support: on it z is shifted to have the mass."""
    candidates = []
    for size in range(1, len(z) + 1):
        for support in itertools.combinations(range(len(z)), size):
            u = np.zeros_like(z)
            u[list(support)] = z[list(support)] - (sum(z[list(support)]) - mass) / size
            if np.all(u >= 0):
                candidates.append(u)
    return min(candidates, key=lambda u: float(np.sum((u - z) ** 2)))


def test_sparsemax_against_all_supports() -> None:
    z = np.concatenate([RNG.normal(size=(20, 5)), [[1, 1, 1, 1, 1], [5, 0, 0, 0, 0.0]]])
    u = jax.jit(jax.vmap(Sparsemax().activation))(jnp.asarray(z))
    np.testing.assert_allclose(u, [nearest_on_simplex(row, 1.0) for row in z], atol=1e-14)
    assert np.any(np.asarray(u) == 0)


def test_max_affine_against_all_supports() -> None:
    """Moreau: v is the prox plus τw times the projection of v / (τw)."""
    v = RNG.normal(size=(20, 5))
    prox = jax.jit(jax.vmap(lambda v: MaxAffine(0.7).prox(v, 2.0)))(jnp.asarray(v))
    rest = [nearest_on_simplex(row, 1.4) for row in v]
    np.testing.assert_allclose(prox, v - rest, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_singular_values_against_numpy(shape: tuple[int, int]) -> None:
    """Matrices in a batch axis as well, of which Ψ is the sum."""
    z = RNG.normal(size=(2, *shape))
    left, values, right = np.linalg.svd(z, full_matrices=False)

    @compiled
    def run(z):
        nuclear, ball = NuclearNorm(0.8), SpectralBall(1.1)
        return nuclear.prox(z, 0.5), ball.prox(z, 0.5), nuclear.value(z), ball.conjugate(z)

    shrunk, clipped, norm, support = run(jnp.asarray(z))
    np.testing.assert_allclose(
        shrunk, (left * np.maximum(values - 0.4, 0)[:, None]) @ right, atol=1e-13
    )
    np.testing.assert_allclose(
        clipped, (left * np.minimum(values, 1.1)[:, None]) @ right, atol=1e-13
    )
    np.testing.assert_allclose([norm, support], [0.8 * values.sum(), 1.1 * values.sum()])


def test_groups_and_balls_take_their_axes() -> None:
    z = RNG.normal(size=(3, 2, 2))
    size = np.linalg.norm(z, axis=0, keepdims=True)

    @compiled
    def run(z):
        soft, ball = GroupSoftThreshold(0.9, axis=0), Ball(0.6, axes=0)
        return soft.activation(z), soft.value(z), ball.activation(z), Ball(0.6).activation(z)

    shrunk, value, many, one = run(jnp.asarray(z))
    np.testing.assert_allclose(shrunk, np.maximum(1 - 0.9 / size, 0) * z, atol=1e-14)
    np.testing.assert_allclose(value, 0.9 * size.sum())
    np.testing.assert_allclose(many, np.minimum(1, 0.6 / size) * z, atol=1e-14)
    np.testing.assert_allclose(one, 0.6 / np.linalg.norm(z) * z, atol=1e-14)


@pytest.mark.parametrize(
    "potential",
    [Ball(), GroupSoftThreshold(), GroupSoftThreshold(0.0), NuclearNorm(), SpectralBall()],
    ids=str,
)
def test_derivatives_at_zero(potential: AbstractPotential) -> None:
    """Norms have kinks at zero, and nothing else has: no NaN."""

    @compiled
    def run(z):
        found = [jax.grad(potential.phi_conjugate)(z), jax.grad(potential.value)(z)]
        if not isinstance(potential, NuclearNorm | SpectralBall):
            found.append(jax.jvp(potential.activation, (z,), (jnp.ones_like(z),))[1])
        return found

    for z in (jnp.zeros((2, 2)), jnp.asarray([[0.0, 0.0], [3.0, 4.0]])):
        assert all(bool(np.all(np.isfinite(g))) for g in run(z))


def test_norms_of_tiny_and_huge_vectors() -> None:
    """Squares neither vanish nor overflow in single precision."""
    soft = jax.jit(GroupSoftThreshold(1.0).value)
    for size in (1e-30, 1e30):
        z = jnp.asarray([3 * size, 4 * size], jnp.float32)
        np.testing.assert_allclose(soft(z), 5 * size, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_orthogonal_is_the_polar_factor(shape: tuple[int, int]) -> None:
    v = RNG.normal(size=(2, *shape))
    run = jax.jit(lambda v: (Orthogonal().prox(v, 0.3), Orthogonal().value(v)))
    u, outside = run(jnp.asarray(v))
    exact = [polar(m)[0] if shape[0] >= shape[1] else polar(m, "left")[0] for m in v]
    np.testing.assert_allclose(u, exact, atol=1e-13)
    assert outside == jnp.inf
    again, inside = run(u)
    np.testing.assert_allclose(again, u, atol=1e-13)
    assert inside == 0
