"""Choice of the regularisation parameter."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, ArrayLike

from liftax.inversion._block_descent import BlockDescent
from liftax.inversion._invert import Inverse, invert
from liftax.inversion._primal_dual import PrimalDual
from liftax.inversion._regulariser import AbstractPrior
from liftax.networks import Network, Params


class Chosen(NamedTuple):
    r"""An α for every output, and the inputs that belong to it.

    Attributes:
        alpha: for each output.
        inverse: what `invert` gives with it.
        met: whether $\|\sigma(Wx+b) - y\|$ lies within the tolerance of the noise level.
        tried: the α of every try, (tries, samples), and their residuals.
    """

    alpha: np.ndarray
    inverse: Inverse
    met: np.ndarray
    tried: tuple[np.ndarray, np.ndarray]


def a_priori(delta: float, source_norm: float) -> float:
    r"""$\alpha = \sqrt2\,\delta/\|v\|$, which minimises the error bound of `error_bound`.

    Args:
        delta: δ with $B_\Psi(y^\delta, Wx^\dagger + b)\le\delta^2$.
        source_norm: $\|v\|$ of a source-condition element.

    Raises:
        ValueError: unless both are positive.

    Source: Wang & Benning (2023).
    """
    for name, number in (("delta", delta), ("source_norm", source_norm)):
        if not (number > 0 and math.isfinite(number)):
            raise ValueError(f"{name} must be positive, got {number}; without noise take a small α")
    return math.sqrt(2) * delta / source_norm


def discrepancy(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    delta: ArrayLike,
    *,
    solver: PrimalDual | BlockDescent | None = None,
    tolerance: float = 0.05,
    bracket: tuple[float, float] = (1e-8, 1e4),
) -> Chosen:
    r"""Morozov's principle: the α at which $\|\sigma(Wx_\alpha + b) - y\| = \delta$.

    By bisection of $\log\alpha$ for all outputs at once, each from the point of the last; with a
    residual that grows with α. It is measured in the outputs, where noise has a level, and not by
    $B_\Psi(y, Wx+b)\ge\frac12\|\sigma(Wx+b) - y\|^2$, which also counts by how much inactive
    units are negative.

    Args:
        network: as for `invert`.
        params: of it.
        y: outputs, (samples, ...).
        regulariser: J.
        delta: $\delta > 0$, the norm of the noise of an output; one for all, or one for each.
        solver: as for `invert`.
        tolerance: of the residual, relative to δ.
        bracket: the least and the largest α.

    Returns:
        For outputs whose residual misses δ at both ends of the bracket the nearer end, not `met`.

    Raises:
        ValueError: for a δ that is not positive, and whatever `invert` refuses.

    Source: Morozov (1966).
    """
    levels = np.broadcast_to(np.asarray(delta, float), np.shape(y)[:1])
    if not (levels > 0).all() or not np.isfinite(levels).all():
        raise ValueError(f"delta must be positive, got {delta}; imaging.noise_level estimates it")
    low, high = (np.full(levels.shape, math.log(end)) for end in bracket)
    best: list[np.ndarray] = [np.full(levels.shape, np.inf), np.zeros(levels.shape)]
    point, mid = None, (low + high) / 2
    tried: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(40):
        found = invert(network, params, y, regulariser, np.exp(mid), solver=solver, start=point)
        point, residual = found.point, _numbers(found.residual)
        tried.append((np.exp(mid), residual))
        miss = np.abs(residual - levels) / levels
        better = miss < best[0]
        best = [np.where(better, miss, best[0]), np.where(better, mid, best[1])]
        if (best[0] <= tolerance).all():
            break
        settled = best[0] <= tolerance
        above = residual > levels
        high = np.where(above & ~settled, mid, high)
        low = np.where(~above & ~settled, mid, low)
        mid = np.where(settled, best[1], (low + high) / 2)
    alpha = np.exp(best[1])
    out = invert(network, params, y, regulariser, alpha, solver=solver, start=point)
    met = np.abs(_numbers(out.residual) - levels) <= 1.01 * tolerance * levels
    alphas, residuals = (np.stack(values) for values in zip(*tried, strict=True))
    return Chosen(alpha, out, met, (alphas, residuals))


def _numbers(values: Array) -> np.ndarray:
    return np.asarray(values, float)
