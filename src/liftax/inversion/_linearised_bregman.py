"""Linearised Bregman iterations: regularisation by stopping, one product each way a step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from liftax._iterate import scan
from liftax.inversion._data import DataTerm, data_term
from liftax.inversion._invert import checked, checked_alpha
from liftax.inversion._landweber import Iterates
from liftax.inversion._regulariser import AbstractPrior
from liftax.inversion._warm_prox import arranged, warm_prox
from liftax.networks import Network, Params


def linearised_bregman(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    alpha: ArrayLike,
    delta: ArrayLike,
    *,
    iterations: int = 1000,
    prox_steps: int = 10,
) -> Iterates:
    r"""$v_{k+1} = v_k - \tau W^\top(\sigma(Wx_k + b) - y)$, $x_{k+1} = \mathrm{prox}_{\alpha
    J}(v_{k+1})$ from 0, until $\|\sigma(Wx_k + b) - y\|\le\delta$.

    `bregman_iterations` with the data term linearised, for $\alpha J + \frac12\|\cdot\|^2$: mirror
    descent. With $\tau = 1/\|W\|^2$, half of what is allowed, $B_\Psi(y, Wx_k + b)$ falls where J
    has a prox in closed form. α is to be large, so that early iterates are plain; the stop decides.

    Args:
        network: of one layer.
        params: of it.
        y: outputs, (samples, ...).
        regulariser: J, without auxiliary variables.
        alpha: $\alpha > 0$, one for all, or one for each output.
        delta: norm of the noise of an output, 0 for none; one for all, or one for each.
        iterations: at most.
        prox_steps: on dual variables that are kept, where J has no prox in closed form.

    Raises:
        ValueError: as for `invert`; for a negative δ, no iterations, and a regulariser with
            auxiliary variables.

    Source: Yin, Osher, Goldfarb & Darbon (2008); Benning & Burger (2018).
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}; 1000 is a start")
    if regulariser.auxiliary:
        raise ValueError(
            f"regulariser: {type(regulariser).__name__} has auxiliary variables; take total "
            "variation, or bregman_iterations"
        )
    outputs = checked(network, network.at(params).nodes[-1].potential, y)
    weights = checked_alpha(alpha, outputs)
    levels = np.broadcast_to(np.asarray(delta, float), outputs.shape[:1])
    if not (levels >= 0).all():
        raise ValueError(f"delta must be at least 0, got {delta}; it is the norm of the noise")
    regulariser.terms(tuple(network.input_shape))
    least = jnp.asarray(levels, outputs.dtype)
    given = (data_term(network, params), regulariser, tuple(network.input_shape))
    x, residuals = _run(given, (outputs, weights, least), iterations, prox_steps)
    met = residuals[-1] <= least
    stopped = jnp.where(met, jnp.argmax(residuals <= least, axis=0), iterations)
    return Iterates(x, residuals, stopped, met)


@eqx.filter_jit
def _run(
    given: tuple[DataTerm, AbstractPrior, tuple[int, ...]],
    numbers: tuple[Array, Array, Array],
    iterations: int,
    prox_steps: int,
) -> tuple[Array, Array]:
    data, prior, shape = given
    y, alphas, least = numbers
    terms, tau = arranged(prior.terms(shape)), 1 / data.lipschitz(shape, y.dtype)

    def one(y: Array, alpha: Array, least: Array) -> tuple[Array, Array]:
        def miss(x: Array) -> Array:
            return data.residual(y, data.forward(x))

        def step(state: tuple[Array, Array, tuple[Array, ...]], _: None) -> tuple[tuple, Array]:
            x, v, q = state
            r = miss(x)
            size = jnp.linalg.norm(r)
            moved = v - tau * data.adjoint(x, r)
            near, duals = warm_prox(terms, moved, alpha, q, prox_steps)
            going, new = size > least, (near, moved, duals)
            return jax.tree.map(lambda a, b: jnp.where(going, a, b), new, state), size

        zero = jnp.zeros(shape, y.dtype)
        (x, _, _), sizes = scan(step, (zero, zero, terms.start(zero)), jnp.zeros(iterations))
        return x, jnp.append(sizes, jnp.linalg.norm(miss(x)))

    x, residuals = jax.vmap(one)(y, alphas, least)
    return x, residuals.T
