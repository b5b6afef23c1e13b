"""The table of potentials that the contracts run through, and points to run them at."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.potentials import (
    AbstractPotential,
    Clip,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    SoftThreshold,
    Tanh,
)

SIZE = 4
TAUS = (0.03, 0.3, 1.0, 2.5, 40.0)


class Row(NamedTuple):
    """A potential, and the interval that its domain is in every entry (simplex: None)."""

    potential: AbstractPotential
    domain: tuple[float, float] | None
    kinks: tuple[float, ...] = (0.0,)


ROWS: dict[str, Row] = {
    "identity": Row(Identity(), (-np.inf, np.inf)),
    "relu": Row(ReLU(), (0.0, np.inf)),
    "leaky_relu": Row(LeakyReLU(), (-np.inf, np.inf)),
    "leaky_relu(0.2)": Row(LeakyReLU(0.2), (-np.inf, np.inf)),
    "leaky_relu(1)": Row(LeakyReLU(1.0), (-np.inf, np.inf)),
    "clip": Row(Clip(), (-1.0, 1.0), (-1.0, 1.0)),
    "clip(0, 6)": Row(Clip(0.0, 6.0), (0.0, 6.0), (0.0, 6.0)),
    "soft_threshold": Row(SoftThreshold(), (-np.inf, np.inf), (-1.0, 1.0)),
    "soft_threshold(0.3)": Row(SoftThreshold(0.3), (-np.inf, np.inf), (-0.3, 0.3)),
    "tanh": Row(Tanh(), (-1.0, 1.0)),
    "sigmoid": Row(Sigmoid(), (0.0, 1.0)),
    "softmax": Row(Softmax(), None),
}


def arguments(name: str) -> Float[Array, "m {SIZE}"]:
    """Examples for prox and activation: random ones, kinks, far ones."""
    kinks = ROWS[name].kinks
    random = 3 * jax.random.normal(jax.random.key(1), (8, SIZE))
    special = jnp.asarray([*kinks, 1.0, -1.0, 0.0, 0.5, 20.0, -20.0])
    return jnp.concatenate([random, jnp.resize(special, (2, SIZE)), jnp.zeros((1, SIZE))])


def domain_points(name: str) -> Float[Array, "k {SIZE}"]:
    """Members of the domain: random ones and its ends."""
    domain = ROWS[name].domain
    if domain is None:
        random = jax.random.dirichlet(jax.random.key(2), jnp.ones(SIZE), (4,))
        return jnp.concatenate([random, jnp.eye(SIZE), jnp.full((1, SIZE), 1 / SIZE)])
    low, high = max(domain[0], -5.0), min(domain[1], 5.0)
    random = jax.random.uniform(jax.random.key(2), (5, SIZE), minval=low, maxval=high)
    ends = jnp.asarray([[low] * SIZE, [high] * SIZE, [low, high] * (SIZE // 2)])
    return jnp.concatenate([random, ends])
