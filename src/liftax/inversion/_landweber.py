"""Non-linear Landweber iterations: the baseline of iterative regularisation."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from liftax._iterate import scan
from liftax.networks import Network, Params, check_params


class Iterates(NamedTuple):
    r"""Where iterations with discrepancy stopping ended, one for each output.

    Attributes:
        x: the inputs.
        residuals: $\|N(x_k) - y\|$ of $k = 0, 1, \dots$, (iterations + 1, samples); after the stop
            that of the stop.
        stopped: k at the end.
        met: whether the residual fell to the discrepancy, so that this ended it.
    """

    x: Float[Array, "samples ..."]
    residuals: Float[Array, "iterations samples"]
    stopped: Int[Array, " samples"]
    met: Bool[Array, " samples"]


def landweber(
    network: Network,
    params: Params,
    y: ArrayLike,
    delta: ArrayLike,
    step: float,
    *,
    iterations: int = 1000,
    factor: float = 1.1,
    start: ArrayLike | None = None,
) -> Iterates:
    r"""$x^+ = x + tN'(x)^\top(y - N(x))$ until $\|N(x) - y\|\le\mathrm{factor}\cdot\delta$.

    Gradient descent on half the squared residual, by the derivatives of the activations that
    lifting does without; stopping is the only regularisation. On a network without activations the
    residual falls at every step of length below $2/\|W\|^2$.

    Args:
        network: any.
        params: of it.
        y: outputs, (samples, ...).
        delta: norm of the noise of an output, 0 for none; one for all, or one for each.
        step: t.
        iterations: at most.
        factor: at least 1, so that noise ends it.
        start: inputs; None for 0.

    Raises:
        ValueError: for parameters of another network, outputs or a start of another shape, and a
            step, a factor or a δ out of range.

    Source: Hanke, Neubauer & Scherzer (1995).
    """
    check_params(network, params)
    outputs = jnp.asarray(y)
    shapes = {"y": (outputs.shape[1:], network.shapes[network.output])}
    first = jnp.zeros((len(outputs), *network.input_shape), outputs.dtype)
    if start is not None:
        shapes["start"] = (jnp.shape(start), first.shape)
        first = jnp.asarray(start, outputs.dtype)
    for name, (got, wanted) in shapes.items():
        if tuple(got) != tuple(wanted):
            raise ValueError(f"{name} has the shape {got}, it must be {wanted} (y: of an output)")
    if not step > 0:
        raise ValueError(f"step must be positive, got {step}; try 1/|W|^2")
    if not factor >= 1:
        raise ValueError(f"factor must be at least 1, got {factor}; try 1.1")
    levels = jnp.broadcast_to(jnp.asarray(delta, outputs.dtype), outputs.shape[:1])
    if not bool(jnp.all(levels >= 0)):
        raise ValueError(f"delta must be at least 0, got {delta}; it is the norm of the noise")
    numbers = (jnp.asarray(step, outputs.dtype), factor * levels)
    x, residuals = _run(network, params, outputs, first, numbers, iterations)
    stopped = jnp.argmax(residuals <= numbers[1], axis=0)
    met = residuals[-1] <= numbers[1]
    return Iterates(x, residuals, jnp.where(met, stopped, iterations), met)


@eqx.filter_jit
def _run(
    network: Network,
    params: Params,
    y: Array,
    start: Array,
    numbers: tuple[Array, Array],
    iterations: int,
) -> tuple[Array, Array]:
    step, least = numbers

    def iterate(x: Array, _: None) -> tuple[Array, Array]:
        out, pull = jax.vjp(lambda u: network(params, u), x)
        residual = jnp.linalg.norm((y - out).reshape(len(y), -1), axis=1)
        (slope,) = pull(y - out)
        going = (residual > least).reshape(-1, *(1,) * (x.ndim - 1))
        return x + step * jnp.where(going, slope, 0), residual

    x, residuals = scan(iterate, start, jnp.zeros(iterations))
    last = jnp.linalg.norm((y - network(params, x)).reshape(len(y), -1), axis=1)
    return x, jnp.concatenate([residuals, last[None]])
