"""Inputs whose inversion has a rate: the source condition."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from liftax._iterate import repeat
from liftax.inversion._data import DataTerm, data_term
from liftax.inversion._invert import invert
from liftax.inversion._primal_dual import PrimalDual
from liftax.inversion._regulariser import AbstractPrior, Shape, check_values
from liftax.inversion._warm_prox import arranged
from liftax.networks import Network, Params
from liftax.potentials import ReLU


class Source(NamedTuple):
    r"""How nearly $W^\top v\in\partial J(x)$ holds.

    Attributes:
        x: one input.
        v: of the shape of an output; for ReLU 0 where $Wx + b\le0$.
        subgradient: $\xi = \sum_iK_i^\top q_i$, which $W^\top v$ is to be.
        residual: $\|W^\top v - \xi\|/\|\xi\|$.
        slack: $\sum_i[h_i(K_ix) + h_i^*(q_i) - \langle q_i, K_ix\rangle]/J(x)$: 0 exactly if ξ is a
            subgradient of J at x, and else ξ is one up to this share of J.
    """

    x: Float[Array, "..."]
    v: Float[Array, "..."]
    subgradient: Float[Array, "..."]
    residual: Float[Array, ""]
    slack: Float[Array, ""]


def source_element(
    network: Network,
    params: Params,
    x: ArrayLike,
    regulariser: AbstractPrior,
    *,
    iterations: int = 5000,
    weight: float = 10.0,
) -> Source:
    r"""The v that comes nearest to the source condition $W^\top v\in\partial J(x)$ of an input.

    It minimises, by accelerated proximal gradients,
    $$\tfrac12\Big\|W^\top v - \sum_iK_i^\top q_i\Big\|^2 +
      \mu\sum_i\big[h_i(K_ix) + h_i^*(q_i) - \langle q_i, K_ix\rangle\big]$$
    over $q$ and v, for ReLU over v on the active units only. Both are 0 exactly if the condition
    holds. Few inputs meet it: with m outputs $W^\top v$ has m dimensions. `source_input` makes one.

    Args:
        network: of one layer.
        params: of it.
        x: one input.
        regulariser: J, without auxiliary variables.
        iterations: of the method.
        weight: μ.

    Raises:
        ValueError: for another shape, more layers, or a regulariser with auxiliary variables.

    Source: Burger & Osher (2004); Wang & Benning (2023) for the networks.
    """
    point = jnp.asarray(x)
    if point.shape != tuple(network.input_shape):
        raise ValueError(
            f"x has the shape {point.shape}, inputs have {tuple(network.input_shape)}; give one"
        )
    _check(regulariser, tuple(network.input_shape))
    data = data_term(network, params)
    v, q = _nearest(data, regulariser, point, jnp.asarray(weight, point.dtype), iterations)
    return _found(data, regulariser, point, v, q)


def source_input(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    alpha: float,
    *,
    solver: PrimalDual | None = None,
) -> Source:
    r"""An input near that of an output which meets the source condition, and its v.

    A minimiser x of $B_\Psi(y, Wx + b) + \alpha J(x)$ has $-W^\top p\in\alpha\partial J(x)$ with
    $p = \sigma(Wx + b) - y$: $v = -p/\alpha$ proves it. For ReLU, outputs whose units are inactive
    at x are set to 0, and the problem is solved again, until v is 0 there.

    Args:
        network: of one layer.
        params: of it.
        y: one output.
        regulariser: J, without auxiliary variables.
        alpha: $\alpha > 0$: the larger, the smaller J(x) and v.
        solver: None for `PrimalDual()`; its gap says how exact the result is.

    Raises:
        ValueError: as for `invert`; for a regulariser with auxiliary variables.

    Source: Burger & Osher (2004).
    """
    _check(regulariser, tuple(network.input_shape))
    data = data_term(network, params)
    output = jnp.asarray(y)
    out = invert(network, params, output[None], regulariser, alpha, solver=solver)
    for _ in range(20):
        active = _active(data, out.x[0])
        if not bool(jnp.any((output > 0) & ~active)):
            break
        output = jnp.where(active, output, 0)
        given = (network, params, output[None], regulariser, alpha)
        out = invert(*given, solver=solver, start=out.point)
    x, point = out.x[0], out.point
    active = _active(data, x)
    assert point.p is not None
    v = jnp.where(active, -point.p[0] / jnp.asarray(alpha, output.dtype), 0)
    # The term that is not in the dual takes what is left, in its domain.
    terms = regulariser.terms(x.shape)
    first, dual = arranged(terms)
    known = {id(t): u[0] for t, u in zip(dual, point.q, strict=True)}
    left = data.adjoint(x, v) - sum((t.adjoint(known[id(t)]) for t in dual), jnp.zeros_like(x))
    q = tuple(
        t.dual_prox(t.forward(left) + t.forward(x), 1.0) if t is first else known[id(t)]
        for t in terms
    )
    return _found(data, regulariser, x, v, q)


def _check(prior: AbstractPrior, shape: Shape) -> None:
    check_values(prior, shape)
    if prior.auxiliary:
        raise ValueError(
            f"regulariser: {type(prior).__name__} has auxiliary variables, and no subgradient in "
            "closed form; take total variation"
        )


def _active(data: DataTerm, x: Array) -> Array:
    """Units that v may use."""
    z = data.forward(x)
    return z > 0 if isinstance(data.potential, ReLU) else jnp.ones(z.shape, bool)


def _found(
    data: DataTerm, prior: AbstractPrior, x: Array, v: Array, q: tuple[Array, ...]
) -> Source:
    terms, zero = prior.terms(x.shape), jnp.zeros((), x.dtype)
    subgradient = sum((t.adjoint(u) for t, u in zip(terms, q, strict=True)), jnp.zeros_like(x))
    miss = jnp.linalg.norm(data.adjoint(x, v) - subgradient)
    size = jnp.maximum(jnp.linalg.norm(subgradient), jnp.finfo(x.dtype).tiny)
    lost = zero
    for t, u in zip(terms, q, strict=True):
        image = t.forward(x)
        lost = lost + jnp.maximum(t.value(image) + t.conjugate(u) - jnp.sum(u * image), 0)
    slack = lost / jnp.maximum(prior.value(x), jnp.finfo(x.dtype).tiny)
    return Source(x, v, subgradient, miss / size, slack)


@eqx.filter_jit
def _nearest(
    data: DataTerm, prior: AbstractPrior, x: Array, weight: Array, iterations: int
) -> tuple[Array, tuple[Array, ...]]:
    """V and q by accelerated proximal gradients; v in units of 1/‖W‖."""
    terms = prior.terms(x.shape)
    images = tuple(t.forward(x) for t in terms)
    size = jnp.sqrt(data.lipschitz(x.shape, x.dtype))
    squares = [jnp.asarray(t.norm(), x.dtype) ** 2 for t in terms]
    step = 1 / (1.02 * (1 + sum(squares, jnp.zeros((), x.dtype))))
    active = _active(data, x)

    def iterate(state: tuple[Any, Any, Array]) -> tuple[Any, Any, Array]:
        old, (v, q), t = state
        pulls = [term.adjoint(u) for term, u in zip(terms, q, strict=True)]
        r = data.adjoint(x, v) / size - sum(pulls, jnp.zeros_like(x))
        slope = (data.forward(r) - data.forward(jnp.zeros_like(r))) / size
        moved = jnp.where(active, v - step * slope, 0)
        duals = tuple(
            term.dual_prox(u + step * (term.forward(r) + weight * image), step * weight)
            for term, u, image in zip(terms, q, images, strict=True)
        )
        grown = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        inertia = (t - 1) / grown
        new = (moved, duals)
        return new, jax.tree.map(lambda a, b: a + inertia * (a - b), new, old), grown

    start = (jnp.zeros(active.shape, x.dtype), tuple(jnp.zeros_like(image) for image in images))
    (v, q), _, _ = repeat(iterate, (start, start, jnp.ones((), x.dtype)), iterations)
    return v / size, q
