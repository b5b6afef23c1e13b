"""A traced function as a flat list of operations, each with the stage that it belongs to."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend as jex
import jax.numpy as jnp

from liftax._iterate import repeat, scan

# Equations that only call what they hold.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call")
_HELD = ("jaxpr", "call_jaxpr", "fun_jaxpr")
# Stages of values: given to all of them alike, and of no stage in particular.
SHARED, NONE = -2, -1


class Operation(NamedTuple):
    """An equation; its values are numbers, or literals among the inputs.

    Attributes:
        primitive: of the equation.
        params: of the equation.
        inputs: values or literals.
        outputs: values.
        stage: that has to compute it, `SHARED` for every one that needs it, or `NONE`.
    """

    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]
    stage: int


class Given(NamedTuple):
    """What is known of an input.

    Attributes:
        stage: on which it lies, `SHARED` for all.
        weights: whether it belongs to parameters; it does not leave its stage then.
    """

    stage: int
    weights: bool = False


class Flat(NamedTuple):
    """A function as operations on numbered values, calls put in the place of their names.

    Attributes:
        kinds: shape and type of every value.
        operations: in an order in which they can be computed, none without use.
        inputs: values that are given.
        outputs: values, or literals.
        constants: values that are known.
    """

    kinds: list[Any]
    operations: list[Operation]
    inputs: list[int]
    outputs: list[Any]
    constants: dict[int, Any]


def flat(closed: Any, given: Sequence[Given]) -> Flat:
    """A closed jaxpr as a list.

    What comes of the parameters of one stage alone (but for single numbers) is theirs, and what
    reads it is computed there. Loops fall apart into their independent ones; one that needs
    parameters of several stages is written out, turn by turn.

    Args:
        closed: from `jax.make_jaxpr`.
        given: of each input.

    Raises:
        ValueError: for a loop of an unknown number of turns, or a choice, that needs parameters of
            several stages.
    """
    found = _Flattening()
    inputs = []
    for kind, known in zip(closed.in_avals, given, strict=True):
        home = known.stage if known.weights or known.stage == SHARED else NONE
        inputs.append(found.value(kind, home))
        if home == SHARED and kind.size == 1:
            found.neutral.add(inputs[-1])
    outputs = found.walk(closed, inputs)
    used = {v for v in outputs if isinstance(v, int)}
    kept = []
    for operation in reversed(found.operations):
        if used.intersection(operation.outputs):
            kept.append(operation)
            used |= {v for v in operation.inputs if isinstance(v, int)}
    return Flat(found.kinds, kept[::-1], inputs, outputs, found.constants)


class _Flattening:
    """What has been written down so far, and of every value the stage whose weights it is."""

    def __init__(self) -> None:
        self.kinds: list[Any] = []
        self.homes: list[int] = []
        self.neutral: set[int] = set()  # made of literals, or single numbers that all know
        self.operations: list[Operation] = []
        self.constants: dict[int, Any] = {}

    def value(self, kind: Any, home: int) -> int:
        self.kinds.append(kind)
        self.homes.append(home)
        return len(self.kinds) - 1

    def walk(self, closed: Any, inputs: Sequence[Any], whole: bool = False) -> list[Any]:
        """Write down a jaxpr, loops as they are if `whole`; returns its outputs."""
        jaxpr, known = closed.jaxpr, dict(zip(closed.jaxpr.invars, inputs, strict=True))
        for var, constant in zip(jaxpr.constvars, closed.consts, strict=True):
            known[var] = self.value(var.aval, SHARED)
            self.constants[known[var]] = constant

        def read(var: Any) -> Any:
            return var if isinstance(var, jex.core.Literal) else known[var]

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(var) for var in equation.invars], whole)
            known |= dict(zip(equation.outvars, found, strict=True))
        return [read(var) for var in jaxpr.outvars]

    def _equation(self, equation: Any, given: list[Any], whole: bool) -> Sequence[Any]:
        name, params = equation.primitive.name, equation.params
        if name in _CALLS:
            return self.walk(_held(params), given, whole)
        if name == "scan" and not whole:
            return self._loop(params, given)
        kinds = [var.aval for var in equation.outvars]
        if name == "optimization_barrier":  # of each value by itself
            pairs = zip(given, kinds, strict=True)
            return [self._add(equation, [v], [kind])[0] for v, kind in pairs]
        if name in ("while", "cond") and len(self._stages(given)) > 1:
            raise ValueError(
                "mesh divides layers that are not equal into stages, and the method's step has a "
                f"{name} over several stages; use steps of known size, such as Lipschitz() and "
                "Fixed(), and an order known in advance"
            )
        return self._add(equation, given, kinds)

    def _stages(self, given: Iterable[Any]) -> set[int]:
        """Whose weights are among these values."""
        return {self.homes[v] for v in given if isinstance(v, int)} - {SHARED, NONE}

    def _add(self, equation: Any, given: list[Any], kinds: list[Any]) -> tuple[int, ...]:
        values = [v for v in given if isinstance(v, int)]
        stages = self._stages(values)
        everywhere = all(self.homes[v] == SHARED for v in values)
        # Weights of several stages are copied to where it is cheapest.
        stage = SHARED if everywhere else stages.pop() if len(stages) == 1 else NONE
        # Samples and other data that all stages are given make more than weights of them.
        neutral = [v in self.neutral for v in values]
        own = all(n or self.homes[v] == stage for v, n in zip(values, neutral, strict=True))
        outputs = []
        for kind in kinds:
            home = SHARED if everywhere else stage if own and kind.size > 1 else NONE
            outputs.append(self.value(kind, home))
            if everywhere and (all(neutral) or kind.size == 1):
                self.neutral.add(outputs[-1])
        new = Operation(equation.primitive, equation.params, tuple(given), tuple(outputs), stage)
        self.operations.append(new)
        return new.outputs

    def _loop(self, params: dict[str, Any], given: list[Any]) -> list[Any]:
        """A loop of a known number of turns, as the independent ones that it is made of."""
        body, sizes = params["jaxpr"], (params["num_consts"], params["num_carry"])
        found: list[Any] = [None] * len(body.jaxpr.outvars)
        for part in _parts(body, sizes):
            own = [given[k] for k in part.inputs]
            if len(self._stages(own)) > 1:
                out = self._written_out(part, params, own)
            else:
                function = _looped(part, params)
                out = self._traced(function, own, whole=True)
            for place, value in zip(part.outputs, out, strict=True):
                found[place] = value
        return found

    def _written_out(self, part: "_Part", params: dict[str, Any], given: list[Any]) -> list[Any]:
        """The turns of a loop one after the other."""
        first, last = part.constants, part.constants + part.carried
        constant, carry, rows = given[:first], given[first:last], given[last:]
        turns = range(params["length"])
        found: dict[int, list[Any]] = {}
        for turn in reversed(turns) if params["reverse"] else turns:
            own = [self._traced(lambda a, k=turn: a[k], [row])[0] for row in rows]
            out = self.walk(part.body, [*constant, *carry, *own])
            carry, found[turn] = out[: len(carry)], out[len(carry) :]
        columns = zip(*(found[turn] for turn in turns), strict=True)
        ends = [self._traced(lambda *a: jnp.stack(a), list(column))[0] for column in columns]
        return [*carry, *ends]

    def _traced(
        self, function: Callable[..., Any], given: list[Any], whole: bool = False
    ) -> list[Any]:
        kinds = [self.kinds[v] if isinstance(v, int) else v.aval for v in given]
        shapes = [jax.ShapeDtypeStruct(kind.shape, kind.dtype) for kind in kinds]
        return self.walk(jax.make_jaxpr(function)(*shapes), given, whole)


class _Part(NamedTuple):
    """Some of a loop's values, which need no others.

    Attributes:
        body: a jaxpr of one turn.
        inputs: places of the values among the loop's inputs.
        outputs: places of the results.
        constants: how many inputs stay.
        carried: how many are carried.
    """

    body: Any
    inputs: list[int]
    outputs: list[int]
    constants: int
    carried: int


def _parts(body: Any, sizes: tuple[int, int]) -> list[_Part]:
    """The independent loops in one, by what each result needs."""
    jaxpr, (constants, carried) = body.jaxpr, sizes
    makers = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    of_inputs = {var: place for place, var in enumerate(jaxpr.invars)}

    def needs(place: int) -> tuple[set[int], set[int]]:
        """Inputs, and equations, of a result."""
        found, equations, waiting = set(), set(), [jaxpr.outvars[place]]
        while waiting:
            var = waiting.pop()
            if isinstance(var, jex.core.Literal):
                continue
            if var in of_inputs:
                found.add(of_inputs[var])
            elif var in makers and id(makers[var]) not in equations:
                equations.add(id(makers[var]))
                waiting += makers[var].invars
        return found, equations

    groups: list[tuple[set[int], set[int], set[int]]] = []  # results, inputs, equations
    for place in range(len(jaxpr.outvars)):
        inputs, equations = needs(place)
        # A carried value enters where it leaves.
        inputs |= {constants + place} if place < carried else set()
        new = ({place}, inputs, equations)
        for group in list(groups):
            # What stays the same may be read by many.
            meeting = {k for k in new[1] & group[1] if k >= constants}
            if meeting or new[2] & group[2]:
                groups.remove(group)
                new = (new[0] | group[0], new[1] | group[1], new[2] | group[2])
        groups.append(new)
    return [_part(body, sizes, *group) for group in groups]


def _part(
    body: Any, sizes: tuple[int, int], results: set[int], inputs: set[int], equations: set[int]
) -> _Part:
    jaxpr, (constants, carried) = body.jaxpr, sizes
    places, ends = sorted(inputs), sorted(results)
    known = list(zip(jaxpr.constvars, body.consts, strict=True))

    def turn(*given: Any) -> list[Any]:
        values = dict(known) | {jaxpr.invars[k]: v for k, v in zip(places, given, strict=True)}

        def read(var: Any) -> Any:
            return var.val if isinstance(var, jex.core.Literal) else values[var]

        for equation in jaxpr.eqns:
            if id(equation) in equations:
                out = _bound(equation.primitive, equation.params, map(read, equation.invars))
                values.update(zip(equation.outvars, out, strict=True))
        return [read(jaxpr.outvars[k]) for k in ends]

    kinds = [jaxpr.invars[k].aval for k in places]
    shapes = [jax.ShapeDtypeStruct(kind.shape, kind.dtype) for kind in kinds]
    count = sum(k < constants for k in places)
    moving = sum(constants <= k < constants + carried for k in places)
    return _Part(jax.make_jaxpr(turn)(*shapes), places, ends, count, moving)


def _looped(part: _Part, params: dict[str, Any]) -> Callable[..., list[Any]]:
    """The loop of a part, as a function."""
    first, last = part.constants, part.constants + part.carried
    run = jex.core.jaxpr_as_fun(part.body)

    def function(*given: Any) -> list[Any]:
        constant, carry, rows = given[:first], list(given[first:last]), list(given[last:])
        if not rows and part.carried == len(part.outputs):
            return repeat(lambda c: run(*constant, *c), carry, params["length"])

        def turn(carry: list[Any], row: Any) -> tuple[list[Any], list[Any]]:
            out = run(*constant, *carry, *row[1])
            return out[: len(carry)], out[len(carry) :]

        steps = jnp.arange(params["length"])
        if params["reverse"]:
            turned = [jnp.flip(row, 0) for row in rows]
            carry, ends = scan(turn, carry, (steps, turned))
            return [*carry, *(jnp.flip(end, 0) for end in ends)]
        carry, ends = scan(turn, carry, (steps, rows))
        return [*carry, *ends]

    return function


def _held(params: dict[str, Any]) -> Any:
    held = next(params[key] for key in _HELD if key in params)
    return jex.core.ClosedJaxpr(held, ()) if isinstance(held, jex.core.Jaxpr) else held


def _bound(primitive: Any, params: dict[str, Any], given: Iterable[Any]) -> Sequence[Any]:
    out = primitive.bind(*given, **primitive.get_bind_params(params))
    return out if primitive.multiple_results else [out]


def computed(
    operations: Sequence[Operation], known: dict[int, Any], wanted: Sequence[int]
) -> list[Any]:
    """The wanted values, from known ones."""
    known = dict(known)
    for operation in operations:
        given = [known[v] if isinstance(v, int) else v.val for v in operation.inputs]
        out = _bound(operation.primitive, operation.params, given)
        known.update(zip(operation.outputs, out, strict=True))
    return [known[v] for v in wanted]
