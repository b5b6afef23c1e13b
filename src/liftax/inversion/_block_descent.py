"""Inputs of deep networks: block-coordinate descent over activations and input."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import repeat, until
from liftax.affine import AbstractBilinear
from liftax.blocks import (
    AbstractAcceleration,
    AbstractBlockStep,
    AbstractOrder,
    GaussSeidel,
    Nesterov,
    ProximalGradient,
    Sweep,
    pulled_back,
    restart_sweeps,
    start_sweeps,
    state_curvature,
    state_probes,
    sweep_states,
)
from liftax.inversion._primal_dual import Point, Solved, arranged
from liftax.inversion._regulariser import AbstractPrior
from liftax.methods import ADMM, Constant
from liftax.networks import INPUT, Network, Params, States
from liftax.objectives import LiftedEnergy
from liftax.potentials import Identity

_POWER_ITERATIONS = 100


class BlockDescent(eqx.Module):
    r"""$\min_{u_0,\dots,u_{J-1}}\sum_jw_jB_j(u_j, f_j(u_\mathrm{parents})) + \alpha J(u_0)$,
    the output clamped to y.

    A sweep updates the activations, from the output towards the input, by proximal gradient steps,
    and then the input by `inner` primal-dual steps with warm dual variables,
    $$u_0^+ = \mathrm{prox}_{\tau\alpha h_0}\big(u_0 - \tau(g + \alpha\sum_iK_i^\top
      q_i)\big),\qquad q_i^+ = \mathrm{prox}_{s\alpha h_i^*}\big(q_i + s\alpha K_i(2u_0^+ -
      u_0)\big)$$
    where $g = \sum_cw_c(\partial f_c/\partial u_0)^\top(\sigma_c(z_c) - u_c)$ sums over the
    children of the input, $L = \sum_cw_c\|\partial f_c/\partial u_0\|^2$, $1/\tau = L +
    s\alpha^2\sum_i\|K_i\|^2$ and $s = \mathrm{ratio}\cdot L/(\alpha^2\sum_i\|K_i\|^2)$.
    No activation is differentiated. The problem is convex in every block, not in all of them: what
    is found is a stationary point, and depends on the start. The exception are residual networks
    with a `certificate`.

    A node with the identity as activation is penalised by $\frac{w_j}2\|u_j - z_j\|^2$. In a
    residual network these are the penalties $\frac\rho2\|Mu - Vz\|^2$. If they are to be `exact`,
    they become constraints: ADMM adds $u_j - z_j$ to a multiplier after every sweep,
    $p_j^+ = p_j + u_j - z_j$, and $z_j - p_j$ takes the place of $z_j$; then $w_j$ is no part of
    the problem, and about 1 is a good one, even where the penalty would have to be large.

    With `ProximalGradient()` for `step`, `Plain()` for `inertia` and a regulariser that has a prox
    of its own the energy never increases; Nesterov's sequence (the default of both) is much faster
    and promises nothing.

    Attributes:
        sweeps: at most.
        inner: primal-dual steps on the input, a sweep.
        tolerance: of $\|u_0^+ - u_0\|/\|u_0\|$ in a sweep, and of the same for all activations
            together, for all examples, which ends the run.
        step: of the activations.
        order: of the activations.
        inertia: extrapolates the input before every sweep: `Plain` or `Nesterov`.
        ratio: of the dual to the primal step.
        weights: $w_j$ by node name, 1 where none is given.
        exact: whether hidden nodes with the identity as activation are constraints. The energy
            may then rise, without bounds where it is not convex and weights are small, and
            `GaussSeidel` takes long to compile for networks of dozens of nodes, `RedBlack` does
            not.

    Raises:
        ValueError: for a number out of range; in `solve` for `exact` where no node has the
            identity.

    Source: arXiv 2510.09796, section 5; Boyd et al. (2011) for ADMM.
    """

    sweeps: int = eqx.field(static=True, default=500)
    inner: int = eqx.field(static=True, default=5)
    tolerance: float = 1e-5
    step: AbstractBlockStep = ProximalGradient(acceleration=Nesterov())
    order: AbstractOrder = GaussSeidel()
    inertia: AbstractAcceleration = Nesterov()
    ratio: float = 1.0
    weights: Mapping[str, float] = eqx.field(default_factory=dict)
    exact: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        numbers = {"sweeps": self.sweeps, "inner": self.inner, "ratio": self.ratio}
        for name, number in numbers.items():
            if isinstance(number, int | float) and not (number > 0 and math.isfinite(number)):
                raise ValueError(f"{name} must be positive, got {number}; the default is a start")
        if isinstance(self.tolerance, int | float) and not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance}")

    def solve(
        self,
        network: Network,
        params: Params,
        prior: AbstractPrior,
        alpha: Float[Array, " samples"],
        y: Float[Array, "samples ..."],
        start: Point,
    ) -> Solved:
        """A stationary point for each of many outputs, from the start."""
        energy = LiftedEnergy(network, weights=self.weights).at(params)
        problem = _Problem(self, energy, params, prior, alpha)
        x = jax.vmap(lambda joint: prior.input(joint))(start.x)
        states, z, _ = energy.clamp(x, y, params)
        given = (energy, self.order, self.step, params, states, z)
        # No parameter moves: step sizes are computed once.
        memory = restart_sweeps(*given, start_sweeps(*given, jax.random.key(0)), hold=True)
        sweep = Sweep(states, z, memory)
        begin = _State(
            sweep,
            start.x,
            start.q,
            jnp.full(alpha.shape, jnp.inf, y.dtype),
            self.inertia.init({INPUT: start.x}),
            problem.multipliers.init(energy, states),
        )

        def done(state: _State) -> Array:
            return jnp.all(jnp.logical_not(state.change > self.tolerance))

        steps = problem.steps(states)
        state, count = until(lambda s: problem.swept(s, steps), begin, done, self.sweeps)
        output = network(params, state.sweep.states[INPUT])
        miss = jnp.linalg.norm((output - y).reshape(len(y), -1), axis=1)
        settled = state.change <= self.tolerance
        point = Point(state.x, state.q)
        nothing, counts = jnp.full_like(miss, jnp.nan), jnp.broadcast_to(count, miss.shape)
        return Solved(point, problem.value(state), nothing, state.change, miss, counts, settled)


class _State(NamedTuple):
    sweep: Sweep
    x: Array  # the joint variable
    q: tuple[Array, ...]
    change: Array
    momentum: Any  # of the input
    multipliers: Any


class _Problem:
    """One batch of problems: no state, only what the sweeps share."""

    def __init__(
        self,
        solver: BlockDescent,
        energy: LiftedEnergy,
        params: Params,
        prior: AbstractPrior,
        alpha: Array,
    ):
        self.solver, self.energy, self.params = solver, energy, params
        self.prior, self.alpha = prior, alpha
        hidden = energy.network.nodes[:-1]
        if solver.exact and not any(isinstance(n.potential, Identity) for n in hidden):
            raise ValueError(
                "exact=True needs hidden nodes with the identity as activation, of which the "
                "network has none; leave it out"
            )
        self.multipliers = ADMM() if solver.exact else Constant()
        self.first, self.dual = arranged(prior.terms(tuple(energy.network.input_shape)))

    def swept(self, state: _State, steps: tuple[Array, Array]) -> _State:
        """Activations, then the input."""
        solver = self.solver
        energy = self.multipliers.at(self.energy, state.multipliers)
        ahead, _ = solver.inertia.points(state.momentum, {INPUT: state.x})
        begin = self.at(energy, state, ahead[INPUT])
        given = (energy, solver.order, solver.step, self.params)
        sweep = sweep_states(*given, *begin.sweep)
        begin = jax.lax.optimization_barrier(begin._replace(sweep=sweep))
        new = repeat(lambda s: self.moved(energy, s, steps), begin, solver.inner)
        momentum = solver.inertia.after(state.momentum, {INPUT: state.x}, ahead, {INPUT: new.x})
        hidden = energy.network.hidden
        old, now = state.sweep.states, new.sweep.states
        # Where the pull of the output takes several sweeps to the input, only activations move.
        change = jnp.maximum(_change(old, now, (INPUT,)), _change(old, now, hidden))
        new = new._replace(momentum=momentum, change=change)
        return self.ascended(energy, new) if solver.exact else new

    def ascended(self, energy: LiftedEnergy, state: _State) -> _State:
        """The state with new multipliers, after a sweep of this energy."""
        states, z = state.sweep.states, state.sweep.z
        multipliers = self.multipliers.update(energy, state.multipliers, states, z)
        energy = self.multipliers.at(self.energy, multipliers)
        sweep = state.sweep._replace(z=energy.preactivations(self.params, states))
        return state._replace(sweep=sweep, multipliers=multipliers)

    def steps(self, states: States) -> tuple[Array, Array]:
        """Primal and dual steps of every example."""
        network, dtype = self.energy.network, states[INPUT].dtype
        for node, _ in network.children(INPUT):
            if isinstance(node.affine, AbstractBilinear):
                raise ValueError(
                    f"network: node {node.name!r} multiplies the input by an activation, so that "
                    "no step holds for all; put a node with the map Identity between them"
                )
        probes = state_probes(network, jax.random.key(1), dtype, (INPUT,))
        given = (self.energy, self.params, states, probes, (INPUT,), _POWER_ITERATIONS)
        # Power iteration comes from below.
        lipschitz = 1.02 * state_curvature(*given)[0][INPUT]
        squares = sum((jnp.asarray(t.norm(), dtype) ** 2 for t in self.dual), jnp.zeros((), dtype))
        size = self.alpha**2 * squares
        dual = self.solver.ratio * lipschitz / jnp.where(size > 0, size, 1)
        return 1 / (lipschitz + jnp.where(size > 0, dual * size, 0)), dual

    def at(self, energy: LiftedEnergy, state: _State, x: Array) -> _State:
        """The state with another joint variable."""
        network, sweep = energy.network, state.sweep
        states = {**sweep.states, INPUT: jax.vmap(lambda joint: self.prior.input(joint))(x)}
        children = {node.name for node, _ in network.children(INPUT)}
        z = {n: energy.preactivation(self.params, states, n) for n in children}
        return state._replace(sweep=Sweep(states, {**sweep.z, **z}, sweep.memory), x=x)

    def moved(self, energy: LiftedEnergy, state: _State, steps: tuple[Array, Array]) -> _State:
        """One primal-dual step on the input."""
        network, sweep = energy.network, state.sweep
        children = {node.name for node, _ in network.children(INPUT)}
        signals = {n: energy.residual(sweep.states, sweep.z, n) for n in children}
        slope = pulled_back(energy, self.params, sweep.states, signals, INPUT)
        new = jax.vmap(self._one)(self.alpha, steps, slope, state.x, state.q)
        return self.at(energy, state._replace(q=new[1]), new[0])

    def _one(
        self,
        alpha: Array,
        steps: tuple[Array, Array],
        slope: Array,
        x: Array,
        q: tuple[Array, ...],
    ) -> tuple[Array, tuple[Array, ...]]:
        tau, s = steps
        pulls = [alpha * t.adjoint(v) for t, v in zip(self.dual, q, strict=True)]
        moved = x - tau * sum(pulls, self.prior.joint(slope))
        new = moved if self.first is None else self.first.direct_prox(moved, tau * alpha)
        duals = tuple(
            t.dual_prox(v + s * alpha * t.forward(2 * new - x), s * alpha)
            for t, v in zip(self.dual, q, strict=True)
        )
        return new, duals

    def value(self, state: _State) -> Float[Array, " samples"]:
        r"""$\sum_jw_jB_j + \alpha J$ of every example."""
        energy, states = self.energy, state.sweep.states
        z = energy.preactivations(self.params, states)

        def one(states: States, z: States, joint: Array, alpha: Array) -> Array:
            single = jax.tree.map(lambda a: a[None], (states, z))
            terms = energy.terms(*single)
            costs = [energy.weight(name) * term for name, term in terms.items()]
            return sum(costs, alpha * self.prior.value(joint))

        return jax.vmap(one)(states, z, state.x, self.alpha)


def _change(old: States, new: States, names: tuple[str, ...]) -> Float[Array, " samples"]:
    """How far some states moved together, relative to their size, for every example."""
    if not names:
        return jnp.zeros(len(new[INPUT]), new[INPUT].dtype)

    def square(arrays: list[Array]) -> Array:
        squares = [jnp.sum(a.reshape(len(a), -1) ** 2, axis=1) for a in arrays]
        return sum(squares[1:], start=squares[0])

    moved = square([new[name] - old[name] for name in names])
    return jnp.sqrt(
        moved / jnp.maximum(square([new[n] for n in names]), jnp.finfo(moved.dtype).tiny)
    )
