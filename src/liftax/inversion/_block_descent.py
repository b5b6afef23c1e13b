"""Inputs of deep networks: block-coordinate descent over activations and input."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

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
from liftax.inversion._data import misfit
from liftax.inversion._primal_dual import Point, Solved
from liftax.inversion._regulariser import AbstractPrior
from liftax.inversion._warm_prox import arranged, warm_prox
from liftax.methods import ADMM, Constant
from liftax.networks import INPUT, Network, Params, States
from liftax.objectives import LiftedEnergy
from liftax.potentials import Identity

_POWER_ITERATIONS = 100


class BlockDescent(eqx.Module):
    r"""$\min_{u_0,\dots,u_{J-1}}\sum_jw_jB_j(u_j, f_j(u_\mathrm{parents})) + \alpha J(u_0)$,
    the output clamped to y.

    A sweep updates the activations, from the output towards the input, by proximal gradient steps,
    and then the input by `inner` of them,
    $$u_0^+ = \mathrm{prox}_{\tau\alpha J}(u_0 - \tau g),\qquad
      g = \sum_cw_c(\partial f_c/\partial u_0)^\top(\sigma_c(z_c) - u_c),\qquad
      1/\tau = \sum_cw_c\|\partial f_c/\partial u_0\|^2$$
    with sums over the children c of the input. Where J has no prox in closed form, as total
    variation, its dual variables are kept and make `prox_steps` steps each time (`warm_prox`).
    Inertia extrapolates input and activations together before every sweep; for one layer that is
    FISTA.
    No activation is differentiated. The problem is convex in every block, not in all of them: what
    is found is a stationary point, and depends on the start. The exception are residual networks
    with a `certificate`.

    A node with the identity as activation is penalised by $\frac{w_j}2\|u_j - z_j\|^2$. In a
    residual network these are the penalties $\frac\rho2\|Mu - Vz\|^2$. If they are to be `exact`,
    they become constraints: ADMM adds $u_j - z_j$ to a multiplier after every sweep,
    $p_j^+ = p_j + u_j - z_j$, and $z_j - p_j$ takes the place of $z_j$; then $w_j$ is no part of
    the problem, and about 1 is a good one, even where the penalty would have to be large.

    Nesterov's sequence may raise the energy, and with dual variables so may plain steps. The guard
    therefore compares the energy of every example before and after a sweep. Where it rose by more
    than rounding, input and activations return to what they were and inertia begins anew, dual
    variables go on: the next prox is nearer to exact, and an exact plain sweep descends. A sequence
    is for each example alone, so that a batch is its members.

    Attributes:
        sweeps: at most; as an array, one program serves all numbers.
        inner: proximal gradient steps on the input, a sweep.
        tolerance: of $\|u_0^+ - u_0\|/\|u_0\|$ in a sweep, and of the same for all activations
            together, for all examples, which ends the run.
        step: of the activations.
        order: of the activations.
        inertia: of input and activations: `Plain` or `Nesterov`.
        prox_steps: steps on the dual variables of the regulariser, for one prox.
        weights: $w_j$ by node name, 1 where none is given.
        exact: whether hidden nodes with the identity as activation are constraints. The energy
            may then rise, without bounds where it is not convex and weights are small, and
            `GaussSeidel` takes long to compile for networks of dozens of nodes, `RedBlack` does
            not.
        guard: see above; without effect for `exact` nodes and where J has no values.

    Raises:
        ValueError: for a number out of range; in `solve` for `exact` where no node has the
            identity.

    Source: arXiv 2510.09796, section 5; Boyd et al. (2011) for ADMM.
    """

    sweeps: int | Int[Array, ""] = 500
    inner: int = eqx.field(static=True, default=5)
    tolerance: float = 1e-5
    step: AbstractBlockStep = ProximalGradient()
    order: AbstractOrder = GaussSeidel()
    inertia: AbstractAcceleration = Nesterov(each=True)
    prox_steps: int = eqx.field(static=True, default=1)
    weights: Mapping[str, float] = eqx.field(default_factory=dict)
    exact: bool = eqx.field(static=True, default=False)
    guard: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        numbers = {"sweeps": self.sweeps, "inner": self.inner, "prox_steps": self.prox_steps}
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
            self.inertia.init(problem.variables(states, start.x)),
            problem.multipliers.init(energy, states),
            problem.value(states, z, start.x),
        )

        def done(state: _State) -> Array:
            return jnp.all(jnp.logical_not(state.change > self.tolerance))

        tau = problem.step(states)
        state, count = until(lambda s: problem.swept(s, tau), begin, done, self.sweeps)
        output = network(params, state.sweep.states[INPUT])
        miss = jnp.linalg.norm((output - y).reshape(len(y), -1), axis=1)
        settled = state.change <= self.tolerance
        point = Point(state.x, state.q)
        nothing, counts = jnp.full_like(miss, jnp.nan), jnp.broadcast_to(count, miss.shape)
        z = energy.preactivations(params, state.sweep.states)
        value = problem.value(state.sweep.states, z, state.x)
        return Solved(point, value, nothing, state.change, miss, counts, settled)


class _State(NamedTuple):
    sweep: Sweep
    x: Array  # the joint variable
    q: tuple[Array, ...]
    change: Array
    momentum: Any  # of the input
    multipliers: Any
    value: Array


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
        shape = tuple(energy.network.input_shape)
        self.terms = arranged(prior.terms(shape))
        self.guarded = solver.guard and not solver.exact and prior.valued(shape)

    def swept(self, state: _State, tau: Array) -> _State:
        """Activations, then the input."""
        solver = self.solver
        energy = self.multipliers.at(self.energy, state.multipliers)
        variables = self.variables(state.sweep.states, state.x)
        ahead, _ = solver.inertia.points(state.momentum, variables)
        begin = self.begun(energy, state, ahead)
        given = (energy, solver.order, solver.step, self.params)
        sweep = sweep_states(*given, *begin.sweep)
        begin = jax.lax.optimization_barrier(begin._replace(sweep=sweep))
        new = repeat(lambda s: self.moved(energy, s, tau), begin, solver.inner)
        after = self.variables(new.sweep.states, new.x)
        momentum = solver.inertia.after(state.momentum, variables, ahead, after)
        hidden = energy.network.hidden
        old, now = state.sweep.states, new.sweep.states
        # Where the pull of the output takes several sweeps to the input, only activations move.
        change = jnp.maximum(_change(old, now, (INPUT,)), _change(old, now, hidden))
        new = new._replace(momentum=momentum, change=change)
        if solver.exact:
            return self.ascended(energy, new)
        return self.kept(state, new) if self.guarded else new

    def variables(self, states: States, x: Array) -> dict[str, Array]:
        """All that inertia extrapolates."""
        return {INPUT: x, **{name: states[name] for name in self.energy.network.hidden}}

    def begun(self, energy: LiftedEnergy, state: _State, ahead: dict[str, Array]) -> _State:
        """The state with other activations and another joint variable."""
        hidden = {name: u for name, u in ahead.items() if name != INPUT}
        x = jax.vmap(lambda joint: self.prior.input(joint))(ahead[INPUT])
        states = {**state.sweep.states, **hidden, INPUT: x}
        z = energy.preactivations(self.params, states)
        return state._replace(sweep=Sweep(states, z, state.sweep.memory), x=ahead[INPUT])

    def kept(self, old: _State, new: _State) -> _State:
        """The new state, but for examples whose energy rose the old one without inertia."""
        value = self.value(new.sweep.states, new.sweep.z, new.x)
        # Differences u - σ(z) are as exact as u is.
        nodes = self.energy.network.nodes
        size = sum(self.energy.weight(n.name) * _square([new.sweep.states[n.name]]) for n in nodes)
        eps = jnp.finfo(value.dtype).eps
        slack = eps * (10 * old.value + jnp.sqrt(jnp.abs(old.value) * size))
        rose = jnp.logical_not(value <= old.value + slack)
        states, z, x = _chosen(
            rose, (old.sweep.states, old.sweep.z, old.x), (new.sweep.states, new.sweep.z, new.x)
        )
        solver, own = self.solver, new.sweep.memory
        given = (self.energy, solver.order, solver.step, self.params, states, z)
        memory = _chosen(rose, restart_sweeps(*given, own), own)
        momentum = _chosen(rose, solver.inertia.init(self.variables(states, x)), new.momentum)
        value = jnp.where(rose, old.value, value)
        return new._replace(sweep=Sweep(states, z, memory), x=x, momentum=momentum, value=value)

    def ascended(self, energy: LiftedEnergy, state: _State) -> _State:
        """The state with new multipliers, after a sweep of this energy."""
        states, z = state.sweep.states, state.sweep.z
        multipliers = self.multipliers.update(energy, state.multipliers, states, z)
        energy = self.multipliers.at(self.energy, multipliers)
        sweep = state.sweep._replace(z=energy.preactivations(self.params, states))
        return state._replace(sweep=sweep, multipliers=multipliers)

    def step(self, states: States) -> Array:
        """τ, for all examples."""
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
        return 1 / (1.02 * state_curvature(*given)[0][INPUT])

    def at(self, energy: LiftedEnergy, state: _State, x: Array) -> _State:
        """The state with another joint variable."""
        network, sweep = energy.network, state.sweep
        states = {**sweep.states, INPUT: jax.vmap(lambda joint: self.prior.input(joint))(x)}
        children = {node.name for node, _ in network.children(INPUT)}
        z = {n: energy.preactivation(self.params, states, n) for n in children}
        return state._replace(sweep=Sweep(states, {**sweep.z, **z}, sweep.memory), x=x)

    def moved(self, energy: LiftedEnergy, state: _State, tau: Array) -> _State:
        """One proximal gradient step on the input."""
        network, sweep = energy.network, state.sweep
        children = {node.name for node, _ in network.children(INPUT)}
        signals = {n: energy.residual(sweep.states, sweep.z, n) for n in children}
        slope = pulled_back(energy, self.params, sweep.states, signals, INPUT)

        def one(
            alpha: Array, slope: Array, x: Array, q: tuple[Array, ...]
        ) -> tuple[Array, tuple[Array, ...]]:
            v = x - tau * self.prior.joint(slope)
            return warm_prox(self.terms, v, tau * alpha, q, self.solver.prox_steps)

        new, q = jax.vmap(one)(self.alpha, slope, state.x, state.q)
        return self.at(energy, state._replace(q=q), new)

    def value(self, states: States, z: States, x: Array) -> Float[Array, " samples"]:
        r"""$\sum_jw_jB_j + \alpha J$ of every example."""
        energy = self.energy

        def one(states: States, z: States, joint: Array, alpha: Array) -> Array:
            costs = [
                energy.weight(n.name) * misfit(n.potential, states[n.name], z[n.name])
                for n in energy.network.nodes
            ]
            return sum(costs, alpha * self.prior.value(joint))

        return jax.vmap(one)(states, z, x, self.alpha)


def _chosen(where: Array, first: Any, second: Any) -> Any:
    """Of two trees of one structure the first for some examples; leaves without the axis of
    examples come from the second.
    """

    def leaf(a: Array, b: Array) -> Array:
        if b.shape[:1] != where.shape:
            return b
        return jnp.where(where.reshape(-1, *(1,) * (b.ndim - 1)), a, b)

    return jax.tree.map(leaf, first, second)


def _square(arrays: list[Array]) -> Float[Array, " samples"]:
    squares = [jnp.sum(a.reshape(len(a), -1) ** 2, axis=1) for a in arrays]
    return sum(squares[1:], start=squares[0])


def _change(old: States, new: States, names: tuple[str, ...]) -> Float[Array, " samples"]:
    """How far some states moved together, relative to their size, for every example."""
    if not names:
        return jnp.zeros(len(new[INPUT]), new[INPUT].dtype)
    moved = _square([new[name] - old[name] for name in names])
    return jnp.sqrt(
        moved / jnp.maximum(_square([new[n] for n in names]), jnp.finfo(moved.dtype).tiny)
    )
