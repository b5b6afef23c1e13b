"""The input of a network from its output."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from liftax._kinds import check_kind, named
from liftax._solution import Reason
from liftax.inversion._block_descent import BlockDescent
from liftax.inversion._data import DataTerm, data_term
from liftax.inversion._primal_dual import Point, PrimalDual, Solved, point
from liftax.inversion._regulariser import AbstractPrior
from liftax.networks import Network, Params, check_params
from liftax.potentials import AbstractPotential


class Inverse(NamedTuple):
    r"""Inputs found for a batch of outputs.

    Attributes:
        x: the inputs.
        energy: $B_\Psi(y, Wx+b) + \alpha J(x)$ of each; of deeper networks the lifted energy.
            NaN with `PlugAndPlay`.
        gap: an upper bound of what each energy exceeds its minimum by; see `PrimalDual` for what
            it certifies. NaN for deeper networks, whose problem is not convex, and without energy.
        change: relative change of each input in the last sweep, or the residual of a fixed point;
            NaN where there is a gap.
        residual: $\|N(x) - y\|$ of each, with the network's output N(x).
        iterations: how many each took.
        reasons: why each ended.
        point: where the iterations ended, for a warm start.
    """

    x: Float[Array, "samples ..."]
    energy: Float[Array, " samples"]
    gap: Float[Array, " samples"]
    change: Float[Array, " samples"]
    residual: Float[Array, " samples"]
    iterations: Array
    reasons: tuple[Reason, ...]
    point: Point


def invert(
    network: Network,
    params: Params,
    y: ArrayLike,
    regulariser: AbstractPrior,
    alpha: ArrayLike,
    *,
    solver: PrimalDual | BlockDescent | None = None,
    start: Point | ArrayLike | None = None,
) -> Inverse:
    r"""Inputs that a network maps to given outputs; no activation is differentiated.

    For one layer the minimisers of $B_\Psi(y, Wx+b) + \alpha J(x)$, a convex problem, each with a
    certificate. For deeper networks stationary points of the lifted energy in all activations and
    the input, $\sum_jw_jB_j(u_j, z_j) + \alpha J(u_0)$ with the output clamped to y. The whole
    batch is one compiled program.

    Args:
        network: any.
        params: of the network.
        y: outputs, (samples, ...).
        regulariser: J.
        alpha: $\alpha > 0$, one for all, or one for each output.
        solver: None for `PrimalDual()` if there is one node, else for `BlockDescent()`.
        start: inputs, or the `point` of an earlier result; None for 0.

    Raises:
        ValueError: for parameters of another network, shapes that do not fit, values that are not
            finite, an α that is not positive, outputs that the activation cannot have, arguments of
            another kind, and `PrimalDual` for more layers.

    Source: arXiv 2510.09796, section 5; Wang & Benning (2023).
    """
    check_kind(network, Network, "network", "a Network")
    check_params(network, params)
    check_kind(regulariser, AbstractPrior, "regulariser", "a regulariser such as TotalVariation()")
    method = default_solver(network) if solver is None else solver
    check_kind(method, PrimalDual | BlockDescent, "solver", "PrimalDual(), BlockDescent() or None")
    outputs = checked(network, network.at(params).nodes[-1].potential, y)
    weights = checked_alpha(alpha, outputs)
    shape = tuple(network.input_shape)
    regulariser.terms(shape)
    begin = _start(regulariser, start, (len(outputs), *shape), outputs)
    ends = (Reason.SETTLED, Reason.MOVING)
    if isinstance(method, BlockDescent):
        found = _descend(method, (network, params), regulariser, weights, outputs, begin)
    else:
        data = data_term(network, params)
        begin = begin if begin.p is not None else begin._replace(p=jnp.zeros_like(outputs))
        found = _solve(method, data, regulariser, weights, outputs, begin)
        if regulariser.valued(shape):
            ends = (Reason.CERTIFIED, Reason.BUDGET)
    size = found.energy if regulariser.valued(shape) else found.residual
    sizes = zip(np.asarray(found.done), np.asarray(size), strict=True)
    reasons = tuple(_reason(bool(done), float(value), ends) for done, value in sizes)
    x = jax.vmap(lambda joint: regulariser.input(joint))(found.point.x)
    numbers = (found.energy, found.gap, found.change, found.residual, found.iterations)
    return Inverse(x, *numbers, reasons, found.point)


def default_solver(
    network: Network, iterations: int | None = None, tolerance: float | None = None
) -> PrimalDual | BlockDescent:
    """`PrimalDual` for one node, else `BlockDescent`.

    Args:
        network: to be inverted.
        iterations: at most, of `BlockDescent` the sweeps; None for the default.
        tolerance: of the gap, or of the change; None for the default.

    Raises:
        ValueError: for a number out of range.
    """
    kind, name = (PrimalDual, "iterations") if len(network.nodes) == 1 else (BlockDescent, "sweeps")
    given = {name: iterations, "tolerance": tolerance}
    return kind(**{key: value for key, value in given.items() if value is not None})


@eqx.filter_jit
def _descend(
    solver: BlockDescent,
    model: tuple[Network, Params],
    prior: AbstractPrior,
    alpha: Array,
    y: Array,
    begin: Point,
) -> Solved:
    return solver.solve(*model, prior, alpha, y, begin)


@eqx.filter_jit
def _solve(
    solver: PrimalDual, data: DataTerm, prior: AbstractPrior, alpha: Array, y: Array, begin: Point
) -> Solved:
    return jax.vmap(lambda a, u, p: solver.solve(data, prior, a, u, p))(alpha, y, begin)


@eqx.filter_jit
def _values(potential: AbstractPotential, outputs: Array) -> Array:
    return jax.vmap(lambda u: potential.value(u))(outputs)


def checked(network: Network, potential: AbstractPotential, y: ArrayLike) -> Array:
    """The outputs as an array.

    Raises:
        ValueError: for another shape, values that are not finite, or no values of the activation.
    """
    outputs = y if isinstance(y, Array) else jax.device_put(np.asarray(y))
    outputs = outputs if jnp.issubdtype(outputs.dtype, jnp.floating) else outputs.astype(float)
    shape = network.shapes[network.output]
    if outputs.ndim and not len(outputs):
        raise ValueError(f"y is empty, shape {outputs.shape}; give at least one output")
    if outputs.ndim != 1 + len(shape) or outputs.shape[1:] != shape:
        raise ValueError(
            f"y has the shape {outputs.shape}, outputs have {('samples', *shape)}; "
            "put the samples along the first axis, one output is y[None]"
        )
    bad = ~np.isfinite(np.asarray(outputs)).reshape(len(outputs), -1).all(axis=1)
    if bad.any():
        raise ValueError(f"y[{bad.argmax()}] has values that are not finite; leave it out")
    outside = ~np.isfinite(np.asarray(_values(potential, outputs)))
    if outside.any():
        raise ValueError(
            f"y[{outside.argmax()}] has values that {type(potential).__name__} never takes; "
            "project noisy outputs on its range first, by jnp.clip (ReLU: jnp.maximum(y, 0))"
        )
    return outputs


def checked_alpha(alpha: ArrayLike, y: Array) -> Array:
    """One α for each output.

    Raises:
        ValueError: for one that is not positive and finite, or another number of them.
    """
    try:
        weights = np.asarray(alpha, y.dtype)
    except (TypeError, ValueError):
        raise ValueError(
            f"alpha must be a positive number, or one for each output, got {named(alpha)}; "
            "discrepancy chooses it from the noise level"
        ) from None
    if weights.shape not in ((), (len(y),)):
        raise ValueError(
            f"alpha has the shape {weights.shape}; give one number, or one for each of the "
            f"{len(y)} outputs"
        )
    if not np.all((weights > 0) & np.isfinite(weights)):
        raise ValueError(f"alpha must be positive, got {alpha}; small noise wants a small one")
    return jax.device_put(np.full(len(y), weights, y.dtype))


def _start(
    prior: AbstractPrior, start: Point | ArrayLike | None, shape: tuple[int, ...], y: Array
) -> Point:
    if isinstance(start, Point):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, y.dtype), start)
    x = jnp.zeros(shape, y.dtype) if start is None else jnp.asarray(start, y.dtype)
    if x.shape != shape:
        raise ValueError(f"start has the shape {x.shape}, inputs are {shape}; give one for each y")
    return jax.vmap(lambda u: point(prior, u))(x)


def _reason(done: bool, size: float, ends: tuple[Reason, Reason]) -> Reason:
    if not np.isfinite(size):
        return Reason.DIVERGED
    return ends[0] if done else ends[1]
