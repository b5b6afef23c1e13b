"""Batch normalisation with statistics held fixed."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Normalisation(AbstractAffine):
    r"""$z = \gamma\,(u - \mu)/\sqrt{v + \epsilon} + \beta$ per channel (last axis).

    Parameters: "scale" $\gamma$ and "shift" $\beta$ are trained, "mean" $\mu$ and "variance" $v$
    are statistics held fixed: no gradient passes through them, so the map is affine in $u$ and in
    $(\gamma,\beta)$. `statistics` and `averaged` renew them between updates. At first $\gamma = 1$,
    $\beta = 0$, $\mu = 0$, $v = 1$.

    Source: Ioffe & Szegedy 2015.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __check_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {self.momentum}; 0.9 is usual")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}; 1e-5 is usual")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or not shapes[0]:
            raise ValueError(
                f"Normalisation takes one parent with channels last, got {shapes}; "
                "add maps with affine.Sum"
            )
        return shapes[0]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        # Each has memory of its own, which a step may take.
        start = {"scale": 1, "shift": 0, "mean": 0, "variance": 1}
        return {name: jnp.full(shapes[0][-1:], value, dtype) for name, value in start.items()}

    def apply(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Array:
        fixed = jax.lax.stop_gradient((params["mean"], params["variance"]))
        return params["scale"] * _standardised(inputs[0], *fixed, self.epsilon) + params["shift"]

    def statistics(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Params:
        """The same parameters with the batch's mean and (biased) variance.

        Both are taken over samples and all axes but the last.
        """
        mean, variance = _moments(inputs[0])
        return {**params, "mean": mean, "variance": variance}

    def averaged(self, old: Params, new: Params) -> Params:
        r"""Parameters `new` with exponential moving averages of mean and variance.

        They are momentum * old + (1 - momentum) * new.
        """

        def average(name: str) -> Array:
            rate = jnp.asarray(1 - self.momentum, new[name].dtype)
            return old[name] + rate * (new[name] - old[name])

        return {**new, "mean": average("mean"), "variance": average("variance")}

    def thin(self) -> "_Standardised":
        return _Standardised(self.epsilon)


class _Standardised(AbstractAffine):
    r"""$z = \gamma\hat u + \beta$, $\hat u$ standardised with the batch's own statistics.

    Blocks for single channels differ, so all stay. The norm of $\partial z/\partial(\gamma,\beta)$
    is that of a `Normalisation` whose statistics are those of the batch.
    """

    epsilon: float

    def out_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        ones = jnp.ones(shapes[0][-1:], dtype)
        return {"scale": ones, "shift": ones}

    def apply(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Array:
        (u,) = inputs
        return params["scale"] * _standardised(u, *_moments(u), self.epsilon) + params["shift"]

    def thin(self) -> "_Standardised":
        return self


def _standardised(u: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    return (u - mean) * jax.lax.rsqrt(variance + jnp.asarray(epsilon, u.dtype))


def _moments(u: Array) -> tuple[Array, Array]:
    axes = tuple(range(u.ndim - 1))
    return jnp.mean(u, axis=axes), jnp.var(u, axis=axes)
