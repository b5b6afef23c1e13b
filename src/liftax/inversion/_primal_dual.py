"""Primal-dual iterations with a certificate."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from liftax._fusion import apart, once
from liftax._iterate import repeat, until
from liftax.inversion._data import DataTerm
from liftax.inversion._data_step import AbstractDataStep, ProximalData, Steps
from liftax.inversion._regulariser import AbstractPrior, Shape
from liftax.inversion._warm_prox import arranged


class PrimalDual(eqx.Module):
    r"""Primal-dual iterations for $\min_xB_\Psi(y, Wx + b) + \alpha\sum_ih_i(K_ix)$.

    $$x^+ = \mathrm{prox}_{\tau\alpha h_0}\big(x - \tau(W^\top p + \alpha\sum_iK_i^\top
      q_i)\big),\qquad q_i^+ = \mathrm{prox}_{s\alpha h_i^*}\big(q_i + s\alpha K_i(2x^+ - x)\big)$$

    and p from the step of the data: a gradient (Condat and Vũ) or a proximal one (Chambolle and
    Pock). Terms with a prox of their own may be $h_0$; there is one. All variables then go on by ω
    times the step; the result and its gap are those before this, which lie in all domains. The
    image z is affine, so that an iteration takes one product with W and one with $W^\top$.

    **Gap.** The energy is $\sup_{p,q}\langle p, Wx + b\rangle - F^*(p) + \dots$ with
    $F^*(p) = \varphi(y + p) - \varphi(y)$, and $B_\Psi(y, z) + F^*(p) - \langle p, z\rangle =
    B_\Psi(y + p, z)$: what the data term lacks in Fenchel and Young's inequality. With
    $r = W^\top p + \alpha\sum_iK_i^\top q_i$ the duality gap, restricted to inputs in a set that
    contains a minimiser, is
    $$B_\Psi(y + p, Wx + b) + \alpha\sum_i\big[h_i(K_ix) + h_i^*(q_i) -
      \langle q_i, K_ix\rangle\big] + \rho,$$
    where ρ is the smaller of $\alpha[h_0(x) + h_0^*(-r/\alpha)] + \langle r, x\rangle$ (exact: any
    input; finite for a box and a squared norm) and $R\|r + \alpha q_0\|$ with a subgradient
    $q_0$ of $h_0$ at x (inputs within R of x). It bounds what the energy exceeds its minimum by if
    a minimiser lies within R of x, and in any case if the first is the smaller one. Terms that
    rounding makes negative count as 0. In single precision the residual r alone keeps the gap
    above about $10^{-7}R$ times the size of its terms: 1e-6 of the energy wants double precision.

    With `PlugAndPlay` there is neither energy nor gap. The iterations then end by the residual of
    their fixed point, the root of $\sum\|v^+ - v\|^2/l$ over $\sum\|v^+\|^2/l$ for all variables v
    with their lengths l, without relaxation.

    Attributes:
        iterations: at most; as an array, one program serves all numbers.
        tolerance: of gap/energy, which ends the iterations, or else of the residual.
        data_step: `ProximalData` or `GradientData`.
        radius: R; None for $\max(2\|x\|, \sqrt n)$, n entries: inputs in the unit cube have it.
        every: iterations from one look at the gap to the next.

    Raises:
        ValueError: for a number out of range.

    Source: Condat (2013), and there the relaxation; Vũ (2013); Chambolle & Pock (2011), and there
    the restricted gap.
    """

    iterations: int | Int[Array, ""] = 20000
    tolerance: float = 1e-6
    data_step: AbstractDataStep = ProximalData()
    radius: float | None = None
    every: int = eqx.field(static=True, default=20)

    def __check_init__(self) -> None:
        numbers = {
            "iterations": self.iterations,
            "every": self.every,
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
        tilt: Float[Array, "..."] | None = None,
    ) -> "Solved":
        r"""The minimiser for one output y, from the start; of the energy $+ \langle t, Wx\rangle$
        with a tilt t, whose gap is then relative to the energy without.
        """
        shape = prior.input(start.x).shape
        aim = y if tilt is None else y - tilt
        problem = _Problem(self, data, prior, (alpha, y, aim), shape)
        lipschitz = data.lipschitz(shape, y.dtype)
        size = alpha**2 * problem.terms.square(y.dtype)
        trusted = None if problem.terms.first is None else problem.terms.first.trusted
        steps = self.data_step.steps(lipschitz, size, alpha, trusted)

        def block(old: _State, count: Any) -> _State:
            at = repeat(lambda at: problem.advanced(steps, at)[1], old.at, count - 1)
            new, ahead, own = problem.advanced(steps, at)
            return _State(ahead, new, *problem.measured(steps, (at, new), own))

        def done(state: _State) -> Any:
            floor = 10 * jnp.finfo(y.dtype).eps * (1 + 0.5 * jnp.sum(y * y))
            small = state.gap <= self.tolerance * jnp.maximum(state.energy, floor)
            if not problem.valued:
                return jnp.logical_not(state.change > self.tolerance)
            return small | jnp.logical_not(jnp.isfinite(state.energy + jnp.sum(state.new.x)))

        z = data.forward(prior.input(start.x))
        begin = _Iterate(start.x, start.q, 0 * y if start.p is None else start.p, z)
        unknown = jnp.full((), jnp.inf, y.dtype)
        # The first block has what is left of the iterations by whole ones.
        most = (self.iterations - 1) // self.every
        first = self.iterations - most * self.every
        state = block(_State(begin, begin, unknown, unknown, unknown), first)
        state, count = until(lambda old: block(old, self.every), state, done, most)
        new = state.new
        miss = jnp.linalg.norm(data.residual(y, new.z))
        point = Point(new.x, new.q, new.p)
        numbers = (state.energy, state.gap, state.change, miss)
        return Solved(point, *numbers, first + self.every * count, done(state))


class Point(NamedTuple):
    r"""Where iterations start: the joint variable and the dual ones.

    Attributes:
        x: the joint variable.
        q: the dual variables of the terms.
        p: the dual variable of the data; None for 0.
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


class _Iterate(NamedTuple):
    """A point and $z = Wx + b$, which is affine in it."""

    x: Array
    q: tuple[Array, ...]
    p: Array
    z: Array


class _State(NamedTuple):
    at: _Iterate
    new: _Iterate  # before relaxation: in the domains
    energy: Array
    gap: Array
    change: Array


def point(prior: AbstractPrior, x: Float[Array, "..."]) -> Point:
    """The start at an input x with the dual variables 0."""
    joint = prior.joint(x)
    return Point(joint, arranged(prior.terms(x.shape)).start(joint))


class _Problem:
    """One inverse problem: no state, only what the steps share."""

    def __init__(
        self,
        solver: PrimalDual,
        data: DataTerm,
        prior: AbstractPrior,
        numbers: tuple[Array, Array, Array],
        shape: Shape,
    ):
        self.solver, self.data, self.prior = solver, data, prior
        self.alpha, self.y, self.aim = numbers
        self.terms, self.valued = arranged(prior.terms(shape)), prior.valued(shape)

    def advanced(self, steps: Steps, at: _Iterate) -> tuple[_Iterate, _Iterate, Array]:
        """The next point, the one beyond it where the iterations go on, and α times a subgradient
        of h₀ at the former.
        """
        tau, s, alpha = steps.primal, steps.dual, self.alpha
        moved = at.x - tau * self.pull(at)
        x = moved if self.terms.first is None else self.terms.first.direct_prox(moved, tau * alpha)
        # All but the gap needs x⁺ in the form of 2x⁺ - x only: one array less to go through.
        ahead = once(2 * x - at.x)
        q = tuple(
            t.dual_prox(v + s * alpha * t.forward(ahead), s * alpha)
            for t, v in zip(self.terms.dual, at.q, strict=True)
        )
        beyond = self.data.forward(self.prior.input(ahead))
        z = (at.z + beyond) / 2
        p = self.solver.data_step.dual(self.data, self.aim, (at.p, z, beyond), steps.data)
        new, over = _Iterate(x, q, p, z), steps.relaxation
        gone = jax.tree.map(lambda a, b: a + over * (b - a), at, new)
        gone = gone._replace(x=at.x + 0.5 * over * (ahead - at.x))
        return new, gone, (moved - x) / tau

    def pull(self, at: _Iterate) -> Array:
        r"""$W^\top p + \alpha\sum_iK_i^\top q_i$."""
        slope = self.prior.joint(self.data.adjoint(self.prior.input(at.x), at.p))
        pulls = (self.alpha * t.adjoint(v) for t, v in zip(self.terms.dual, at.q, strict=True))
        return sum(pulls, slope)

    def measured(
        self, steps: Steps, pair: tuple[_Iterate, _Iterate], own: Array
    ) -> tuple[Array, Array, Array]:
        """Energy, gap and residual of the fixed point, after a step from the first to the second;
        NaN where there is none.
        """
        at, nothing = pair[1], jnp.full((), jnp.nan, own.dtype)
        if not self.valued:
            return nothing, nothing, _residual(steps, *pair)
        (first, dual), alpha, zero = self.terms, self.alpha, jnp.zeros((), own.dtype)
        inner = [t.forward(at.x) for t in dual]
        values = [t.value(v) for t, v in zip(dual, inner, strict=True)]
        groups = zip(dual, at.q, inner, values, strict=True)
        gaps = [
            jnp.maximum(v + t.conjugate(u) - jnp.sum(u * image), 0) for t, u, image, v in groups
        ]
        total = alpha * sum(values, zero)
        # B(y, z) + F*(p) - <p, z> = B(y + p, z).
        gap = alpha * sum(gaps, zero) + self.data.value(self.aim + at.p, at.z)
        r = apart(self.pull(at))
        far = jnp.maximum(2 * jnp.linalg.norm(at.x), jnp.asarray(math.sqrt(at.x.size), r.dtype))
        radius = far if self.solver.radius is None else jnp.asarray(self.solver.radius, r.dtype)
        rest = radius * jnp.linalg.norm(r + own)
        if first is not None:
            image = first.forward(at.x)
            value = first.value(image)
            other = first.conjugate(first.forward(-r / alpha))
            exact = alpha * (value + other) + jnp.sum(r * at.x)
            rest = jnp.minimum(rest, jnp.where(jnp.isnan(exact), jnp.inf, exact))
            total = total + alpha * value
        return self.data.value(self.y, at.z) + total, gap + jnp.maximum(rest, 0), nothing


def _residual(steps: Steps, at: _Iterate, new: _Iterate) -> Array:
    """Of the fixed point, in all variables."""
    lengths = (steps.primal, *[steps.dual] * len(at.q), steps.data)

    def square(variables: Any) -> Array:
        parts = jax.tree.leaves(variables)
        return sum(
            (jnp.sum(v * v) / length for v, length in zip(parts, lengths, strict=True)),
            jnp.zeros((), at.x.dtype),
        )

    old, now = (at.x, at.q, at.p), (new.x, new.q, new.p)
    moved = square(jax.tree.map(jnp.subtract, now, old))
    return jnp.sqrt(moved / jnp.maximum(square(now), jnp.finfo(at.x.dtype).tiny))
