"""Choice of α without a noise level: the corner of the L-curve."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import ArrayLike

from liftax.inversion._block_descent import BlockDescent
from liftax.inversion._choice import KEPT
from liftax.inversion._invert import Inverse, invert
from liftax.inversion._primal_dual import PrimalDual
from liftax.inversion._regulariser import AbstractPrior, check_values
from liftax.networks import Network, Params


class LCurve(NamedTuple):
    r"""The α at the corner, for every output, and the curve to look at.

    Attributes:
        alpha: for each output.
        inverse: what `invert` gives with it.
        alphas: those of the curve, increasing.
        residuals: $\|N(x_\alpha) - y\|$, (alphas, samples).
        values: $J(x_\alpha)$, (alphas, samples).
        curvature: of $(\log\mathrm{residual}, \log J)$ as a curve in $\log\alpha$, (alphas,
            samples); 0 at its ends.
        inputs: $x_\alpha$ of the first eight outputs, (alphas, samples up to eight, ...).
    """

    alpha: np.ndarray
    inverse: Inverse
    alphas: np.ndarray
    residuals: np.ndarray
    values: np.ndarray
    curvature: np.ndarray
    inputs: np.ndarray


def l_curve(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    alphas: Sequence[float] | np.ndarray,
    *,
    solver: PrimalDual | BlockDescent | None = None,
) -> LCurve:
    r"""The α of the largest curvature of $(\log\|N(x_\alpha) - y\|, \log J(x_\alpha))$.

    From the largest α to the smallest, each from the point of the last. The corner is a heuristic:
    no choice without the noise level converges for all data as the noise vanishes (Bakushinskii,
    1984). Look at the curve.

    Args:
        network: as for `invert`.
        params: of it.
        y: outputs, (samples, ...).
        regulariser: J, positive at its minimisers: no constraint alone.
        alphas: at least five, positive; equal distances of their logarithms are best.
        solver: as for `invert`.

    Raises:
        ValueError: for fewer or other α, and whatever `invert` refuses.

    Source: Hansen (1992).
    """
    grid = np.sort(np.asarray(alphas, float).ravel())
    if len(grid) < 5 or not grid[0] > 0 or not (np.diff(grid) > 0).all():
        raise ValueError(
            f"alphas must be at least five different positive numbers, got {grid}; take "
            "numpy.logspace(-4, 1, 11)"
        )
    check_values(regulariser, tuple(network.input_shape))
    found, start = [], None
    for alpha in grid[::-1]:
        out = invert(network, params, y, regulariser, alpha, solver=solver, start=start)
        start, joint = out.point, out.point.x
        value = jax.vmap(lambda u: regulariser.value(u))(joint)
        few = np.asarray(out.x[:KEPT])
        found.append((np.asarray(out.residual, float), np.asarray(value, float), few))
    residuals, values, inputs = (np.stack(part[::-1]) for part in zip(*found, strict=True))
    curvature = _curvature(np.log(grid), residuals, values)
    alpha = grid[1 + np.argmax(curvature[1:-1], axis=0)]
    inverse = invert(network, params, y, regulariser, alpha, solver=solver, start=start)
    return LCurve(alpha, inverse, grid, residuals, values, curvature, inputs)


def _curvature(t: np.ndarray, residuals: np.ndarray, values: np.ndarray) -> np.ndarray:
    """$(a'b'' - a''b')/(a'^2 + b'^2)^{3/2}$ by central differences: positive where it turns left.

    With α the residual grows and J falls, so that the corner of an L turns left.
    """
    tiny = np.finfo(float).tiny
    a, b = np.log(np.maximum(residuals, tiny)), np.log(np.maximum(values, tiny))
    da, db = (np.gradient(u, t, axis=0) for u in (a, b))
    dda, ddb = (np.gradient(u, t, axis=0) for u in (da, db))
    speed = np.maximum(da**2 + db**2, 1e-300) ** 1.5
    curvature = (da * ddb - dda * db) / speed
    curvature[[0, -1]] = 0
    return curvature
