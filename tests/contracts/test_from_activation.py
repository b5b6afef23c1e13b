"""A potential from an activation alone agrees with the one in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.potentials import AbstractPotential, Clip, FromActivation, LeakyReLU, Tanh
from tests.helpers import compiled, quick

TAUS = (1e-3, 0.3, 1.0, 5.0, 1e3)
V = np.array([-1e4, -30.0, -3.0, -0.5, 0.0, 0.3, 1.0, 2.7, 40.0, 1e4])
PAIRS: dict[str, tuple[Callable, AbstractPotential]] = {
    "tanh": (jnp.tanh, Tanh()),
    "kink at zero": (lambda z: jnp.where(z > 0, z, 0.1 * z), LeakyReLU(0.1)),
    "kinks": (lambda z: jnp.clip(z, -2.0, 1.0), Clip(-2.0, 1.0)),
}


@pytest.mark.parametrize("name", quick(PAIRS, "tanh", "kinks"))
def test_agrees_with_the_closed_form(name: str) -> None:
    sigma, exact = PAIRS[name]
    z = jnp.asarray(V)
    u, s = exact.activation(z[1:-1]), z - exact.activation(z)

    @compiled
    def run(z, u, s, taus):
        def methods(potential):
            entries = [x[:, None] for x in (z, u, s)]
            functions = (potential.phi_conjugate, potential.value, potential.conjugate)
            found = [jax.vmap(f)(x) for f, x in zip(functions, entries, strict=True)]
            prox = jax.vmap(potential.prox, (None, 0))(z, taus)
            return *found, prox, jax.grad(potential.phi_conjugate)(z)

        return methods(FromActivation(sigma)), methods(exact)

    (star, psi, dual, prox, slope), (star_, psi_, dual_, prox_, slope_) = run(
        z, u, s, jnp.asarray(TAUS)
    )
    np.testing.assert_allclose(star, star_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(psi, psi_, rtol=1e-11, atol=1e-11)
    inside = np.isfinite(dual_)
    np.testing.assert_allclose(dual[inside], dual_[inside], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(prox, prox_, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(slope, slope_, rtol=1e-14, atol=1e-15)


def test_entries_that_arrive_early_stay() -> None:
    """Every entry of one large example is solved, whenever the others are."""
    v = np.concatenate([np.linspace(-40, 40, 301), 10.0 ** np.arange(-12, 5)])
    mine, exact = jax.jit(FromActivation(jnp.tanh).prox), jax.jit(Tanh().prox)
    for tau in TAUS:
        expected = exact(v, tau)
        np.testing.assert_allclose(mine(v, tau), expected, rtol=1e-12, atol=1e-15)
        # noise of the equation is τ times that of z
        single = mine(v.astype(np.float32), np.float32(tau))
        np.testing.assert_allclose(single, expected, rtol=1e-6 * max(1, tau), atol=1e-6)


def test_outside_the_range() -> None:
    """Ψ and Ψ* are infinite there; ends are found or given."""
    value = jax.jit(jax.vmap(FromActivation(jnp.tanh).value))
    found = value(jnp.asarray([[-1.0001], [-1.0], [1.0], [1.0001]]))
    np.testing.assert_allclose(found, [np.inf, np.log(2) - 0.5, np.log(2) - 0.5, np.inf])
    assert FromActivation(jnp.arcsinh).range == (-np.inf, np.inf)
    assert FromActivation(lambda z: z / (1 + jnp.abs(z))).range == pytest.approx((-1, 1))
    assert FromActivation(jnp.tanh, (-1, 1)).range == (-1.0, 1.0)
    relu = FromActivation(jax.nn.relu)
    assert relu.range == (0.0, np.inf)
    assert jax.jit(relu.conjugate)(jnp.asarray([0.1])) == np.inf


def test_single_precision() -> None:
    potential, exact = FromActivation(jnp.tanh), Tanh()
    v = jnp.asarray(V, jnp.float32)

    @compiled
    def run(v):
        return [
            (p.prox(v, 0.3), p.phi_conjugate(v), p.value(jnp.tanh(v))) for p in (potential, exact)
        ]

    for mine, other in zip(*run(v), strict=True):
        assert mine.dtype == jnp.float32
        np.testing.assert_allclose(mine, other, rtol=1e-5)


@pytest.mark.parametrize(
    ("sigma", "match"),
    [
        (jax.nn.gelu, r"its slope is 1\.1\d+ near z = 1\.4"),
        (lambda z: 2 * z, "slopes at most 1, but its slope is 2 near"),
        (lambda z: -z, "its slope is -1 near"),
        (jnp.sign, r"its slope is \d+.* near z = "),
        (jnp.log, "its slope is nan near z = -"),
        (jnp.sum, "sigma must act on the entries of an array, got"),
    ],
)
def test_refused(sigma, match: str) -> None:
    with pytest.raises(ValueError, match=match) as refusal:
        FromActivation(sigma)
    assert "\n" not in str(refusal.value)
