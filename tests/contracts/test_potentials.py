"""The contract of a potential: theorems, for every row of the table.

No expectation is read back from the code: each law relates two methods, or compares with a grid.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from liftax.potentials import AbstractPotential
from tests.helpers import (
    FULL,
    ROWS,
    SIZE,
    SLOW,
    TAUS,
    Row,
    arguments,
    compiled,
    domain_points,
    quick,
)

# Largest violation of a law, relative to the size of its terms.
TOLERANCE = {"float64": 1e-11, "float32": 1e-5}
# Subgradients are shrunk by this much: on the boundary of dom Ψ* rounding would decide.
SHRINK = {"float64": 1e-12, "float32": 2e-4}
MIXTURES = np.array([1.0, 0.1, 0.01, 0.001])
LAWS = (
    "the prox is the argmin",
    "Moreau: (v - prox) / tau is the argmin of the conjugate's problem",
    "Fenchel-Young equality",
    "Fenchel-Young inequality",
    "firm non-expansiveness",
    "the envelope is convex with gradient (v - prox) / tau",
    "the envelope is 1/tau-smooth",
    "the activation is the prox at tau = 1",
    "the activation is the gradient of phi*",
    "phi*(z) is attained at the activation",
    "phi = 1/2 |u|^2 + psi",
)
OF_SUBGRADIENTS = LAWS[1:4]
QUICK = ("soft_threshold(0.3)",)  # of FULL, in the second precision


def cases(dtype: str) -> list:
    """Every row in this precision, and the full ones in the other as well (some slow)."""
    other = {"float64": "float32", "float32": "float64"}[dtype]
    slow = {n: [pytest.mark.slow] if n in SLOW else [] for n in ROWS}
    return [
        *(pytest.param(n, dtype, marks=slow[n]) for n in ROWS),
        *(pytest.param(n, other, marks=[] if n in QUICK else [pytest.mark.slow]) for n in FULL),
    ]


def square(u: Array) -> Array:
    return jnp.sum(u * u)


def largest(violation: Array) -> Array:
    """The maximum, in which a NaN counts as infinite: XLA's maximum may drop it."""
    return jnp.max(jnp.where(jnp.isnan(violation), jnp.inf, violation))


def towards(p: Array, points: Array) -> Array:
    """Points on the segments from p to others, far and near."""
    steps = jnp.asarray(MIXTURES, p.dtype)[:, None, None]
    return (p + steps * (points - p)).reshape(-1, p.shape[-1])


def beyond(points: Array) -> Array:
    """The points, and others outside the domain, where a finite value would break a law."""
    return jnp.concatenate([points, points + 1, points - 1, 2 * points - points[::-1]])


def minimality(values: Array, q: Array, p: Array) -> Array:
    """The argmin p of a 1-strongly convex J has J(q) >= J(p) + |q - p|²/2; J(p) is values[0]."""
    return largest(values[0] + 0.5 * jax.vmap(square)(q - p) - values)


def laws_at(row: Row, v: Array, tau: Array, points: Array, duals: Array):
    """Violations of the laws that have a tau, at one v. (Every method is traced once.)"""
    potential = row.potential
    e = jnp.concatenate([jnp.zeros_like(v)[None], towards(jnp.zeros_like(v), duals)])
    u = jax.vmap(lambda w: potential.prox(w, tau))(v + e)
    p = u[0]
    d = (v - p) / tau
    inner = row.subgradients((1 - SHRINK[v.dtype.name]) * d)
    q = jnp.concatenate([p[None], towards(p, beyond(points)), u])
    s = jnp.concatenate([inner[None], towards(inner, beyond(duals))])
    psi, star = jax.vmap(potential.value)(q), jax.vmap(potential.conjugate)(s)
    primal = tau * psi + 0.5 * jax.vmap(square)(q - v)
    dual = star / tau + 0.5 * jax.vmap(square)(s - v / tau)
    envelope = psi[-len(u) :] + 0.5 * jax.vmap(square)(u - v - e) / tau
    rise = envelope - envelope[0] - e @ d
    firm = jax.vmap(square)(u - p) - jnp.sum((u - p) * e, -1)
    size = (1 + tau) * (1 + square(v))
    return {
        LAWS[0]: minimality(primal, q, p) / size,
        LAWS[1]: minimality(dual, s, inner) * tau**2 / (size * (1 + tau)),
        LAWS[2]: jnp.abs(psi[0] + star[0] - jnp.sum(p * inner)) * tau / size,
        LAWS[4]: largest(firm) / size,
        LAWS[5]: largest(-rise) * tau / size,
        LAWS[6]: largest(rise - 0.5 * jax.vmap(square)(e) / tau) * tau / size,
    }


def laws_of_the_activation(potential: AbstractPotential, z: Array):
    size = 1 + square(z)
    u = potential.activation(z)
    gradient = jax.grad(potential.phi_conjugate)(z)
    attained = potential.phi_conjugate(z) - (jnp.sum(z * u) - potential.phi(u))
    one = potential.prox(z, 1.0)
    return {
        LAWS[7]: largest(jnp.abs(one - u)) / jnp.sqrt(size),
        LAWS[8]: largest(jnp.abs(gradient - u)) / jnp.sqrt(size),
        LAWS[9]: jnp.abs(attained) / size,
    }


@functools.cache
def violations(name: str, dtype: str) -> dict[str, float]:
    """The largest violation of every law: one compiled program a row and precision."""
    row, potential = ROWS[name], ROWS[name].potential
    v, points = arguments(name).astype(dtype), domain_points(name).astype(dtype)

    @compiled
    def measure(v, points, taus):
        duals = (1 - SHRINK[dtype]) * (v - jax.vmap(potential.activation)(v))  # subgradients of Ψ
        at = jax.vmap(functools.partial(laws_at, row), (0, None, None, None))
        found = jax.vmap(at, (None, 0, None, None))(v, taus, points, duals)
        found |= jax.vmap(functools.partial(laws_of_the_activation, potential))(v)
        psi, far = jax.vmap(potential.value)(points), beyond(duals)
        pairing, half = points @ far.T, 0.5 * jax.vmap(square)(points)
        excess = psi[:, None] + jax.vmap(potential.conjugate)(far) - pairing
        found[LAWS[3]] = largest(-excess / (1 + jnp.abs(pairing)))
        found[LAWS[10]] = jnp.abs(jax.vmap(potential.phi)(points) - psi - half) / (1 + psi + half)
        return jax.tree.map(largest, found)

    return {k: float(x) for k, x in measure(v, points, jnp.asarray(TAUS, dtype)).items()}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("name", "dtype"), cases("float64"))
def test_law(name: str, law: str, dtype: str) -> None:
    slack = 10 * SHRINK[dtype] if law in OF_SUBGRADIENTS else 0.0
    assert violations(name, dtype)[law] <= TOLERANCE[dtype] + slack


def zoom(objective, low: float, high: float) -> Array:
    """The argmin of a convex function of one variable on [low, high], by grids that shrink."""
    centre, radius = jnp.asarray(0.5 * (low + high)), 0.5 * (high - low)
    for _ in range(5):
        grid = jnp.clip(centre + radius * jnp.linspace(-1, 1, 513), low, high)
        centre, radius = grid[jnp.argmin(objective(grid))], radius / 64
    return centre


GRIDS = ("relu", "soft_threshold(0.3)", "leaky_relu(0.2)", "sigmoid")


@pytest.mark.parametrize("name", quick((*GRIDS, "tanh"), *GRIDS))
def test_prox_against_a_grid(name: str) -> None:
    potential, domain = ROWS[name].potential, ROWS[name].domain
    assert domain is not None
    low, high = max(domain[0], -32.0), min(domain[1], 32.0)

    @compiled
    @functools.partial(jax.vmap, in_axes=(None, 0))
    @functools.partial(jax.vmap, in_axes=(0, None))
    def both(v, tau):
        def objective(u):
            return tau * jax.vmap(potential.value)(u[:, None]) + 0.5 * (u - v) ** 2

        return zoom(objective, low, high), potential.prox(v[None], tau)[0]

    grid, prox = both(arguments(name).ravel(), jnp.asarray(TAUS))
    np.testing.assert_allclose(prox, grid, atol=1e-6)


def test_softmax_prox_against_a_grid() -> None:
    potential = ROWS["softmax"].potential

    @compiled
    @functools.partial(jax.vmap, in_axes=(None, 0))
    @functools.partial(jax.vmap, in_axes=(0, None))
    def both(v, tau):
        def objective(a):
            u = jnp.stack([a, 1 - a], -1)
            return tau * jax.vmap(potential.value)(u) + 0.5 * jax.vmap(square)(u - v)

        return zoom(objective, 0.0, 1.0), potential.prox(v, tau)[0]

    grid, prox = both(arguments("softmax")[:, :2], jnp.asarray(TAUS))
    np.testing.assert_allclose(prox, grid, atol=1e-6)


@pytest.mark.parametrize(("name", "dtype"), cases("float32"))
def test_dtype(name: str, dtype: str) -> None:
    """Results have the dtype of the argument, whatever τ is."""
    potential, v = ROWS[name].potential, arguments(name)[0].astype(dtype)
    like = jax.ShapeDtypeStruct(v.shape, v.dtype)
    for tau in (0.3, np.float64(0.3), jnp.asarray(0.3), jnp.asarray(0.3, dtype)):
        assert jax.eval_shape(potential.prox, v, tau) == like
        assert jax.eval_shape(lambda v, tau=tau: potential.prox(v, tau), v) == like
    assert jax.eval_shape(potential.activation, v) == like
    scalar = jax.ShapeDtypeStruct((), v.dtype)
    for method in (
        potential.value,
        potential.conjugate,
        potential.phi_conjugate,
        potential.phi,
    ):
        assert jax.eval_shape(method, v) == scalar


@pytest.mark.parametrize("name", quick((*FULL, "nuclear_norm"), "relu", "softmax", "nuclear_norm"))
def test_batches_and_precisions(name: str) -> None:
    """A vmapped prox is the prox of every example, and single precision agrees with double."""
    potential, v = ROWS[name].potential, arguments(name)
    one, tau = jax.jit(potential.prox), jnp.asarray(0.3)
    batch = jax.jit(jax.vmap(potential.prox, (0, None)))
    np.testing.assert_allclose(batch(v, tau), [one(x, tau) for x in v], rtol=1e-13, atol=1e-15)
    v32 = v.astype(jnp.float32)
    expected = batch(v32.astype(jnp.float64), tau)
    np.testing.assert_allclose(batch(v32, tau), expected, rtol=2e-6, atol=3e-6)


@pytest.mark.parametrize(("name", "dtype"), cases("float32"))
def test_no_overflow(name: str, dtype: str) -> None:
    """Arguments up to 1e4 and τ from 1e-3 to 1e3 give numbers, and states in the domain."""
    potential = ROWS[name].potential
    size = np.array([0.0, 1e-30, 1e-6, 0.1, 1.0, 30.0, 1e3, 1e4])
    signed = np.tile(np.concatenate([size, -size]), (8, 1))
    v = np.random.default_rng(0).permuted(signed, axis=1).reshape(-1, SIZE)
    v = jnp.asarray(v, dtype)

    @compiled
    def run(v, taus):
        prox = jax.vmap(lambda t: jax.vmap(lambda w: potential.prox(w, t))(v))(taus)
        psi = jax.vmap(jax.vmap(potential.value))(prox)
        star = jax.vmap(jax.value_and_grad(potential.phi_conjugate))(v)
        activation = jax.vmap(potential.activation)(v)
        return prox, psi, star, activation, jax.vmap(potential.conjugate)(v)

    *finite, conjugate = run(v, jnp.asarray([1e-3, 0.1, 1.0, 10.0, 1e3], dtype))
    assert all(bool(np.all(np.isfinite(x))) for x in jax.tree.leaves(finite))
    assert not bool(np.any(np.isnan(conjugate)))
