"""The compiled parts of training: many steps in one program, and evaluation."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray

from liftax._iterate import between, scan
from liftax.methods import AbstractMethod, Step
from liftax.networks import Params, potential_key
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement, constrained, of_weights, sample_axes, shardings
from liftax.training._products import rounded_products

Transform = Callable[[PRNGKeyArray, Array, Array], tuple[Array, Array]]

_EVALUATION_BATCH = 1000
# Entries of activations that evaluation holds at a time.
_ENTRIES = 2**25


class Totals(NamedTuple):
    """Sums over the steps of the running epoch."""

    loss: Float[Array, ""]
    metric: Float[Array, ""]


class Carry(NamedTuple):
    """All that changes during training."""

    params: Params
    state: Any
    totals: Totals


class Problem(NamedTuple):
    """All that stays during training: what is minimised, how, on which arrays.

    With a placement `x` and `y` of mini-batch methods hold whole batches, (steps, size, ...).
    On stages, `staged`, nothing is constrained to where it lies: each has programs of its own.
    Unless `reported`, losses are not added up; a forward pass for them alone is then left out.
    """

    energy: LiftedEnergy
    method: AbstractMethod
    x: Array
    y: Array
    transform: Transform | None
    products: DTypeLike | None = None
    place: Placement | None = None
    axes: Any = None  # of the samples in the leaves of the method's state, see `sample_axes`
    staged: bool = False
    reported: bool = True

    @property
    def copies(self) -> dict[str, int]:
        """Number of copies in each stack, by the keys of its parameters."""
        return {
            key: node.copies
            for node in self.energy.network.nodes
            if node.copies
            for key in (node.name, *([potential_key(node.name)] if node.learn else []))
        }

    def step(self, params: Params, state: Any, x: Array, y: Array) -> Step:
        """The method's step on a batch, its matrix products rounded if so wished."""
        move = functools.partial(self.method.step, self.energy)
        return (move if self.products is None else rounded_products(move, self.products))(
            params, state, x, y
        )


class Span(NamedTuple):
    """Steps ``start`` to ``stop`` of an epoch.

    Attributes:
        order: of the samples, or where the batches of the first step on are among those at hand.
        key: of the epoch, for the transform.
        first: step that the order begins with, traced.
        start: first step, traced.
        stop: the step after the last, traced.
        size: of a batch.
    """

    order: Array
    key: PRNGKeyArray
    first: Array
    start: Array
    stop: Array
    size: int


def target(energy: LiftedEnergy, y: Array, dtype: Any) -> Array:
    """Class labels as one-hot rows; other targets as they are."""
    if jnp.issubdtype(y.dtype, jnp.integer):
        classes = energy.network.shapes[energy.network.output][0]
        return jax.nn.one_hot(y, classes, dtype=dtype)
    return y


def metric(y: Array, output: Array) -> Float[Array, ""]:
    """Accuracy for labels, mean squared error per entry for other targets."""
    if jnp.issubdtype(y.dtype, jnp.integer):
        return jnp.mean((jnp.argmax(output, axis=-1).astype(y.dtype) == y).astype(output.dtype))
    return jnp.mean((output - y) ** 2)


@eqx.filter_jit(donate="all-except-first")
def advance(work: tuple[Problem, Span], carry: Carry) -> Carry:
    """Some steps of an epoch, in one program; a full-batch method ignores the order."""
    problem, span = work
    return between(lambda t, carry: moved_on(problem, span, t, carry), carry, span.start, span.stop)


def moved_on(problem: Problem, span: Span, t: Array, carry: Carry) -> Carry:
    """The step number t of an epoch."""
    energy, dtype, transform = problem.energy, problem.x.dtype, problem.transform
    inputs, labels = _batch(problem, span, t - span.first)
    if transform is not None:
        inputs, labels = transform(jax.random.fold_in(span.key, t), inputs, labels)
    # Statistics of normalised nodes are those of the batch, fixed while the step computes.
    network = energy.network
    params = network.with_statistics(gathered(problem, carry.params), inputs)
    out = problem.step(params, carry.state, inputs, target(energy, labels, dtype))
    totals = carry.totals
    if problem.reported:
        totals = Totals(
            totals.loss + out.loss.astype(dtype),
            totals.metric + metric(labels, out.output).astype(dtype),
        )
    return settled(problem, Carry(network.averaged(carry.params, out.params), out.state, totals))


def _batch(problem: Problem, span: Span, number: Array) -> tuple[Array, Array]:
    """Inputs and targets of a step, the number counted from the first one at hand."""
    x, y, place = problem.x, problem.y, problem.place
    if problem.method.full_batch:
        return x, y
    if place is None:
        rows = jax.lax.dynamic_slice(span.order, (number * span.size,), (span.size,))
        return x[rows], y[rows]
    found = x[number], y[number]
    return found if problem.staged else constrained(found, (place.samples(), place.samples()))


def settled(problem: Problem, carry: Carry) -> Carry:
    """Every array of a carry where the placement has it, which no step changes."""
    place = problem.place
    if place is None or problem.staged:
        return carry
    arrays, rest = eqx.partition(carry, eqx.is_array)
    return eqx.combine(constrained(arrays, placed(problem, arrays)), rest)


def gathered(problem: Problem, params: Params) -> Params:
    """Divided parameters on all devices, as the step uses them."""
    place = problem.place
    if place is None or not place.sharded:
        return params
    whole = dataclasses.replace(place, sharded=False)
    return constrained(params, of_weights(whole, params, problem.copies))


def placed(problem: Problem, carry: Carry) -> Carry:
    """A sharding for every array of a carry."""
    assert problem.place is not None
    none = jax.tree.map(lambda _: -1, carry)
    return shardings(problem.place, carry, none._replace(state=problem.axes), problem.copies)


def state_axes(problem: Problem, params: Params, size: int, key: Array) -> Any:
    """Which axis of each array in the method's state holds the samples."""
    energy, method, dtype = problem.energy, problem.method, problem.x.dtype

    def shapes(samples: int) -> Any:
        inputs = jax.ShapeDtypeStruct((samples, *energy.network.input_shape), dtype)
        shape = energy.network.shapes[energy.network.output]
        targets = jax.ShapeDtypeStruct((samples, *shape), dtype)
        found = eqx.filter_eval_shape(
            lambda p, x, y: method.init(energy, p, x, y, key), params, inputs, targets
        )
        return eqx.filter(found, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))

    return sample_axes(shapes(size), shapes(2 * size), size)


@eqx.filter_jit
def cleared(totals: Totals) -> Totals:
    """Zeros, for the next epoch."""
    return jax.tree.map(lambda t: jnp.where(jnp.isfinite(t), 0, 0).astype(t.dtype), totals)


@eqx.filter_jit
def settle(problem: Problem, carry: Carry) -> Carry:
    """`settled` as a program of its own: a copy."""
    return settled(problem, carry)


@eqx.filter_jit
def start(problem: Problem, params: Params, size: int, key: Array) -> Carry:
    """The first carry: the method's state from the first batch."""
    return begun(problem, params, size, key)


def begun(problem: Problem, params: Params, size: int, key: Array) -> Carry:
    """`start`, to be compiled."""
    energy, method, x, y, *_ = problem
    rows = slice(None) if method.full_batch else slice(0, size)
    state = method.init(energy, params, x[rows], target(energy, y[rows], x.dtype), key)
    zero = jnp.zeros((), x.dtype)
    return settled(problem, Carry(params, state, Totals(zero, zero)))


@eqx.filter_jit
def inspect(problem: Problem, params: Params, state: Any, samples: int) -> tuple[Array, dict, dict]:
    """Lifted energy, its part of every node, and gaps at the method's activations."""
    found = inspected(problem, params, state, inspected_samples(problem, samples))
    place = problem.place
    if place is None:
        return found
    return constrained(found, jax.tree.map(lambda _: place.everywhere, found))


def inspected_samples(problem: Problem, samples: int) -> int:
    """So many samples, or as few as memory has room for; all of a full-batch method."""
    if problem.method.full_batch:
        return len(problem.x)
    sizes = [math.prod(shape) for shape in problem.energy.network.shapes.values()]
    return max(1, min(samples, _ENTRIES // sum(sizes), len(problem.x)))


def inspected(
    problem: Problem, params: Params, state: Any, samples: int
) -> tuple[Array, dict, dict]:
    """`inspect`, to be compiled."""
    energy, method, x, y, *_ = problem
    rows = slice(None) if method.full_batch else slice(0, samples)
    clamped = target(energy, y[rows], x.dtype)
    states, z = method.states(energy, params, state, x[rows], clamped)
    energy = energy.at(params)
    total = energy.total(energy.terms(states, z), states, params)
    return total, energy.parts(states, z), energy.gaps(states, z)


@eqx.filter_jit
def evaluate(
    energy: LiftedEnergy, params: Params, x: Array, y: Array, place: Placement | None = None
) -> tuple[Array, Array]:
    """Mean loss and metric of the network on a data set, in batches, divided by the placement."""
    samples = x.shape[0]
    largest = max(math.prod(shape) for shape in energy.network.shapes.values())
    size = min(samples, _EVALUATION_BATCH, max(1, _ENTRIES // largest))
    parts = 1 if place is None else place.parts
    size = max(size // parts, 1) * parts
    whole = samples // size * size

    def batch(sums: tuple[Array, Array], rows: tuple[Array, Array]) -> tuple[tuple, None]:
        loss, hits = measured(energy, params, *rows)
        return (sums[0] + loss, sums[1] + hits), None

    zero = jnp.zeros((), x.dtype)
    blocks = tuple(a[:whole].reshape(-1, size, *a.shape[1:]) for a in (x, y))
    if place is not None:
        blocks = constrained(blocks, (place.samples(1), place.samples(1)))
    sums, _ = scan(batch, (zero, zero), blocks)
    if whole < samples:
        sums, _ = batch(sums, (x[whole:], y[whole:]))
    return sums[0] / samples, sums[1] / samples


def measured(energy: LiftedEnergy, params: Params, x: Array, y: Array) -> tuple[Array, Array]:
    """Sums of the loss and of the metric over samples."""
    states, z = energy.network.forward(params, x)
    output = energy.network.output
    loss = energy.loss_value(z[output], target(energy, y, x.dtype))
    return loss * x.shape[0], metric(y, states[output]) * x.shape[0]


@eqx.filter_jit
def shuffle(
    seed: Array, epoch: Array, samples: int, place: Placement | None = None
) -> tuple[Array, PRNGKeyArray]:
    """The order of the samples in an epoch, and its key: functions of seed and epoch only."""
    key = jax.random.fold_in(jax.random.key(seed), epoch)
    found = jax.random.permutation(key, samples), jax.random.fold_in(key, 1)
    return found if place is None else constrained(found, (place.everywhere, place.everywhere))
