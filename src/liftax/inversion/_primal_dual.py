"""Primal-dual iterations with a certificate."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import until
from liftax.inversion._data import DataTerm
from liftax.inversion._data_step import AbstractDataStep, ProximalData, Steps
from liftax.inversion._regulariser import AbstractPrior, Shape, Term


class PrimalDual(eqx.Module):
    r"""Primal-dual iterations for $\min_xB_\Psi(y, Wx + b) + \alpha\sum_ih_i(K_ix)$.

    $$x^+ = \mathrm{prox}_{\tau\alpha h_0}\big(x - \tau(W^\top p + \alpha\sum_iK_i^\top
      q_i)\big),\qquad q_i^+ = \mathrm{prox}_{s\alpha h_i^*}\big(q_i + s\alpha K_i(2x^+ - x)\big)$$

    and p from the step of the data: a gradient (Condat and Vũ) or a proximal one (Chambolle and
    Pock). Terms with a prox of their own may be $h_0$; there is one.

    **Gap.** With $r = W^\top p + \alpha\sum_iK_i^\top q_i$ the duality gap, restricted to inputs
    in a set that contains a minimiser, is
    $$B_\Psi(y + p, Wx + b) + \alpha\sum_i\big[h_i(K_ix) + h_i^*(q_i) -
      \langle q_i, K_ix\rangle\big] + \rho,$$
    where ρ is the smaller of $\alpha[h_0(x) + h_0^*(-r/\alpha)] + \langle r, x\rangle$ (exact: any
    input; finite for a box and a squared norm) and $R\|r + \alpha q_0\|$ with a subgradient
    $q_0$ of $h_0$ at x (inputs within R of x). It bounds what the energy exceeds its minimum by if
    a minimiser lies within R of x, and in any case if the first is the smaller one.

    Attributes:
        iterations: at most.
        tolerance: of gap/energy, which ends the iterations.
        data_step: `ProximalData` or `GradientData`.
        radius: R; None for $\max(2\|x\|, \sqrt n)$, n entries: inputs in the unit cube have it.

    Raises:
        ValueError: for a number out of range.

    Source: Condat (2013); Vũ (2013); Chambolle & Pock (2011), and there the restricted gap.
    """

    iterations: int = eqx.field(static=True, default=20000)
    tolerance: float = 1e-6
    data_step: AbstractDataStep = ProximalData()
    radius: float | None = None

    def __check_init__(self) -> None:
        numbers = {
            "iterations": self.iterations,
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
        steps = self.data_step.steps(lipschitz, size)
        z = data.forward(prior.input(start.x))
        first = start if start.p is not None else start._replace(p=data.residual(y, z))
        state = problem.measured(self, alpha, y, first, (z, jnp.zeros_like(start.x)))

        def step(old: _State) -> _State:
            return problem.advanced(self, (alpha, steps), y, old)

        def done(state: _State) -> Any:
            floor = 10 * jnp.finfo(y.dtype).eps * (1 + 0.5 * jnp.sum(y * y))
            small = state.gap <= self.tolerance * jnp.maximum(state.energy, floor)
            return small | jnp.logical_not(jnp.isfinite(state.energy + jnp.sum(state.x)))

        # The energy of a start outside a constraint is infinite; one step mends it.
        state, count = until(step, step(state), done, self.iterations - 1)
        miss = jnp.linalg.norm(data.residual(y, state.z))
        point = Point(state.x, state.q, state.p)
        nothing = jnp.full_like(miss, jnp.nan)
        return Solved(point, state.energy, state.gap, nothing, miss, count + 1, done(state))


class Point(NamedTuple):
    r"""Where iterations start: the joint variable and the dual ones.

    Attributes:
        x: the joint variable.
        q: the dual variables of the terms.
        p: the dual variable of the data; None for $\sigma(Wx + b) - y$.
    """

    x: Float[Array, "..."]
    q: tuple[Array, ...]
    p: Float[Array, "..."] | None = None


class Solved(NamedTuple):
    """What came out for one output, or for a batch; fields as in `Inverse`."""

    point: Point
    energy: Float[Array, "..."]
    gap: Float[Array, "..."]
    change: Float[Array, "..."]
    residual: Float[Array, "..."]
    iterations: Array
    done: Array


class _State(NamedTuple):
    x: Array
    q: tuple[Array, ...]
    images: tuple[Array, ...]  # K_i x
    p: Array
    z: Array
    slope: Array  # W'p in the joint variable
    pull: Array  # α Σ K_i' q_i
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
        self, solver: PrimalDual, numbers: tuple[Array, Steps], y: Array, old: _State
    ) -> _State:
        alpha, steps = numbers
        tau, s = steps.primal, steps.dual
        moved = old.x - tau * (old.slope + old.pull)
        x = moved if self.first is None else self.first.direct_prox(moved, tau * alpha)
        images = [t.forward(x) for t in self.dual]
        q = tuple(
            t.dual_prox(p + s * alpha * (2 * new - image), s * alpha)
            for t, p, new, image in zip(self.dual, old.q, images, old.images, strict=True)
        )
        z = self.data.forward(self.prior.input(x))
        p = solver.data_step.dual(self.data, y, (old.p, z, 2 * z - old.z), steps.data)
        return self.measured(solver, alpha, y, Point(x, q, p), (z, (moved - x) / tau))

    def measured(
        self, solver: PrimalDual, alpha: Array, y: Array, at: Point, known: tuple[Array, Array]
    ) -> _State:
        """The state at a point; known are z there and α times a subgradient of h₀."""
        (x, q, p), (z, own) = at, known
        assert p is not None
        slope = self.prior.joint(self.data.adjoint(self.prior.input(x), p))
        images = tuple(t.forward(x) for t in self.dual)
        pulls = [alpha * t.adjoint(v) for t, v in zip(self.dual, q, strict=True)]
        pull = sum(pulls, jnp.zeros_like(x))
        values = [t.value(v) for t, v in zip(self.dual, images, strict=True)]
        pairs = zip(self.dual, q, images, values, strict=True)
        gaps = [v + t.conjugate(u) - jnp.sum(u * image) for t, u, image, v in pairs]
        zero = jnp.zeros((), x.dtype)
        total = alpha * sum(values, zero)
        # B(y, z) + F*(p) - <p, z> = B(y + p, z).
        gap = alpha * sum(gaps, zero) + self.data.value(y + p, z)
        r = slope + pull
        far = jnp.maximum(2 * jnp.linalg.norm(x), jnp.asarray(math.sqrt(x.size), x.dtype))
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
        return _State(x, q, images, p, z, slope, pull, energy, gap + jnp.maximum(rest, 0))
