"""A function computed by stages, each on devices of its own."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from liftax.parallel._cut import stages_of
from liftax.parallel._flat import NONE, SHARED, Given, Operation, computed, flat
from liftax.parallel._passing import absent, awaited, crossing, here, moved, passed
from liftax.parallel._programs import Program, Specs, axis_of, compiled, spec_of


class Leaf(NamedTuple):
    """Where an array of the arguments or results is.

    Attributes:
        stage: None for arguments that all stages are given, and for results on any of them.
        spec: how it is divided there.
        weights: whether it belongs to parameters, see `flat`.
        spent: whether a call may overwrite the argument, which nobody else has then.
    """

    stage: int | None
    spec: PartitionSpec = PartitionSpec()
    weights: bool = False
    spent: bool = False


class Sent(NamedTuple):
    """Bytes that one call sends from a stage to another."""

    start: int
    end: int
    size: int


class Staged:
    """A function as programs of the stages, and copies of what they need from each other.

    A stage has one program for each level: the number of borders behind one another that its
    values have passed. All programs of a level are started before any of the next, and nothing is
    waited for, so that stages compute at the same time, and go ahead of each other as far as their
    values allow.

    A process starts the programs of those stages that have devices of its own. All processes go
    through programs and copies in the same order, so that none waits for one that waits for it.

    Args:
        function: of arrays in trees, to a tree of arrays.
        arguments: arrays, or their shapes.
        given: a tree of `Leaf` like the arguments.
        wanted: makes one like the results from their shapes.
        meshes: devices of each stage; the first ones of all belong together, and so on.

    Raises:
        ValueError: for a step that cannot be divided, see `flat`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        given: Any,
        wanted: Callable[[Any], Any],
        meshes: Sequence[Mesh],
    ):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        self._tree, self.meshes = jax.tree.structure(shapes), meshes
        self._given = _leaves(given)
        self._wanted = _leaves(wanted(shapes))
        given_on = [SHARED if leaf.stage is None else leaf.stage for leaf in self._given]
        wanted_on = [NONE if leaf.stage is None else leaf.stage for leaf in self._wanted]
        known = zip(given_on, self._given, strict=True)
        self._flat = flat(closed, [Given(stage, leaf.weights) for stage, leaf in known])
        self._origin = dict(zip(self._flat.inputs, given_on, strict=True))
        stages = stages_of(self._flat, given_on, wanted_on, len(meshes))
        self._programs = self._plan(stages)
        self._runs: dict[tuple[int, ...], tuple[list[Any], Specs]] = {}
        self._held: dict[tuple[int, int], tuple[Array, Array]] = {}

    def _plan(self, stages: list[int]) -> list[Program]:
        """Programs by level and stage, in the order in which they start."""
        found, ends = self._flat, self._flat.outputs
        origin = self._origin
        for operation, stage in zip(found.operations, stages, strict=True):
            origin |= dict.fromkeys(operation.outputs, stage)
        shared = {v: o for o in found.operations for v in o.outputs if origin[v] == SHARED}
        # Results that every stage could compute are the first one's.
        alike = list(dict.fromkeys(v for v in ends if isinstance(v, int) and v in shared))
        self._origin = {**origin, **dict.fromkeys(alike, 0)}
        groups = _levels(found.operations, stages, origin)
        if alike:
            groups.setdefault((0, 0), [])
        order = sorted(groups)
        pieces = [_completed(groups[key], shared, alike if key == (0, 0) else []) for key in order]
        taken = [[v for v in _inputs(p) if v not in found.constants] for p in pieces]
        last = {value: place for place, values in enumerate(taken) for value in values}
        needed = {v for v in ends if isinstance(v, int)}
        specs = {v: e for v, e in zip(ends, self._wanted, strict=True) if isinstance(v, int)}
        programs = []
        for place, ((level, stage), piece) in enumerate(zip(order, pieces, strict=True)):
            made = [v for operation in piece for v in operation.outputs]
            kept = [v for v in made if self._origin[v] == stage]
            kept = [v for v in kept if v in needed or last.get(v, place) > place]
            where = [self._sharding(stage, specs.get(v)) for v in kept]
            run = functools.partial(_run, piece, taken[place], kept, found.constants)
            done = [v for v in taken[place] if last[v] == place and v not in needed]
            given = (level, stage, tuple(taken[place]), tuple(kept), tuple(where), run)
            programs.append(Program(*given, tuple(done), self._spent(done)))
        return programs

    def _spent(self, done: Sequence[int]) -> tuple[int, ...]:
        """Of values that nothing needs any more those whose memory a program may use."""
        of_inputs = zip(self._flat.inputs, self._given, strict=True)
        kept = {value for value, leaf in of_inputs if not leaf.spent}
        return tuple(v for v in done if v not in kept and self._origin[v] != SHARED)

    def _sharding(self, stage: int, leaf: Leaf | None) -> NamedSharding | None:
        mesh = self.meshes[stage]
        if mesh.size > 1 and (leaf is None or leaf.stage != stage):
            return None  # as the compiler likes
        return NamedSharding(mesh, PartitionSpec() if leaf is None else leaf.spec)

    @property
    def sent(self) -> list[Sent]:
        """What goes from one stage to another in a call."""
        pairs = {(v, program.stage) for program in self._programs for v in program.inputs}
        ends = zip(self._flat.outputs, self._wanted, strict=True)
        placed = {(v, leaf.stage) for v, leaf in ends if isinstance(v, int)}
        pairs |= {(v, stage) for v, stage in placed if stage is not None}
        kinds, origin = self._flat.kinds, self._origin
        return sorted(
            Sent(origin[v], end, kinds[v].size * kinds[v].dtype.itemsize)
            for v, end in pairs
            if origin[v] not in (SHARED, end)
        )

    def compile(self, *arguments: Any) -> tuple[list[Any], Specs]:
        """The programs for arguments that lie like these, and how all values are divided."""
        axes = tuple(map(_axis, jax.tree.leaves(arguments)))
        if axes not in self._runs:
            given = zip(self._flat.inputs, map(spec_of, axes), strict=True)
            kinds = self._flat.kinds
            self._runs[axes] = compiled(self._programs, kinds, self.meshes, dict(given))
        return self._runs[axes]

    def __call__(self, *arguments: Any) -> Any:
        """The results, each on its stage."""
        runs, specs = self.compile(*arguments)
        inputs = dict(zip(self._flat.inputs, jax.tree.leaves(arguments), strict=True))
        # None for what lies in other processes only.
        have: dict[int, dict[int, Any]] = {}
        for value, leaf in zip(self._flat.inputs, self._given, strict=True):
            if leaf.stage is not None:
                mesh = self.meshes[leaf.stage]
                own = moved(inputs[value], mesh) if here(mesh) else None
                have[value] = {leaf.stage: own}

        def at(value: int, stage: int) -> Any:
            known, origin = have.setdefault(value, {}), self._origin[value]
            if stage not in known and origin == SHARED:
                known[stage] = self._copied(value, inputs[value], stage)
            elif stage not in known:
                known[stage] = self._sent(value, known[origin], stage, specs[value])
            return known[stage]

        for program, run in zip(self._programs, runs, strict=True):
            given = [at(value, program.stage) for value in program.inputs]
            out = [None] * len(program.outputs) if run is None else run(*given)
            if self.meshes[program.stage].size > 1:
                awaited(out)
            for value, array in zip(program.outputs, out, strict=True):
                have[value] = {program.stage: array}
            for value in program.last:
                del have[value]
        return jax.tree.unflatten(self._tree, self._results(at))

    def _results(self, at: Callable[[int, int], Any]) -> list[Any]:
        """What the function returns, no array of it twice."""
        found, known = [], set()
        for value, leaf in zip(self._flat.outputs, self._wanted, strict=True):
            if not isinstance(value, int):
                found.append(np.asarray(value.val, value.aval.dtype))
                continue
            stage = max(self._origin[value], 0) if leaf.stage is None else leaf.stage
            array = at(value, stage)
            if array is None:
                where = NamedSharding(self.meshes[stage], leaf.spec)
                found.append(absent(self._flat.kinds[value], where))
            else:
                # Each may be overwritten by itself.
                found.append(jnp.copy(array) if (value, stage) in known else array)
            known.add((value, stage))
        return found

    def _copied(self, value: int, array: Any, stage: int) -> Array | None:
        """What all stages know, as it was copied before if it is the same array."""
        if not here(self.meshes[stage]):
            return None
        held = self._held.get((value, stage))
        if held is None or held[0] is not array:
            held = (array, moved(array, self.meshes[stage]))
            self._held[value, stage] = held
        return held[1]

    def _sent(
        self, value: int, array: Array | None, stage: int, spec: PartitionSpec
    ) -> Array | None:
        """A value from where it was made on another stage."""
        ends = self.meshes[self._origin[value]], self.meshes[stage]
        if crossing(*ends):
            return passed(array, self._flat.kinds[value], spec, ends)
        return None if array is None else moved(array, ends[1])


def _levels(
    operations: Sequence[Operation], stages: list[int], origin: dict[int, int]
) -> dict[tuple[int, int], list[Operation]]:
    """Operations by how many borders their values have passed, and by stage."""
    level: dict[int, int] = {}
    groups: dict[tuple[int, int], list[Operation]] = {}
    for operation, stage in zip(operations, stages, strict=True):
        if stage == SHARED:
            continue
        values = [v for v in operation.inputs if isinstance(v, int)]
        # Constants have no origin; what is shared lies on every stage.
        steps = [level.get(v, 0) + (origin.get(v, SHARED) not in (stage, SHARED)) for v in values]
        own = max(steps, default=0)
        level |= dict.fromkeys(operation.outputs, own)
        groups.setdefault((own, stage), []).append(operation)
    return groups


def _axis(array: Any) -> int:
    """The axis of an argument that is divided, -1 if none is; see `moved`."""
    if isinstance(array, jax.Array) and isinstance(array.sharding, NamedSharding):
        return axis_of(array.sharding.spec)
    return -1


def _leaves(tree: Any) -> list[Leaf]:
    return jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Leaf))


def _inputs(piece: Sequence[Operation]) -> list[int]:
    """Values that operations read and do not make, each once."""
    made = {v for operation in piece for v in operation.outputs}
    read = (v for operation in piece for v in operation.inputs if isinstance(v, int))
    return list(dict.fromkeys(v for v in read if v not in made))


def _completed(
    piece: list[Operation], shared: dict[int, Operation], wanted: Sequence[int]
) -> list[Operation]:
    """Operations with those before them that a stage computes for itself."""
    found: dict[int, Operation] = {}
    waiting = [*reversed(piece), *(shared[value] for value in wanted)]
    while waiting:
        first = waiting[-1]
        before = [shared[v] for v in first.inputs if isinstance(v, int) and v in shared]
        before = [operation for operation in before if id(operation) not in found]
        if before:
            waiting += before
        else:
            found.setdefault(id(first), waiting.pop())
    return list(found.values())


def _run(
    operations: Sequence[Operation],
    inputs: Sequence[int],
    outputs: Sequence[int],
    constants: dict[int, Any],
    *given: Array,
) -> list[Array]:
    return computed(operations, {**constants, **dict(zip(inputs, given, strict=True))}, outputs)
