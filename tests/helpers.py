"""The table of potentials that the contracts run through, and points to run them at."""

from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer
from jaxtyping import Array, Float

from liftax.potentials import (
    ELU,
    ISRU,
    AbstractPotential,
    Arctan,
    Ball,
    Clip,
    ElasticNet,
    FromActivation,
    GroupSoftThreshold,
    HalfSpace,
    HardSigmoid,
    Huber,
    Identity,
    LeakyReLU,
    MaxAffine,
    NonNegativeSoftThreshold,
    NuclearNorm,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Sparsemax,
    SpectralBall,
    Tanh,
)

SIZE = 4
TAUS = (0.03, 0.3, 1.0, 2.5, 40.0)
REALS = (-np.inf, np.inf)


class Squared(AbstractPotential):
    """A potential of 2 x 2 matrices, on vectors of their entries."""

    separable: ClassVar[bool] = False
    inner: AbstractPotential = eqx.field()

    def value(self, u):
        return self.inner.value(u.reshape(2, 2))

    def prox(self, v, tau):
        return self.inner.prox(v.reshape(2, 2), tau).reshape(v.shape)

    def conjugate(self, s):
        return self.inner.conjugate(s.reshape(2, 2))

    def activation(self, z):
        return self.inner.activation(z.reshape(2, 2)).reshape(z.shape)

    def phi_conjugate(self, z):
        return self.inner.phi_conjugate(z.reshape(2, 2))


class Row(NamedTuple):
    """A potential, and the interval that its domain is in every entry (simplex: None).

    `members` moves points to a domain that is another set, `subgradients` to a domain of Ψ* without
    interior, which rounding would leave.
    """

    potential: AbstractPotential
    domain: tuple[float, float] | None
    kinks: tuple[float, ...] = (0.0,)
    members: Callable[[Array], Array] = lambda u: u
    subgradients: Callable[[Array], Array] = lambda s: s


def within(radius: float, axes: tuple[int, ...] = (-1,)) -> Callable[[Array], Array]:
    """Scales every vector along the axes of (..., 2, 2), or of (...,), to at most the radius."""

    def scale(u: Array) -> Array:
        shaped = u if axes == (-1,) else u.reshape(-1, 2, 2)
        size = jnp.linalg.norm(shaped, axis=axes, keepdims=True)
        return (shaped * jnp.minimum(1, radius / size)).reshape(u.shape)

    return scale


def clipped_spectrum(u: Array) -> Array:
    size = jnp.linalg.norm(u.reshape(-1, 2, 2), ord=2, axis=(-2, -1))
    return u / jnp.maximum(size, 1)[:, None]


NORMAL, OFFSET = np.array([1.0, -2.0, 0.5, 0.0]), 0.3


def below(u: Array) -> Array:
    excess = jnp.maximum(u @ jnp.asarray(NORMAL, u.dtype) - OFFSET, 0)[..., None]
    return u - excess * jnp.asarray(NORMAL / (NORMAL @ NORMAL), u.dtype)


def on_the_ray(s: Array) -> Array:
    normal = jnp.asarray(NORMAL, s.dtype)
    return jnp.maximum(jnp.sum(s * normal), 0) / jnp.sum(normal**2) * normal


def of_mass(mass: float) -> Callable[[Array], Array]:
    return lambda s: mass * jnp.maximum(s, 0) / jnp.sum(jnp.maximum(s, 0))


ROWS: dict[str, Row] = {
    "identity": Row(Identity(), REALS),
    "relu": Row(ReLU(), (0.0, np.inf)),
    "leaky_relu": Row(LeakyReLU(), REALS),
    "leaky_relu(0.2)": Row(LeakyReLU(0.2), REALS),
    "leaky_relu(1)": Row(LeakyReLU(1.0), REALS),
    "clip": Row(Clip(), (-1.0, 1.0), (-1.0, 1.0)),
    "clip(0, 6)": Row(Clip(0.0, 6.0), (0.0, 6.0), (0.0, 6.0)),
    "soft_threshold": Row(SoftThreshold(), REALS, (-1.0, 1.0)),
    "soft_threshold(0.3)": Row(SoftThreshold(0.3), REALS, (-0.3, 0.3)),
    "tanh": Row(Tanh(), (-1.0, 1.0)),
    "sigmoid": Row(Sigmoid(), (0.0, 1.0)),
    "softmax": Row(Softmax(), None),
    "hard_sigmoid": Row(HardSigmoid(), (0.0, 1.0), (-3.0, 3.0)),
    "hard_sigmoid(1)": Row(HardSigmoid(1.0), (0.0, 1.0), (-0.5, 0.5)),
    "non_negative_soft_threshold": Row(NonNegativeSoftThreshold(0.4), (0.0, np.inf), (0.4,)),
    "elastic_net": Row(ElasticNet(0.5, 0.7), REALS, (-0.5, 0.5)),
    "elastic_net(0.5, 0)": Row(ElasticNet(0.5, 0.0), REALS, (-0.5, 0.5)),
    "huber": Row(Huber(), REALS, (-2.0, 2.0)),
    "huber(0.3, 2)": Row(Huber(0.3, 2.0), REALS, (-0.9, 0.9)),
    "softplus": Row(Softplus(), (0.0, np.inf)),
    "elu": Row(ELU(), (-1.0, np.inf)),
    "elu(0.4)": Row(ELU(0.4), (-0.4, np.inf)),
    "softsign": Row(Softsign(), (-0.99999, 0.99999)),
    "arctan": Row(Arctan(), (-1.5707, 1.5707)),
    "isru": Row(ISRU(), (-1.0, 1.0)),
    "from_activation": Row(FromActivation(jnp.arctan), (-1.5707, 1.5707)),
    "sparsemax": Row(Sparsemax(), None),
    "ball(0.7)": Row(Ball(0.7), REALS, (0.35,), within(0.7)),
    "balls": Row(Squared(Ball(1.2, axes=0)), REALS, (0.6,), within(1.2, (-2,))),
    "half_space": Row(HalfSpace(NORMAL, OFFSET), REALS, (0.0,), below, on_the_ray),
    "group_soft_threshold": Row(Squared(GroupSoftThreshold(0.5)), REALS),
    "nuclear_norm": Row(Squared(NuclearNorm(0.6)), REALS),
    "spectral_ball": Row(Squared(SpectralBall()), REALS, (0.5,), clipped_spectrum),
    "max_affine": Row(MaxAffine(0.8), REALS, (0.0,), subgradients=of_mass(0.8)),
}


def compiled(function: Callable) -> Callable:
    """`jax.jit` with NumPy arrays as results: what a test then does with them compiles nothing."""
    program = jax.jit(function)

    def run(*arguments):
        return jax.tree.map(_plain, program(*arguments))

    return run


def _plain(leaf):
    """A concrete array; tracers of an enclosing program and keys stay."""
    if isinstance(leaf, Tracer) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return np.asarray(leaf)


def quick(cases: Iterable[str], *names: str) -> list:
    """Parameters of a test, of which those named are in the fast set and the others slow."""
    return [n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in cases]


# Rows on which every test runs in both precisions; the others hold the laws in double precision
# and do not overflow in single precision.
FULL = ("relu", "soft_threshold(0.3)", "tanh", "softmax")
# Other hyper-parameters of rows that are tested anyway.
VARIANTS = ("hard_sigmoid(1)", "elastic_net(0.5, 0)", "huber(0.3, 2)", "elu(0.4)", "balls")
# Variants, and rows that share most of their code with another, or are tested elsewhere as well.
SLOW = (
    *VARIANTS,
    *("from_activation", "isru", "spectral_ball", "arctan", "elu", "softsign"),
    *("leaky_relu", "leaky_relu(1)", "clip(0, 6)", "soft_threshold"),
)


def arguments(name: str) -> Float[Array, "m {SIZE}"]:
    """Examples for prox and activation: random ones, kinks, far ones."""
    kinks = ROWS[name].kinks
    random = 3 * np.random.default_rng(1).normal(size=(8, SIZE))
    special = np.array([*kinks, 1.0, -1.0, 0.0, 0.5, 20.0, -20.0])
    points = [random, np.resize(special, (2, SIZE)), np.zeros((1, SIZE))]
    return jax.device_put(np.concatenate(points))


def domain_points(name: str) -> Float[Array, "k {SIZE}"]:
    """Members of the domain: random ones and its ends."""
    domain = ROWS[name].domain
    if domain is None:
        random = np.random.default_rng(2).dirichlet(np.ones(SIZE), 4)
        whole = np.concatenate([random, np.eye(SIZE), np.full((1, SIZE), 1 / SIZE)])
        return jax.device_put(whole)
    low, high = max(domain[0], -5.0), min(domain[1], 5.0)
    random = np.random.default_rng(2).uniform(low, high, (5, SIZE))
    ends = np.array([[low] * SIZE, [high] * SIZE, [low, high] * (SIZE // 2)])
    return ROWS[name].members(jax.device_put(np.concatenate([random, ends])))
