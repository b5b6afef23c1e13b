"""The primal-dual method of Condat and Vũ, with a certificate."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import until
from liftax.inversion._data import DataTerm
from liftax.inversion._regulariser import AbstractPrior, Shape, Term


class PrimalDual(eqx.Module):
    r"""Condat-Vũ iterations for $\min_xF(x) + \alpha\sum_ih_i(K_ix)$, F smooth.

    $$x^+ = \mathrm{prox}_{\tau\alpha h_0}\big(x - \tau(\nabla F(x) +
      \alpha\sum_iK_i^\top q_i)\big),\qquad
      q_i^+ = \mathrm{prox}_{s\alpha h_i^*}\big(q_i + s\alpha K_i(2x^+ - x)\big)$$

    with $1/\tau = L + s\alpha^2\sum_i\|K_i\|^2$ and $s = \mathrm{ratio}\cdot
    L/(\alpha^2\sum_i\|K_i\|^2)$. Terms with a prox of their own may be $h_0$; there is one.

    **Gap.** With $p = \nabla F(x)$ and $r = p + \alpha\sum_iK_i^\top q_i$ the duality gap,
    restricted to inputs in a set that contains a minimiser, is
    $$\alpha\sum_i\big[h_i(K_ix) + h_i^*(q_i) - \langle q_i, K_ix\rangle\big] + \rho,$$
    where ρ is the smaller of $\alpha[h_0(x) + h_0^*(-r/\alpha)] + \langle r, x\rangle$ (exact: any
    input; finite for a box and a squared norm) and $R\|r + \alpha q_0\|$ with a subgradient
    $q_0$ of $h_0$ at x (inputs within R of x). It bounds what the energy exceeds its minimum by if
    a minimiser lies within R of x, and in any case if the first is the smaller one.

    Attributes:
        iterations: at most.
        tolerance: of gap/energy, which ends the iterations.
        ratio: of the dual to the primal step.
        radius: R; None for $\max(2\|x\|, \sqrt n)$, n entries: inputs in the unit cube have it.

    Raises:
        ValueError: for a number out of range.

    Source: Condat (2013); Vũ (2013); the restricted gap of Chambolle & Pock (2011).
    """

    iterations: int = eqx.field(static=True, default=20000)
    tolerance: float = 1e-6
    ratio: float = 1.0
    radius: float | None = None

    def __check_init__(self) -> None:
        numbers = {
            "iterations": self.iterations,
            "ratio": self.ratio,
            "radius": 1.0 if self.radius is None else self.radius,
        }
        for name, number in numbers.items():
            if isinstance(number, int | float) and not (number > 0 and math.isfinite(number)):
                raise ValueError(f"{name} must be positive, got {number}; the default is a start")
        if isinstance(self.tolerance, int | float) and not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance}; try 1e-6")

    def solve(
        self,
        data: DataTerm,
        prior: AbstractPrior,
        alpha: Float[Array, ""],
        y: Float[Array, "..."],
        start: "Point",
    ) -> "Solved":
        """The minimiser for one output y, from the start."""
        problem = _Problem(data, prior, prior.input(start.x).shape)
        lipschitz = data.lipschitz(problem.shape, y.dtype)
        squares = [jnp.asarray(t.norm(), y.dtype) ** 2 for t in problem.dual]
        size = alpha**2 * sum(squares, jnp.zeros((), y.dtype))
        positive = size > 0
        s = jnp.where(positive, self.ratio * lipschitz / jnp.where(positive, size, 1), 1.0)
        tau = 1 / (lipschitz + s * size)
        state = problem.measured(self, alpha, y, start, jnp.zeros_like(start.x))

        def step(old: _State) -> _State:
            return problem.advanced(self, (alpha, tau, s), y, old)

        def done(state: _State) -> Any:
            floor = 10 * jnp.finfo(y.dtype).eps * (1 + 0.5 * jnp.sum(y * y))
            small = state.gap <= self.tolerance * jnp.maximum(state.energy, floor)
            return small | jnp.logical_not(jnp.isfinite(state.energy + jnp.sum(state.x)))

        # The energy of a start outside a constraint is infinite; one step mends it.
        state, count = until(step, step(state), done, self.iterations - 1)
        size = jnp.sqrt(jnp.sum(state.residual**2))
        point = Point(state.x, state.q)
        return Solved(point, state.energy, state.gap, size, count + 1, done(state))


class Point(NamedTuple):
    """Where iterations start: the joint variable and the dual ones, a tuple of arrays."""

    x: Float[Array, "..."]
    q: tuple[Array, ...]


class Solved(NamedTuple):
    """What came out for one output."""

    point: Point
    energy: Float[Array, ""]
    gap: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: Array
    done: Array


class _State(NamedTuple):
    x: Array
    q: tuple[Array, ...]
    images: tuple[Array, ...]  # K_i x
    slope: Array  # the gradient of the data term in the joint variable
    pull: Array  # α Σ K_i' q_i
    residual: Array
    energy: Array
    gap: Array


def arranged(terms: tuple[Term, ...]) -> tuple[Term | None, tuple[Term, ...]]:
    """The term whose prox is taken, one that gives an exact gap if there is one, and the others."""
    direct = [t for t in terms if t.direct]
    first = next((t for t in direct if t.coercive), direct[0] if direct else None)
    return first, tuple(t for t in terms if t is not first)


def point(prior: AbstractPrior, x: Float[Array, "..."]) -> Point:
    """The start at an input x with the dual variables 0."""
    _, dual = arranged(prior.terms(x.shape))
    joint = prior.joint(x)
    return Point(joint, tuple(jnp.zeros_like(t.forward(joint)) for t in dual))


class _Problem:
    """One inverse problem: no state, only what the steps share."""

    def __init__(self, data: DataTerm, prior: AbstractPrior, shape: Shape):
        self.data, self.prior, self.shape = data, prior, shape
        self.first, self.dual = arranged(prior.terms(shape))

    def advanced(
        self, solver: PrimalDual, steps: tuple[Array, Array, Array], y: Array, old: _State
    ) -> _State:
        alpha, tau, s = steps
        moved = old.x - tau * (old.slope + old.pull)
        x = moved if self.first is None else self.first.direct_prox(moved, tau * alpha)
        images = [t.forward(x) for t in self.dual]
        q = tuple(
            t.dual_prox(p + s * alpha * (2 * new - image), s * alpha)
            for t, p, new, image in zip(self.dual, old.q, images, old.images, strict=True)
        )
        return self.measured(solver, alpha, y, Point(x, q), (moved - x) / tau)

    def measured(self, solver: PrimalDual, alpha: Array, y: Array, at: Point, own: Array) -> _State:
        """The state at a point; `own` is α times a subgradient of h₀ there."""
        x, q = at
        u = self.prior.input(x)
        z = self.data.forward(u)
        residual = self.data.residual(y, z)
        slope = self.prior.joint(self.data.adjoint(u, residual))
        images = tuple(t.forward(x) for t in self.dual)
        pulls = [alpha * t.adjoint(p) for t, p in zip(self.dual, q, strict=True)]
        pull = sum(pulls, jnp.zeros_like(x))
        values = [t.value(v) for t, v in zip(self.dual, images, strict=True)]
        pairs = zip(self.dual, q, images, values, strict=True)
        gaps = [v + t.conjugate(p) - jnp.sum(p * image) for t, p, image, v in pairs]
        zero = jnp.zeros((), x.dtype)
        gap, total = alpha * sum(gaps, zero), alpha * sum(values, zero)
        r = slope + pull
        n = math.prod(x.shape)
        far = jnp.maximum(2 * jnp.linalg.norm(x), jnp.asarray(math.sqrt(n), x.dtype))
        radius = far if solver.radius is None else jnp.asarray(solver.radius, x.dtype)
        rest = radius * jnp.linalg.norm(r + own)
        if self.first is not None:
            image = self.first.forward(x)
            value = self.first.value(image)
            other = self.first.conjugate(self.first.forward(-r / alpha))
            exact = alpha * (value + other) + jnp.sum(r * x)
            rest = jnp.minimum(rest, jnp.where(jnp.isnan(exact), jnp.inf, exact))
            total = total + alpha * value
        energy = self.data.value(y, z) + total
        return _State(x, q, images, slope, pull, residual, energy, gap + jnp.maximum(rest, 0))
