"""The programs of stages, compiled."""

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from liftax.parallel._passing import here, processes
from liftax.parallel._placement import DATA

Specs = dict[int, PartitionSpec]
# Seconds.
_TURN = 5


class Program(NamedTuple):
    """What a stage computes at a time.

    Attributes:
        level: number of borders that its values have passed.
        stage: of it.
        inputs: values.
        outputs: values.
        where: how they are to be divided, None for what the compiler likes.
        run: from the one to the other.
        last: inputs that nothing needs afterwards.
        spent: those of them whose memory it may use.
    """

    level: int
    stage: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    where: tuple[NamedSharding | None, ...]
    run: Callable[..., Any]
    last: tuple[int, ...]
    spent: tuple[int, ...]


def compiled(
    programs: Sequence[Program], kinds: Sequence[Any], meshes: Sequence[Mesh], specs: Specs
) -> tuple[list[Any], Specs]:
    """Programs of this process's stages, several compiled at a time, and how values are divided.

    Where a stage has several devices the compiler chooses how values are divided, so that those
    of a level wait for the levels before; other processes are told.

    Args:
        programs: in their order.
        kinds: shape and type of every value.
        meshes: devices of the stages.
        specs: how what is given is divided.
    """
    specs, found = dict(specs), []
    one = meshes[0].size == 1
    groups = [programs] if one else [list(g) for _, g in itertools.groupby(programs, _level)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for group in groups:
            if one:
                for program in group:
                    ends = zip(program.outputs, program.where, strict=True)
                    specs |= {v: PartitionSpec() if w is None else w.spec for v, w in ends}
            own = [p for p in group if here(meshes[p.stage])]
            # Traced here: settings such as those of types are a thread's own.
            lowered = [_lowered(program, kinds, meshes[program.stage], specs) for program in own]
            waiting = [pool.submit(program.compile) for program in lowered]
            _ready(waiting)
            done = (future.result() for future in waiting)
            for program in group:
                mesh = meshes[program.stage]
                run = next(done) if here(mesh) else None
                found.append(run)
                if not one:
                    specs |= _chosen(program, run, kinds, mesh)
    return found, specs


def _ready(waiting: Sequence[Future[Any]]) -> None:
    """Until all processes have compiled, some of which have more to do.

    They meet every few seconds: the collectives of CPU devices wait for half a minute at most.
    """
    if jax.process_count() == 1:
        return
    busy = True
    while busy:
        left = wait(waiting, timeout=_TURN).not_done
        busy = bool(np.any(multihost_utils.process_allgather(np.array([len(left)]))))


def _level(program: Program) -> int:
    return program.level


def _lowered(program: Program, kinds: Sequence[Any], mesh: Mesh, specs: Specs) -> Any:
    given = [
        jax.ShapeDtypeStruct(
            kinds[v].shape,
            kinds[v].dtype,
            sharding=NamedSharding(mesh, specs[v]),
            weak_type=kinds[v].weak_type,
        )
        for v in program.inputs
    ]
    spent = _fitting(program, kinds, specs)
    run = jax.jit(program.run, out_shardings=list(program.where), donate_argnums=spent)
    return run.lower(*given)


def _fitting(program: Program, kinds: Sequence[Any], specs: Specs) -> tuple[int, ...]:
    """Places of inputs whose memory an output of the same kind takes."""

    def kind(value: int, spec: PartitionSpec | None) -> Any:
        own = kinds[value].shape, kinds[value].dtype
        return own if spec is None else (*own, axis_of(spec))

    free = [
        {kind(v, None)} if where is None else {kind(v, where.spec)}
        for v, where in zip(program.outputs, program.where, strict=True)
    ]
    found = []
    for place, value in enumerate(program.inputs):
        if value in program.spent:
            own = {kind(value, None), kind(value, specs[value])}
            taken = next((k for k, options in enumerate(free) if options & own), None)
            if taken is not None:
                del free[taken]
                found.append(place)
    return tuple(found)


def axis_of(spec: PartitionSpec) -> int:
    """The axis that is divided, -1 if none is."""
    found = [k for k, names in enumerate(spec) if names is not None]
    return found[0] if found else -1


def spec_of(axis: int) -> PartitionSpec:
    """An array whose axis of this number is divided, none if it is -1."""
    return PartitionSpec() if axis < 0 else PartitionSpec(*[None] * axis, DATA)


def _chosen(program: Program, run: Any, kinds: Sequence[Any], mesh: Mesh) -> Specs:
    """How the compiler divides a program's results, as the first process that has it says."""
    axes = np.full(len(program.outputs), -1, np.int32)
    if run is not None:
        for place, (value, where) in enumerate(
            zip(program.outputs, run.output_shardings, strict=True)
        ):
            shape = kinds[value].shape
            sizes = enumerate(zip(shape, where.shard_shape(shape), strict=True))
            axes[place] = next((k for k, (whole, own) in sizes if own < whole), -1)
    if jax.process_count() > 1 and program.outputs:
        first = jax.process_index() == processes(mesh)[0]
        axes = np.asarray(multihost_utils.broadcast_one_to_all(axes, is_source=first))
    return {v: spec_of(int(axis)) for v, axis in zip(program.outputs, axes, strict=True)}
