"""Arguments and results of the benchmarks."""

import argparse
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from liftax._files import write_json


class Arguments(NamedTuple):
    """Of the command line.

    Attributes:
        out: the file of the results.
        rounds: how often each program has its turn.
        core: the processor that all run on, None for the system's choice.
    """

    out: Path
    rounds: int
    core: int | None

    @classmethod
    def parsed(
        cls, text: str | None, name: str, more: argparse.ArgumentParser | None = None
    ) -> tuple[Any, ...]:
        """From the command line, then the values of `more`; the text is the module's."""
        parser = argparse.ArgumentParser(
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[] if more is None else [more],
        )
        default = Path("runs/bench") / f"{name}.json"
        parser.add_argument("out", nargs="?", type=Path, default=default)
        parser.add_argument("--rounds", type=int, default=9)
        parser.add_argument(
            "--core", type=int, default=None, help="processor (the last allowed; -1: any)"
        )
        given = vars(parser.parse_args())
        core = given.pop("core")
        if core is None and hasattr(os, "sched_getaffinity"):
            core = max(os.sched_getaffinity(0))
        core = None if core == -1 else core
        own = cls(given.pop("out"), given.pop("rounds"), core)
        return own, *given.values()


def in_turn(programs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each gives, by name, a number a round: A B A B."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            found[name].append(program())
    return found


def median_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median over the rounds of the quotients of the seconds."""
    return float(np.median(np.divide(one, other)))


def finish(given: Arguments, results: dict[str, Any]) -> None:
    """Write the results with what they were measured on."""
    given.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "processor": _processor(),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "rounds": given.rounds,
    }
    write_json(given.out, {"machine": machine, **results})


def pinned(given: Arguments) -> None:
    """This process on the one processor, before JAX starts its threads."""
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].split(":", 1)[1].strip() if names else platform.processor()
