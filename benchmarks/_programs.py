"""Programs that run as processes of their own, timed in turn: A B A B."""

import functools
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _report import in_turn

_HERE = Path(__file__).parent / "peers"


class Program(NamedTuple):
    """What to run, and with which packages.

    Attributes:
        script: a file of `peers`, which answers lines (`_worker.serve`).
        packages: with their versions, installed into an environment of their own; none for those
            of this process.
        iterations: whether the iterations of inference play a part.
        options: more arguments of the script.
    """

    script: str
    packages: tuple[str, ...] = ()
    iterations: bool = True
    options: tuple[str, ...] = ()


class Measured(NamedTuple):
    """Of one program.

    Attributes:
        seconds: per step, one number a round, of the process on its processor.
        compile: seconds to the end of the first step.
    """

    seconds: list[float]
    compile: float

    @property
    def median(self) -> float:
        """Of the rounds."""
        return float(np.median(self.seconds))


def python(program: Program) -> str:
    """The interpreter with the packages of a program; builds the environment at the first call."""
    if not program.packages:
        return sys.executable
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "liftax" / "peers"
    home = base / "-".join(program.packages).replace("==", "-")
    ready = home / "ready"
    if not ready.exists():
        print(f"installing {' '.join(program.packages)} into {home}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        done = subprocess.run(
            [*pip, *program.packages], env=clean, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(program.packages)} cannot be installed:\n{done.stderr}")
        ready.touch()
    return str(home / "bin" / "python")


def alternate(
    programs: Mapping[str, Program],
    arguments: Sequence[str],
    rounds: int,
    seconds: float,
    core: int | None,
) -> dict[str, Measured]:
    """Each program takes its turn in every round, all of them on the same processor.

    Args:
        programs: by label.
        arguments: of all of them.
        rounds: how many turns each has.
        seconds: of a turn, about.
        core: the processor, by number; None leaves it to the system.
    """
    running, compiled = {}, {}
    try:
        for label, program in programs.items():
            command = [python(program), str(_HERE / program.script), *arguments, *program.options]
            running[label] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            if core is not None:
                os.sched_setaffinity(running[label].pid, {core})
            compiled[label] = _answer(label, running[label])["compile"]
        steps = {k: max(1, round(seconds / _ask(k, p, 2))) for k, p in running.items()}
        turns = {k: functools.partial(_ask, k, p, steps[k]) for k, p in running.items()}
        found = in_turn(turns, rounds)
    finally:
        for process in running.values():
            process.kill()
    return {label: Measured(values, compiled[label]) for label, values in found.items()}


def _ask(label: str, process: Any, steps: int) -> float:
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    return _answer(label, process)["seconds"] / steps


def _answer(label: str, process: Any) -> dict[str, Any]:
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{label} ended with the exit code {process.wait()}; see above")
    return json.loads(line)
