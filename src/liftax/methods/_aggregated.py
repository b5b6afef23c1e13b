"""Aggregated gradients: PIAG, SAG and SAGA over a fixed partition into batches."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax._iterate import scan
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.methods._method import AbstractMethod, Step
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

Tree = Any


class AggregatedState(NamedTuple):
    """The last gradient of every batch and their mean, old parameters, and the rest."""

    table: Tree
    mean: Tree
    past: Tree
    optimiser: Any
    memory: Any
    key: Array


class _Rule(NamedTuple):
    """How a new gradient and the table become a direction, and in which order batches come."""

    unbiased: bool
    shuffled: bool
    delay: int


class SAGA(AbstractMethod):
    r"""Prox-SAGA: $g_i(\Theta) - g_i^{\rm old} + \frac1m\sum_l g_l^{\rm old}$, $i$ random.

    The samples are split once into $m$ batches, and the last gradient of each is kept ($m$ times
    the memory of the parameters). One step of the method is an epoch: $m$ batches, drawn with
    replacement. Direction to `method`'s optimiser, regularisers by its `proximal_step`; the theory
    takes plain gradient steps of at most $1/(3L)$.

    Attributes:
        method: whose gradients and optimiser are used.
        batch_size: samples of a batch; a remainder that fills no batch is left out.

    Source: Defazio, Bach & Lacoste-Julien (2014).
    """

    method: AbstractGradientMethod
    batch_size: int = 128
    full_batch: ClassVar[bool] = True

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> AggregatedState:
        return _start(self.method, 0, self.batch_size, energy, params, (x, y), key)

    def step(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> Step:
        rule = _Rule(True, True, 0)
        return _epoch(self.method, rule, self.batch_size, energy, params, state, (x, y))

    def states(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> tuple[States, States]:
        return self.method.states(energy, params, state, x, y)


class SAG(AbstractMethod):
    r"""Prox-SAG: the mean of the last gradients of all batches, one of them renewed at random.

    As `SAGA`, with a biased direction of smaller variance.

    Source: Schmidt, Le Roux & Bach (2017).
    """

    method: AbstractGradientMethod
    batch_size: int = 128
    full_batch: ClassVar[bool] = True

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> AggregatedState:
        return _start(self.method, 0, self.batch_size, energy, params, (x, y), key)

    def step(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> Step:
        rule = _Rule(False, True, 0)
        return _epoch(self.method, rule, self.batch_size, energy, params, state, (x, y))

    def states(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> tuple[States, States]:
        return self.method.states(energy, params, state, x, y)


class PIAG(AbstractMethod):
    r"""Proximal incremental aggregated gradient with bounded delay.

    $\Theta^{k+1} = \mathrm{prox}_{\gamma r}(\Theta^k - \frac\gamma m\sum_i g_i(\Theta^{k_i}))$; the
    batches are renewed cyclically, each at the parameters of `delay` steps before, as by
    workers that report late: $k - k_i \le m - 1 + \mathrm{delay}$. Convergence asks for
    $\gamma \le \frac1{L(2K+1)}$ with that bound $K$ of the delays. Memory as for `SAGA`, and
    `delay` copies of the parameters.

    Attributes:
        method: whose gradients and optimiser are used.
        batch_size: samples of a batch; a remainder that fills no batch is left out.
        delay: age of the parameters at which gradients are evaluated.

    Raises:
        ValueError: for a negative delay.

    Source: Aytekin, Feyzmahdavian & Johansson (2016); Vanli, Gürbüzbalaban & Ozdaglar (2018).
    """

    method: AbstractGradientMethod
    batch_size: int = 128
    delay: int = 0
    full_batch: ClassVar[bool] = True

    def __check_init__(self) -> None:
        if self.delay < 0:
            raise ValueError(f"delay must be at least 0, got {self.delay}")

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> AggregatedState:
        return _start(self.method, self.delay, self.batch_size, energy, params, (x, y), key)

    def step(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> Step:
        rule = _Rule(False, False, self.delay)
        return _epoch(self.method, rule, self.batch_size, energy, params, state, (x, y))

    def states(
        self, energy: LiftedEnergy, params: Params, state: AggregatedState, x: Array, y: Array
    ) -> tuple[States, States]:
        return self.method.states(energy, params, state, x, y)


def _batches(data: tuple[Array, Array], size: int) -> tuple[Array, Array]:
    x, y = data
    if not 0 < size <= len(x):
        raise ValueError(f"batch_size must lie between 1 and {len(x)}, got {size}")
    count = len(x) // size
    x, y = (a[: count * size].reshape(count, size, *a.shape[1:]) for a in (x, y))
    return x, y


def _start(
    method: AbstractGradientMethod,
    delay: int,
    size: int,
    energy: LiftedEnergy,
    params: Params,
    data: tuple[Array, Array],
    key: PRNGKeyArray,
) -> AggregatedState:
    """Evaluates every batch once at the first parameters."""
    xs, ys = _batches(data, size)
    optimiser, memory = method.init(energy, params, xs[0], ys[0], key)

    def evaluate(memory: Any, batch: tuple[Array, Array]) -> tuple[Any, Tree]:
        found = method.evaluate(energy.at(params), params, memory, *batch)
        return found.memory, found.gradient

    memory, table = scan(evaluate, memory, (xs, ys))
    mean = jax.tree.map(lambda t: jnp.mean(t, 0), table)
    past = jax.tree.map(lambda p: jnp.stack([p] * delay) if delay else jnp.zeros(0), params)
    return AggregatedState(table, mean, past, optimiser, memory, jax.random.key_data(key))


def _epoch(
    method: AbstractGradientMethod,
    rule: _Rule,
    size: int,
    energy: LiftedEnergy,
    params: Params,
    state: AggregatedState,
    data: tuple[Array, Array],
) -> Step:
    """As many steps as there are batches."""
    xs, ys = _batches(data, size)
    count = len(xs)
    key, own = jax.random.split(jax.random.wrap_key_data(state.key))
    places = jax.random.randint(own, (count,), 0, count) if rule.shuffled else jnp.arange(count)

    def step(carry: tuple, place: Array) -> tuple[tuple, tuple]:
        params, state = carry
        old = jax.tree.map(lambda p: p[0], state.past) if rule.delay else params
        found: Evaluation = method.evaluate(energy.at(old), old, state.memory, xs[place], ys[place])
        before = jax.tree.map(lambda t: t[place], state.table)
        change = jax.tree.map(jnp.subtract, found.gradient, before)
        mean = jax.tree.map(lambda m, c: m + c / count, state.mean, change)
        direction = jax.tree.map(jnp.add, state.mean, change) if rule.unbiased else mean
        new, optimiser = method.descend(energy, params, state.optimiser, direction)
        table = jax.tree.map(lambda t, g: t.at[place].set(g), state.table, found.gradient)
        past = state.past
        if rule.delay:
            past = jax.tree.map(lambda p, q: jnp.concatenate([p[1:], q[None]]), past, params)
        kept = AggregatedState(table, mean, past, optimiser, found.memory, state.key)
        return (new, kept), (found.loss, found.output)

    (params, state), (losses, _) = scan(step, (params, state), places)
    state = state._replace(key=jax.random.key_data(key))
    output = energy.network(params, data[0])
    return Step(params, state, jnp.mean(losses), output)
