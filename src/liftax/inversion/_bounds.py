"""How far a regularised inverse can be from the true input."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from liftax.inversion._regulariser import AbstractPrior
from liftax.potentials import AbstractPotential


def error_bound(
    potential: AbstractPotential, y: ArrayLike, v: ArrayLike, delta: ArrayLike, alpha: ArrayLike
) -> Float[Array, ""]:
    r"""$\frac{2\delta^2}\alpha + \alpha\|v\|^2 + \frac1\alpha\left[\Psi(y + \alpha v) +
    \Psi(y - \alpha v) - 2\Psi(y)\right]$, a bound of $D_J(x^\dagger, x_\alpha)$.

    It holds if $B_\Psi(y, Wx^\dagger + b)\le\delta^2$ and $W^\top v\in\partial J(x^\dagger)$. For
    ReLU the bracket is 0 if $|v_j|\le y_j/\alpha$ and $+\infty$ otherwise; where it is 0,
    $\alpha = \sqrt2\delta/\|v\|$ (`a_priori`) gives $2\sqrt2\,\delta\|v\|$.

    Args:
        potential: Ψ.
        y: one output, with its noise.
        v: the source-condition element, of the shape of y.
        delta: δ.
        alpha: α.

    Raises:
        ValueError: for shapes that differ.

    Source: Wang & Benning (2023); arXiv 2510.09796, section 5.
    """
    output, source = jnp.asarray(y), jnp.asarray(v)
    if output.shape != source.shape:
        raise ValueError(f"v has the shape {source.shape}, y has {output.shape}; both are outputs")
    a, d = jnp.asarray(alpha, output.dtype), jnp.asarray(delta, output.dtype)
    moved = potential.value(output + a * source) + potential.value(output - a * source)
    bracket = moved - 2 * potential.value(output)
    return 2 * d * d / a + a * jnp.sum(source**2) + bracket / a


def bregman_distance(
    prior: AbstractPrior, x: ArrayLike, at: ArrayLike, subgradient: ArrayLike
) -> Float[Array, ""]:
    r"""$D_J^p(x, u) = J(x) - J(u) - \langle p, x - u\rangle$ with $p\in\partial J(u)$.

    The symmetric distance of two points is the sum of both orders. A minimiser has the subgradient
    $-W^\top(\sigma(Wx + b) - y)/\alpha$.

    Args:
        prior: J, without auxiliary variables.
        x: one input.
        at: u.
        subgradient: p.

    Raises:
        ValueError: for shapes that differ.
    """
    point, other, p = (jnp.asarray(a) for a in (x, at, subgradient))
    if not point.shape == other.shape == p.shape:
        raise ValueError(
            f"x, at and subgradient have the shapes {point.shape}, {other.shape}, {p.shape}; give "
            "one shape"
        )
    return prior.value(point) - prior.value(other) - jnp.sum(p * (point - other))
