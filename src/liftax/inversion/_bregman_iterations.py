"""Bregman iterations: regularisation by stopping, without the loss of contrast."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from liftax.inversion._data import DataTerm, data_term
from liftax.inversion._invert import checked, checked_alpha
from liftax.inversion._landweber import Iterates
from liftax.inversion._primal_dual import Point, PrimalDual, Solved, point
from liftax.inversion._regulariser import AbstractPrior
from liftax.networks import Network, Params


def bregman_iterations(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    alpha: ArrayLike,
    delta: ArrayLike,
    *,
    solver: PrimalDual | None = None,
    iterations: int = 20,
) -> Iterates:
    r"""$x_{k+1} = \arg\min_xB_\Psi(y, Wx + b) + \alpha D_J^{\xi_k}(x, x_k)$ until
    $\|\sigma(Wx_k + b) - y\|\le\delta$.

    With the dual variable $p_k$ of the data the subgradient is $\xi_k = -W^\top p_k/\alpha$, from
    $\xi_0 = 0$, and every step is an inversion of $y - p_k$: what the last one missed comes back.
    $B_\Psi(y, Wx_k + b)$ falls with k, and early iterates are smooth. So α is to be large, several
    steps away from the noise; the stop, and no longer α, decides.

    Args:
        network: of one layer.
        params: of it.
        y: outputs, (samples, ...).
        regulariser: J.
        alpha: $\alpha > 0$, one for all, or one for each output.
        delta: norm of the noise of an output, 0 for none; one for all, or one for each.
        solver: None for `PrimalDual()`; its gap bounds how exact every step is.
        iterations: at most.

    Returns:
        Residuals of $x_0 = 0$ and of all iterates.

    Raises:
        ValueError: as for `invert`; for a negative δ, and for no iterations.

    Source: Osher, Burger, Goldfarb, Xu & Yin (2005); Benning & Burger (2018).
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}; 20 is a start")
    outputs = checked(network, network.at(params).nodes[-1].potential, y)
    weights = checked_alpha(alpha, outputs)
    levels = np.broadcast_to(np.asarray(delta, float), outputs.shape[:1])
    if not (levels >= 0).all():
        raise ValueError(f"delta must be at least 0, got {delta}; it is the norm of the noise")
    data = data_term(network, params)
    shape = tuple(network.input_shape)
    x = jnp.zeros((len(outputs), *shape), outputs.dtype)
    at = jax.vmap(lambda u: point(regulariser, u))(x)._replace(p=jnp.zeros_like(outputs))
    first = outputs - network(params, x)
    residuals = [np.linalg.norm(np.asarray(first, float).reshape(len(x), -1), axis=1)]
    stopped = np.zeros(len(x), int)
    for _ in range(iterations):
        going = np.flatnonzero(residuals[-1] > levels)
        if not len(going):
            break
        # Outputs that have stopped are not solved again; one program serves each power of two.
        count = min(1 << (len(going) - 1).bit_length(), len(x))
        part = np.resize(going, count)
        picked = jax.tree.map(lambda leaf, i=part: leaf[i], ((weights, outputs), at))
        found = _solve(solver or PrimalDual(), data, regulariser, *picked)
        at = jax.tree.map(lambda old, new, i=part: old.at[i].set(new), at, found.point)
        last = residuals[-1].copy()
        last[part] = np.asarray(found.residual, float)
        residuals.append(last)
        stopped[going] += 1
    x = jax.vmap(lambda joint: regulariser.input(joint))(at.x)
    met = jnp.asarray(residuals[-1] <= levels)
    return Iterates(x, jnp.asarray(np.stack(residuals), outputs.dtype), jnp.asarray(stopped), met)


@eqx.filter_jit
def _solve(
    solver: PrimalDual,
    data: DataTerm,
    prior: AbstractPrior,
    numbers: tuple[Array, Array],
    at: Point,
) -> Solved:
    return jax.vmap(lambda a, u, p: solver.solve(data, prior, a, u, p, p.p))(*numbers, at)
