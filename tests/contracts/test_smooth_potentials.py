"""Smooth activations: prox and Ψ against independent solutions and integrals."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from liftax.potentials import (
    ELU,
    ISRU,
    AbstractPotential,
    Arctan,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from tests.helpers import compiled, quick

TAUS = (1e-3, 0.02, 0.1, 0.5, 0.999, 1.0, 1.001, 2.0, 30.0, 1e3)
SIZES = np.concatenate([np.logspace(-8, 4, 25), [0.9, 0.999, 1.0, 1.001, 1.1, 1.5, 2.0, 5.0]])
ACCURACY = {"float64": 1e-12, "float32": 1e-6}
FUNCTIONS: dict[str, tuple[AbstractPotential, Callable]] = {
    "tanh": (Tanh(), np.tanh),
    "sigmoid": (Sigmoid(), lambda z: np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))),
    "softplus": (Softplus(), lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))),
    "elu": (ELU(), lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0)))),
    "elu(0.4)": (ELU(0.4), lambda z: np.where(z > 0, z, 0.4 * np.expm1(np.minimum(z, 0)))),
    "softsign": (Softsign(), lambda z: z / (1 + np.abs(z))),
    "arctan": (Arctan(), np.arctan),
    "isru": (ISRU(), lambda z: z / np.hypot(1, z)),
}
EXPONENTIAL = ("sigmoid", "softplus")  # σ(z) is nearly e^z far left
# The inverses, and points in the interior of the domain, with φ(0) = 0.
INVERSES: dict[str, tuple[Callable[[float], float], tuple[float, ...]]] = {
    "softplus": (lambda u: u + np.log(-np.expm1(-u)), (1e-6, 0.1, 0.69, 0.7, 3.0, 30.0)),
    "elu": (lambda u: u if u > 0 else np.log1p(u), (-0.999, -0.5, -0.1, 2.0)),
    "elu(0.4)": (lambda u: u if u > 0 else np.log1p(u / 0.4), (-0.399, -0.1, 2.0)),
    "softsign": (lambda u: u / (1 - abs(u)), (-0.99, -0.1, 0.5)),
    "arctan": (np.tan, (-1.55, -0.81, -0.1, 0.79, 1.2)),
    "isru": (lambda u: u / np.sqrt(1 - u * u), (-0.99, -0.1, 0.5)),
}


def bisect(sigma: Callable, v: np.ndarray, t: np.floating) -> np.ndarray:
    """z with (1-t) sigma(z) + t z = v, in NumPy's longest floating point numbers."""
    wide, t = v.astype(np.longdouble), np.longdouble(t)
    reach = (np.abs(wide) + np.abs(1 - t)) / min(t, 1) + 1
    low, high = -reach, reach
    for _ in range(220):
        z = (low + high) / 2
        above = (1 - t) * sigma(z) + t * z > wide
        low, high = np.where(above, low, z), np.where(above, z, high)
    return (low + high) / 2


SINGLE = ("tanh", "softplus", "arctan")  # fast in single precision too
PRECISIONS = [
    pytest.param(
        name, dtype, marks=[pytest.mark.slow] if dtype == "float32" and name not in SINGLE else []
    )
    for name in FUNCTIONS
    for dtype in ACCURACY
]


@pytest.mark.parametrize(("name", "dtype"), PRECISIONS)
def test_accuracy(name: str, dtype: str) -> None:
    """Relative accuracy for every τ, also where the activation saturates.

    A u = e^z that is small has at best the relative accuracy eps |z|: z itself is rounded.
    """
    potential, sigma = FUNCTIONS[name]
    v = np.concatenate([-SIZES, [0.0], SIZES]).astype(dtype)
    prox = jax.jit(potential.prox)
    for tau in np.asarray(TAUS, dtype):
        z = bisect(sigma, v, tau)
        u = sigma(z)
        size = np.abs(u) * (np.maximum(1, -z) if name in EXPONENTIAL else 1)
        error = np.abs(np.asarray(prox(v, tau)) - u)
        assert np.all(error <= ACCURACY[dtype] * size + max(float(np.finfo(dtype).tiny), 1e-60))


@pytest.mark.parametrize("name", INVERSES)
def test_psi_is_an_integral(name: str) -> None:
    """Ψ' = σ⁻¹ - id, integrated by SciPy."""
    potential = FUNCTIONS[name][0]
    inverse, points = INVERSES[name]
    psi = jax.jit(jax.vmap(potential.value))(jnp.asarray(points)[:, None])
    exact = [quad(lambda r: inverse(r) - r, 0, u, epsabs=0, epsrel=1e-12)[0] for u in points]
    np.testing.assert_allclose(psi, exact, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_against_brent(name: str) -> None:
    """The defining equation u + τ (z - u) = v solved by SciPy, in the interior of the domain."""
    potential, sigma = FUNCTIONS[name]

    def equation(z: float, v: float, tau: float) -> float:
        return sigma(z) + tau * (z - sigma(z)) - v

    points = np.array([-1.3, 0.2, 0.95])
    prox = jax.jit(potential.prox)
    for tau in (0.1, 3.0):
        z = [brentq(equation, -60, 60, args=(v, tau), xtol=1e-14) for v in points]
        np.testing.assert_allclose(prox(points, tau), sigma(np.array(z)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_softmax_optimality(dtype: str) -> None:
    """On the simplex, (1-τ) u + τ log u - v is one number for all entries: that suffices."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(20, 6)) * np.logspace(-2, 4, 20)[:, None]
    v = v.astype(dtype)
    prox = jax.jit(Softmax().prox)
    eps = float(np.finfo(dtype).eps)
    for tau in np.asarray(TAUS, dtype):
        u = np.asarray(prox(v, tau), np.longdouble)
        np.testing.assert_allclose(np.sum(u, -1), 1, rtol=10 * eps)
        t, w = np.longdouble(tau), v.astype(np.longdouble)
        positive = u > 1e3 * np.finfo(dtype).tiny
        log_u = np.log(np.where(positive, u, 1))
        multiplier = w - (1 - t) * u - t * log_u
        top = np.take_along_axis(multiplier, np.argmax(v, -1)[:, None], -1)
        # an error of a few eps (1 + |log u|) in log u, seen through the slope of the equation
        size = ((1 - t) * u + t) * (1 + np.abs(log_u)) + 1
        assert np.all(np.abs(multiplier - top)[positive] <= 4 * eps * size[positive])
        # what vanished had to: its log u lies below the smallest number
        lost = (w - top - (1 - t) * u)[~positive] / t
        assert np.all(lost < np.log(2e3 * np.finfo(dtype).tiny))


ENDS: list[tuple[AbstractPotential, list, list[float]]] = [
    (Tanh(), [[1.0], [-1.0], [0.0], [1.0001]], [np.log(2) - 0.5, np.log(2) - 0.5, 0, np.inf]),
    (Sigmoid(), [[0.0], [1.0], [-0.0001], [1.0001]], [0, -0.5, np.inf, np.inf]),
    (Softplus(), [[0.0], [-1e-9], [50.0]], [0, np.inf, -(np.pi**2) / 6]),
    (ELU(0.5), [[-0.5], [-0.5001], [3.0]], [0.375, np.inf, 0]),
    (Softsign(), [[0.0], [1.0], [-1.0]], [0, np.inf, np.inf]),
    (Arctan(), [[0.0], [1.5708], [-1.5708]], [0, np.inf, np.inf]),
    (ISRU(), [[1.0], [-1.0], [1.0001]], [0.5, 0.5, np.inf]),
    (Softmax(), [[1, 0, 0.0], [0.5, 0.5, 0.1], [1.1, -0.1, 0]], [-0.5, np.inf, np.inf]),
]


def test_ends_of_the_domain() -> None:
    points = [jnp.asarray(u) for _, u, _ in ENDS]
    run = jax.jit(
        lambda points: [
            (jax.vmap(potential.value)(u), jax.vmap(potential.phi)(u))
            for (potential, *_), u in zip(ENDS, points, strict=True)
        ]
    )
    for (_, u, expected), (psi, phi) in zip(ENDS, run(points), strict=True):
        np.testing.assert_allclose(psi, expected, atol=1e-15)
        np.testing.assert_allclose(phi, expected + 0.5 * np.sum(np.square(u), -1), atol=1e-14)
    phi = jax.jit(Softmax().phi)(jnp.full(3, 1 / 3))
    np.testing.assert_allclose(phi, -np.log(3))


def test_softmax_acts_on_the_last_axis() -> None:
    softmax, v = Softmax(), np.random.default_rng(0).normal(size=(2, 3, 4))

    @compiled
    def run(v):
        return softmax.prox(v, 0.2), softmax.conjugate(v), softmax.phi_conjugate(v)

    whole, (prox, *sums) = run(v), zip(*map(run, v.reshape(6, 4)), strict=True)
    np.testing.assert_allclose(whole[0].reshape(6, 4), prox)
    np.testing.assert_allclose(whole[1:], np.sum(sums, axis=1))


SMOOTH: dict[str, AbstractPotential] = {
    "tanh": Tanh(),
    "sigmoid": Sigmoid(),
    "softmax": Softmax(),
    "softplus": Softplus(),
    "arctan": Arctan(),
}


@pytest.mark.parametrize("name", quick(SMOOTH, "tanh", "softmax"))
def test_derivatives(name: str) -> None:
    """Nothing in the library needs them, but the prox and the conjugate are differentiable."""
    potential = SMOOTH[name]
    v, direction = jnp.asarray([0.0, 0.3, -0.7, 1.4]), jnp.asarray([1.0, -0.5, 0.3, 0.8])
    tau, h = jnp.asarray(0.4), 1e-5
    u = potential.activation(v)

    @compiled
    def both(d, e):
        """The derivative along (d, e) in (v, τ), by JAX and by differences; the same backwards."""
        forward = jax.jvp(potential.prox, (v, tau), (d, e))[1]
        ahead, behind = (potential.prox(v + k * d, tau + k * e) for k in (h, -h))
        pull_v, pull_tau = jax.vjp(potential.prox, v, tau)[1](direction)
        paired = jnp.sum(pull_v * d) + pull_tau * e
        return forward, (ahead - behind) / (2 * h), paired, jnp.sum(forward * direction)

    for d, e in ((direction, jnp.asarray(0.0)), (0 * direction, jnp.asarray(1.0))):
        forward, difference, backward, paired = both(d, e)
        np.testing.assert_allclose(forward, difference, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(backward, paired, atol=1e-13)
    # the gradient of the conjugate at a subgradient of Ψ at u is u
    gradient = jax.jit(jax.grad(potential.conjugate))(v - u)
    np.testing.assert_allclose(gradient, u, atol=1e-7)


@pytest.mark.parametrize(
    "potential", [Tanh(), Sigmoid(), Softmax(), Softplus(), ELU(), Arctan()], ids=str
)
def test_slopes_are_stated(potential: AbstractPotential, monkeypatch) -> None:
    """The equations are solved without differentiating anything."""

    def refuse(*args, **kwargs):
        raise AssertionError("a derivative was taken")

    for name in ("grad", "value_and_grad", "jvp", "vjp", "linearize", "jacfwd", "jacrev"):
        monkeypatch.setattr(jax, name, refuse)
    v = jnp.asarray([-0.2, -3.0])
    prox, conjugate = jax.jit(lambda v: (potential.prox(v, 0.123), potential.conjugate(v)))(v)
    assert bool(np.all(np.isfinite(prox))) and bool(np.isfinite(conjugate))
