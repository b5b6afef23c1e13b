"""Whether the lifted energy of a residual network is convex."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from liftax.affine import AbstractBilinear
from liftax.networks import INPUT, Network, Node, Params, check_params
from liftax.potentials import Identity

Shape = tuple[int, ...]


class Certificate(NamedTuple):
    r"""What is known about the convexity of $E^\rho$ in all its variables.

    Attributes:
        convex: whether the curvature is at least 0, up to rounding.
        curvature: the smallest eigenvalue of the Hessian of the energy's quadratic part,
            $\frac\lambda2\|Ku\|^2 + \frac12\|z\|^2 - \langle z, Wu\rangle +
            \frac\rho2\|Mu - Vz\|^2$. What is left, $\Psi(z) + \varphi^*(Wu + b)$, is convex.
        smallest: the ρ from which on the energy is convex for all weights with $V = W^\top$, see
            `smallest_rho`; infinite if there is none, as with $V = -W^\top$, and for other V.
        sharp: the same with the identity in $Q$ on the range of V only.
    """

    convex: bool
    curvature: float
    smallest: float
    sharp: float


class _Form(NamedTuple):
    """Places of the nodes among all variables, and the derivatives of all pre-activations."""

    places: dict[str, slice]
    rows: dict[str, np.ndarray]


def smallest_rho(
    difference: ArrayLike, output: ArrayLike, weight: float = 1.0, coupled: ArrayLike | None = None
) -> float:
    r"""The smallest ρ with $Q = \lambda K^\top K - \rho^{-1}I - M - M^\top\succeq0$; infinite if
    there is none.

    Then $\frac\lambda2\|Ku - f\|^2 + B_\Psi(z, Wu + b) + \frac\rho2\|Mu - W^\top z\|^2$ is convex
    in (u, z), whatever W, b and Ψ are: minimised over $v = W^\top z$, what it has of u and v beside
    convex functions is $\frac12\langle u, Qu\rangle$. The row of M that says what $W_j^\top z_j$
    is stands at the place of the $u$ that $W_j$ acts on, and rows of other places are 0: of blocks
    $u_{j+1} = u_j + W_j^\top z_j$, $j = 0, \dots, l-1$, M has the rows $u_{j+1} - u_j$ and 0, and
    $-M - M^\top$ is tridiagonal, 2 on the diagonal and 0 at its end, -1 beside it.

    Args:
        difference: M, square.
        output: K, with as many columns.
        weight: λ.
        coupled: for every entry of u whether $W^\top z$ can differ from 0 there. Given, the
            identity in Q is on these only, and ρ is smaller.

    Raises:
        ValueError: for shapes that do not fit.

    Source: arXiv 2510.09796, section 5.
    """
    m, k = (np.asarray(matrix, np.float64) for matrix in (difference, output))
    if m.ndim != 2 or k.ndim != 2 or m.shape[0] != m.shape[1] or k.shape[1] != m.shape[1]:
        raise ValueError(
            f"difference and output have the shapes {m.shape} and {k.shape}; M is square, and K "
            "has as many columns"
        )
    q = weight * k.T @ k - m - m.T
    free = np.zeros(len(m), bool) if coupled is None else ~np.asarray(coupled, bool)
    if free.any():
        inner, outer, corner = q[~free][:, ~free], q[~free][:, free], q[free][:, free]
        if np.linalg.eigvalsh(corner)[0] <= _rounding(q):
            return np.inf
        q = inner - outer @ np.linalg.solve(corner, outer.T)
    least = float(np.linalg.eigvalsh(q)[0])
    return 1 / least if least > _rounding(q) else np.inf


def certificate(network: Network, params: Params, rho: float, weight: float = 1.0) -> Certificate:
    r"""Whether the lifted energy with a penalised or exact residual network is convex.

    Nodes with the identity as activation make up u, together with the input, the others z; the
    former have the weight ρ, the output λ, as in `BlockDescent(weights=...)`. If the curvature is
    at least 0 then every stationary point is a minimiser. On the set $Mu = Vz$, which
    `BlockDescent(exact=True)` keeps to, the energy is convex if it is for any ρ.

    It takes a few dense matrices with a row for every entry of u and z.

    Args:
        network: any without bilinear maps; `gradient_resnet` gives those with $V = \pm W^\top$.
        params: of it.
        rho: ρ.
        weight: λ.

    Raises:
        ValueError: for a network with bilinear maps, parameters of another network, and numbers
            that are not positive.

    Source: arXiv 2510.09796, section 5, for $Q$; the curvature and the sharp bound are this
    library's.
    """
    for name, number in (("rho", rho), ("weight", weight)):
        if not (number > 0 and np.isfinite(number)):
            raise ValueError(f"{name} must be positive, got {number}; 1 is a start")
    check_params(network, params)
    form = _form(network, params)
    hessian = _hessian(network, form, rho, weight)
    least = float(np.linalg.eigvalsh(hessian)[0])
    smallest, sharp = _for_all_weights(network, form, weight)
    return Certificate(least >= -_rounding(hessian), least, smallest, sharp)


def _rounding(matrix: np.ndarray) -> float:
    return 1e-12 * float(np.abs(matrix).max(initial=1.0))


def _form(network: Network, params: Params) -> _Form:
    names, shapes = (INPUT, *network.hidden), network.shapes
    sizes = [int(np.prod(shapes[name])) for name in names]
    ends = np.cumsum(sizes)
    places = {n: slice(int(e) - s, int(e)) for n, s, e in zip(names, sizes, ends, strict=True)}
    network, rows = network.at(params), {}
    for node in network.nodes:
        if isinstance(node.affine, AbstractBilinear):
            raise ValueError(
                f"network: node {node.name!r} is bilinear, so that the energy has no quadratic "
                "part; only networks of affine maps have a certificate"
            )
        row = np.zeros((int(np.prod(shapes[node.name])), int(ends[-1])))
        for position, parent in enumerate(node.parents):
            row[:, places[parent]] += _slope(node, params[node.owner], shapes, position)
        rows[node.name] = row
    return _Form(places, rows)


def _slope(node: Node, theta: Any, shapes: Mapping[str, Shape], position: int) -> np.ndarray:
    """The matrix of a node's map in one of its parents."""
    size = int(np.prod(shapes[node.parents[position]]))
    # The last row is the map at 0.
    inputs = [jnp.zeros((size + 1, *shapes[p])) for p in node.parents]
    inputs[position] = jnp.eye(size + 1, size).reshape(size + 1, *shapes[node.parents[position]])
    images = np.asarray(node.affine.apply(theta, *inputs), np.float64).reshape(size + 1, -1)
    return (images[:-1] - images[-1]).T


def _hessian(network: Network, form: _Form, rho: float, weight: float) -> np.ndarray:
    size = next(iter(form.rows.values())).shape[1]
    hessian = np.zeros((size, size))
    for node in network.nodes:
        row, linear = form.rows[node.name], isinstance(node.potential, Identity)
        if node.name == network.output:
            hessian += weight * row.T @ row if linear else 0.0
            continue
        own = np.eye(size)[form.places[node.name]]
        if linear:
            hessian += rho * (own - row).T @ (own - row)
        else:
            hessian += own.T @ own - own.T @ row - row.T @ own
    return hessian


def _for_all_weights(network: Network, form: _Form, weight: float) -> tuple[float, float]:
    """The smallest ρ by Q, and by the sharp form of it; infinite unless V is Wᵀ."""
    linear = {n.name for n in network.nodes if isinstance(n.potential, Identity)} | {INPUT}
    states = [name for name in (INPUT, *network.hidden) if name in linear]
    entries = np.concatenate([np.arange(*form.places[n].indices(2**31)) for n in states])
    found = {int(entry): place for place, entry in enumerate(entries)}
    difference = np.zeros((len(entries),) * 2)
    coupled = np.zeros(len(entries), bool)
    for name in states[1:]:
        node, row = network.node(name), form.rows[name]
        units = [p for p in dict.fromkeys(node.parents) if p not in linear]
        below = {p for unit in units for p in network.node(unit).parents}
        if len(below) != 1 or not below <= linear:
            return np.inf, np.inf
        (parent,) = below
        place = [found[i] for i in range(*form.places[parent].indices(2**31))]
        inner = [form.rows[unit][:, form.places[parent]] for unit in units]
        outer = [row[:, form.places[unit]].T for unit in units]
        if any(
            v.shape != w.shape or not np.allclose(v, w) for v, w in zip(outer, inner, strict=True)
        ):
            return np.inf, np.inf
        if coupled[place].any():
            return np.inf, np.inf
        coupled[place] = True
        own = np.zeros((len(row), row.shape[1]))
        own[:, form.places[name]] = np.eye(len(row))
        difference[place] = (own - row)[:, entries]
    last = network.node(network.output)
    output = form.rows[network.output][:, entries]
    if last.name not in linear or not set(last.parents) <= linear:
        return np.inf, np.inf
    plain = smallest_rho(difference, output, weight)
    return plain, smallest_rho(difference, output, weight, coupled)
