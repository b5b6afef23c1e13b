"""Learnable hyper-parameters, as numbers and as arrays, and the pieces of straight activations."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.potentials import AbstractPiecewiseLinear, AbstractPotential, Ball, Clip
from tests.helpers import ROWS, SIZE, VARIANTS, Squared, arguments, compiled

# Each row's own example shape, and the shape of a hyper-parameter with one value a channel.
CHANNELS = {"group_soft_threshold": (2, 1), "nuclear_norm": (2,), "max_affine": (1,)}


def bare(name: str) -> AbstractPotential:
    potential = ROWS[name].potential
    return potential.inner if isinstance(potential, Squared) else potential


def examples(name: str) -> jax.Array:
    z = 1.5 * arguments(name)[:8]  # some beyond every bound
    return z.reshape(-1, 2, 2) if isinstance(ROWS[name].potential, Squared) else z


LEARNABLE = [(n, f) for n in ROWS if n not in VARIANTS for f in bare(n).learnable]
PIECEWISE = [n for n in ROWS if isinstance(bare(n), AbstractPiecewiseLinear)]


def test_what_is_learnable() -> None:
    found = {(type(bare(n)).__name__, field) for n, field in LEARNABLE}
    assert found >= {
        ("SoftThreshold", "threshold"),
        ("NonNegativeSoftThreshold", "threshold"),
        ("GroupSoftThreshold", "threshold"),
        ("LeakyReLU", "slope"),
        ("ElasticNet", "l1"),
        ("ElasticNet", "l2"),
        ("Huber", "delta"),
        ("Clip", "low"),
        ("Clip", "high"),
        ("Ball", "radius"),
    }
    for name, field in LEARNABLE:
        low, high = bare(name).learnable[field]
        assert low <= getattr(bare(name), field) <= high


@pytest.mark.parametrize(("name", "field"), LEARNABLE)
def test_envelope_theorem(name: str, field: str) -> None:
    """d/dρ φ*_ρ(z) is the difference quotient, and -d/dρ Ψ_ρ(u) at u = σ(z) held fixed.

    ρ is traced, one value a channel.
    """
    potential, z = bare(name), examples(name)
    shape = CHANNELS.get(name, (SIZE,))
    rho = getattr(potential, field) * (1 + 0.1 * np.linspace(0, 1, int(np.prod(shape))))
    rho, h = jnp.asarray(rho.reshape(shape)), 1e-6

    def at(rho) -> AbstractPotential:
        return eqx.tree_at(lambda p: getattr(p, field), potential, rho)

    @compiled
    def run(rho):
        def star(rho):
            return jnp.sum(jax.vmap(at(rho).phi_conjugate)(z))

        states = jax.vmap(at(rho).activation)(z)

        def psi(rho):
            return jnp.sum(jax.vmap(at(rho).value)(states))

        direction = jnp.cos(jnp.arange(rho.size, dtype=rho.dtype)).reshape(rho.shape)
        ahead, behind = star(rho + h * direction), star(rho - h * direction)
        gradient = jax.grad(star)(rho)
        return (
            jnp.sum(gradient * direction),
            (ahead - behind) / (2 * h),
            gradient,
            jax.grad(psi)(rho),
        )

    along, difference, gradient, of_psi = run(rho)
    np.testing.assert_allclose(along, difference, rtol=1e-6, atol=1e-6)
    assert float(jnp.max(jnp.abs(gradient))) > 0.01
    if not isinstance(potential, Clip | Ball):  # whose Ψ have no derivative: their domains move
        np.testing.assert_allclose(gradient, -of_psi, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", PIECEWISE)
def test_pieces(name: str) -> None:
    """They follow each other without gaps and reproduce the activation."""
    potential = bare(name)
    assert isinstance(potential, AbstractPiecewiseLinear)
    pieces = potential.pieces()
    z = np.linspace(-8, 8, 401)
    value = np.full_like(z, np.nan)
    for low, high, slope, intercept in pieces:
        inside = (np.asarray(low) <= z) & (z <= np.asarray(high))
        value[inside] = slope * z[inside] + intercept
    np.testing.assert_allclose(potential.activation(jnp.asarray(z)), value, atol=1e-14)
    assert pieces[0][0] == -np.inf and pieces[-1][1] == np.inf
    for (_, end, a, b), (start, _, c, d) in itertools.pairwise(pieces):
        assert start == end
        np.testing.assert_allclose(a * end + b, c * end + d, atol=1e-15)


def test_pieces_with_one_parameter_a_channel() -> None:
    ends = Clip(jnp.asarray([[-1.0], [-2.0]]), jnp.asarray([[0.5], [1.0]])).pieces()[1][:2]
    assert jnp.shape(ends[0]) == jnp.shape(ends[1]) == (2, 1)
