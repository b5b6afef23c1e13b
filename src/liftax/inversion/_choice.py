"""Choice of the regularisation parameter."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike

from liftax.inversion._block_descent import BlockDescent
from liftax.inversion._invert import Inverse, invert
from liftax.inversion._primal_dual import PrimalDual
from liftax.inversion._regulariser import AbstractPrior
from liftax.networks import Network, Params

Pair = tuple[np.ndarray, np.ndarray]
KEPT = 8
"""Outputs whose inputs at every try are kept, to look at."""

_TRIES = 60
_NARROW = 1e-3


class Chosen(NamedTuple):
    r"""An α for every output, and the inputs that belong to it.

    Attributes:
        alpha: for each output.
        inverse: what `invert` gives with it.
        met: whether $\|\sigma(Wx+b) - y\|$ lies within the tolerance of the noise level.
        tried: the α of every try, (tries, samples), and their residuals.
        inputs: of the first eight outputs at every try, (tries, samples up to eight, ...).
    """

    alpha: np.ndarray
    inverse: Inverse
    met: np.ndarray
    tried: tuple[np.ndarray, np.ndarray]
    inputs: np.ndarray


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

    From the middle of the bracket every output goes down or up by factors of ten until its residual
    has crossed δ, and then by false position in logarithms, each time from the point of the last;
    the residual is taken to grow with α. It is measured in the outputs, where noise has a level,
    and not by $B_\Psi(y, Wx+b)\ge\frac12\|\sigma(Wx+b) - y\|^2$, which also counts by how much
    inactive units are negative.

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
    search = _Search(levels, tolerance, (math.log(bracket[0]), math.log(bracket[1])))
    point, tried = None, []
    while True:
        alpha = np.exp(search.at)
        found = invert(network, params, y, regulariser, alpha, solver=solver, start=point)
        point, residual = found.point, np.asarray(found.residual, float)
        tried.append((alpha, residual, np.asarray(found.x[:KEPT])))
        if search.told(residual) or len(tried) >= _TRIES:
            break
    alpha = np.exp(search.best)
    out = invert(network, params, y, regulariser, alpha, solver=solver, start=point)
    met = np.abs(np.asarray(out.residual, float) - levels) <= 1.01 * tolerance * levels
    alphas, residuals, inputs = (np.stack(values) for values in zip(*tried, strict=True))
    return Chosen(alpha, out, met, (alphas, residuals), inputs)


class _Search:
    """Where log α is tried for each of many outputs, and where it was best."""

    def __init__(self, levels: np.ndarray, tolerance: float, bracket: tuple[float, float]):
        self.levels, self.tolerance, self.bracket = levels, tolerance, bracket
        self.at = np.full(levels.shape, sum(bracket) / 2)
        self.best, self._miss = self.at, np.full(levels.shape, np.inf)
        # Where δ is crossed: log α and log(residual/δ) on both sides.
        unknown = np.full(levels.shape, np.inf)
        self._none: tuple[Pair, Pair] = (-unknown, -unknown), (unknown, unknown)
        self._low, self._high = self._none

    def told(self, residual: np.ndarray) -> bool:
        """Take the residuals there, and choose the next places; whether the search is over."""
        relative = np.maximum(residual / self.levels, np.finfo(float).tiny)
        miss = np.abs(relative - 1)
        # A second look at a place, from a better start, counts instead of the first.
        better = (miss < self._miss) | (self.at == self.best)
        self.best, self._miss = np.where(better, (self.at, miss), (self.best, self._miss))
        here, above = (self.at, np.log(relative)), relative > 1
        self._low = _where(above, self._low, here)
        self._high = _where(above, here, self._high)
        (low, below), (high, excess) = self._low, self._high
        turned = low >= high  # after such a second look the other side is not known any more
        self._low = low, below = _where(turned & above, self._none[0], self._low)
        self._high = high, excess = _where(turned & ~above, self._none[1], self._high)
        crossed = np.isfinite(high - low)
        share = np.where(crossed, below, -1) / np.where(crossed, below - excess, -2)
        inside = low + np.clip(share, 0.1, 0.9) * np.where(crossed, high - low, 0)
        outside = np.clip(self.at + np.where(above, -1, 1) * math.log(10), *self.bracket)
        new = np.where(crossed, inside, outside)
        done = (self._miss <= self.tolerance) | (new == self.at) | (high - low < _NARROW)
        self.at = np.where(done, self.best, new)
        return bool(done.all())


def _where(condition: np.ndarray, first: Pair, second: Pair) -> Pair:
    return (np.where(condition, first[0], second[0]), np.where(condition, first[1], second[1]))
