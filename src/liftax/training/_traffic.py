"""What a training step sends between devices."""

import math
import re
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from liftax.methods import AbstractMethod
from liftax.networks import Network
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement
from liftax.training._engine import Carry, Problem, Span, advance, begun, placed, state_axes
from liftax.training._stacking import layers
from liftax.training._stages import Stages, stages_for

_SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s64": 8, "u64": 8, "f64": 8}
_KINDS = {
    "all-reduce": "reduced",
    "reduce-scatter": "scattered",
    "all-gather": "gathered",
    "collective-permute": "shifted",
    "all-to-all": "exchanged",
}
_LINE = re.compile(rf"= (.*?) ({'|'.join(_KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


class Traffic(NamedTuple):
    r"""Bytes of the results of one step's collective operations, on a device.

    A ring sends $2\frac{D-1}D$ times the bytes of a sum over $D$ devices, and $\frac{D-1}D$ times
    those of a gather.

    Attributes:
        reduced: summed over the devices (all-reduce).
        scattered: summed, of which each keeps its part (reduce-scatter).
        gathered: from all devices (all-gather).
        shifted: from a neighbour (collective-permute).
        exchanged: all to all.
        passed: from stage to stage, of all devices together, where layers that are not equal are
            divided; what the programs of a stage send among its devices is not counted then.
    """

    reduced: int = 0
    scattered: int = 0
    gathered: int = 0
    shifted: int = 0
    exchanged: int = 0
    passed: int = 0


def step_traffic(
    energy: LiftedEnergy | Network,
    method: AbstractMethod,
    batch_size: int,
    place: Placement,
    reported: bool = True,
) -> Traffic:
    """What a step of `fit` with this placement sends, as the compiled program states it.

    Operations inside a method's own loops (`ImplicitSGD`) count once.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        method: a training method.
        batch_size: samples; of a full-batch method all.
        place: on which devices.
        reported: whether the step's loss is for the history, see `report` of `fit`.

    Raises:
        ValueError: for a batch that the devices cannot divide.
    """
    given = _given(energy, method, batch_size, place, reported)
    if given.stages is not None:
        return Traffic(passed=given.stages.sent(given.problem, given.carry, batch_size))
    return traffic(_program(given, place))


def traffic(program: str) -> Traffic:
    """Of the text of a compiled program."""
    found = dict.fromkeys(_KINDS.values(), 0)
    for shapes, kind, _ in _LINE.findall(program):
        found[_KINDS[kind]] += sum(
            _SIZES.get(dtype, 4) * math.prod(int(n) for n in sizes.split(",") if n)
            for dtype, sizes in _ARRAY.findall(shapes)
        )
    return Traffic(**found)


def step_program(
    energy: LiftedEnergy | Network, method: AbstractMethod, batch_size: int, place: Placement
) -> str:
    """The text of the program that `fit` compiles for one step."""
    return _program(_given(energy, method, batch_size, place), place)


class _Given(NamedTuple):
    """The shapes of a run, and its stages if it has any."""

    problem: Problem
    carry: Carry
    size: int
    stages: Stages | None


def _given(
    energy: LiftedEnergy | Network,
    method: AbstractMethod,
    batch_size: int,
    place: Placement,
    reported: bool = True,
) -> _Given:
    place.check(batch_size, "batch_size")
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    energy, found = layers(energy, method, None, place)
    stages = stages_for(energy, found, place)
    shapes, output = energy.network.shapes, energy.network.output
    key = jax.random.key(0)
    x: Any = jax.ShapeDtypeStruct((batch_size, *energy.network.input_shape), jnp.float32)
    y: Any = jax.ShapeDtypeStruct((batch_size, *shapes[output]), jnp.float32)
    problem = Problem(energy, method, x, y, None, None, place)
    problem = problem._replace(staged=stages is not None, reported=reported)
    params = jax.eval_shape(energy.network.init, key)
    problem = problem._replace(axes=state_axes(problem, params, batch_size, key))
    carry = eqx.filter_eval_shape(
        lambda p, x, y: begun(problem._replace(x=x, y=y), p, batch_size, key), params, x, y
    )
    if not method.full_batch:
        x, y = (jax.ShapeDtypeStruct((1, *a.shape), a.dtype) for a in (x, y))
    return _Given(problem._replace(x=x, y=y), carry, batch_size, stages)


def _program(given: _Given, place: Placement) -> str:
    problem, size = given.problem, given.size
    carry, rest = eqx.partition(given.carry, lambda a: isinstance(a, jax.ShapeDtypeStruct))
    where = placed(problem, carry)
    carry = jax.tree.map(
        lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), carry, where
    )
    samples = place.samples(0 if problem.method.full_batch else 1)
    x, y = (
        jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=samples) for a in (problem.x, problem.y)
    )

    def step(x: Any, y: Any, carry: Any) -> Any:
        zero, one = jnp.int32(0), jnp.int32(1)
        span = Span(jnp.arange(size), jax.random.key(0), zero, zero, one, size)
        out = advance((problem._replace(x=x, y=y), span), eqx.combine(carry, rest))
        return eqx.filter(out, eqx.is_array)

    return jax.jit(step).lower(x, y, carry).compile().as_text() or ""
