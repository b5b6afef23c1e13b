"""Steps of chains on virtual devices, and a fit of the cost model's five figures to them.

Chains of several depths, widths and batches; block descent (order `Jacobi`) and back-propagation on
1, 2, 4 and 8 virtual devices of one process and of two (`liftax launch`), in all divisions into
data and layers. All share one core, so that devices take turns, and what is measured is
processor time, summed over the processes. The figures are fitted on the first chains by
non-negative least squares, relative, and predict the others; of two processes only those of
sending, those of computing being the same.

    python benchmarks/scaling.py [runs/bench/scaling.json] [--rounds 3] [--processes 1 2]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _report import Arguments, finish, pinned
from jax.sharding import Mesh
from scipy.optimize import nnls

import liftax
from liftax.blocks import Jacobi
from liftax.parallel import Cost, Machine, Placement, descent_cost, gradient_cost
from liftax.training._engine import Problem, Span, advance, start, state_axes
from liftax.training._stacking import layers

METHODS = {
    "block descent": liftax.BlockCoordinateDescent(order=Jacobi()),
    "back-propagation": liftax.BackPropagation(optax.sgd(1e-3)),
}
# Layers, width, samples: the first are fitted, the others predicted.
FITTED = [(16, 32, 64), (64, 64, 256), (16, 256, 128)]
PREDICTED = [(32, 128, 64), (32, 48, 128)]
GRIDS = [(1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (4, 1), (8, 1), (2, 4)]
# Of two processes with four devices each.
ACROSS = [(1, 8), (8, 1), (2, 4)]
SECONDS = 0.2


def step(chain: tuple[int, int, int], method: str, grid: tuple[int, int], rounds: int) -> float:
    """Processor seconds of this process in one step."""
    count, width, samples = chain
    devices = np.array(jax.devices()[: grid[0] * grid[1]]).reshape(grid)
    place, how = Placement(Mesh(devices, ("data", "layer"))), METHODS[method]
    energy, _ = layers(
        liftax.LiftedEnergy(liftax.mlp([width] * (count + 1) + [10])), how, None, place
    )
    rng, axis = np.random.default_rng(0), 0 if how.full_batch else 1
    x, y = (
        place.put(rng.normal(size=(1,) * axis + (samples, n)), place.samples(axis), np.float32)
        for n in (width, 10)
    )
    problem: Any = Problem(energy, how, x, y, None, None, place)
    key = jax.random.key(0)
    params = jax.tree.map(
        lambda leaf: place.put(rng.normal(size=leaf.shape) / width, place.everywhere, np.float32),
        jax.eval_shape(energy.network.init, key),
    )
    problem = problem._replace(axes=state_axes(problem, params, samples, key))
    carry = start(problem, params, samples, key)

    def run(carry: Any, steps: int) -> tuple[float, Any]:
        zero = jnp.int32(0)
        span = Span(jnp.arange(samples), key, zero, zero, jnp.int32(steps), samples)
        begin = time.process_time()
        carry = jax.block_until_ready(advance((problem, span), carry))
        return (time.process_time() - begin) / steps, carry

    _, carry = run(carry, 1)
    first, carry = run(carry, 3)
    found = []
    # As many in every process; a guess from one process alone would differ.
    steps = int(np.clip(SECONDS / max(first, 1e-6), 3, 2000))
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        steps = int(multihost_utils.broadcast_one_to_all(np.int32(steps)))
    for _ in range(rounds):
        seconds, carry = run(carry, steps)
        found.append(seconds)
    return float(np.median(found))


def measure(out: str, rounds: int) -> None:
    """All steps in this process, or in this one of two."""
    found = []
    for chain in FITTED + PREDICTED:
        for method in METHODS:
            for grid in GRIDS if jax.process_count() == 1 else ACROSS:
                if grid[1] > 1 and method == "back-propagation":
                    continue
                seconds = step(chain, method, grid, rounds)
                found.append({"chain": chain, "method": method, "grid": grid, "seconds": seconds})
                print(*found[-1].values(), flush=True)
    Path(f"{out}.{jax.process_index()}").write_text(json.dumps(found))


def cost(row: dict[str, Any]) -> Cost:
    """What the model counts."""
    count = descent_cost if row["method"] == "block descent" else gradient_cost
    return count(*row["chain"], *row["grid"])


def fitted(rows: list[dict[str, Any]], known: Machine | None = None) -> Machine:
    """The five figures, or those of sending, by least squares in the relative error; none negative.

    All devices are on one core.
    """
    seconds = np.array([row["seconds"] for row in rows])
    units = [Machine(*one, cores=1) for one in np.eye(5)]
    counts = np.array([[cost(row).seconds(unit) for unit in units] for row in rows])
    counts /= seconds[:, None]
    computing = () if known is None else known[:3]
    rest = 1 - counts[:, : len(computing)] @ np.array(computing)
    sending, _ = nnls(counts[:, len(computing) :], rest)
    return Machine(*map(float, (*computing, *sending)), cores=1)


def report(name: str, rows: list[dict[str, Any]], known: Machine | None) -> dict[str, Any]:
    """Figures and errors of the prediction."""
    own = [list(chain) for chain in FITTED]
    machine = fitted([row for row in rows if row["chain"] in own], known)
    for row in rows:
        row["part"] = "fitted" if row["chain"] in own else "predicted"
        row["predicted"] = cost(row).seconds(machine)
        row["error"] = abs(row["predicted"] / row["seconds"] - 1)
    for part in ("fitted", "predicted"):
        errors = [row["error"] for row in rows if row["part"] == part]
        print(
            f"{name} processes, {part}: median {np.median(errors):.3f}, largest {max(errors):.3f}"
        )
    return {"figures": machine._asdict(), "steps": rows}


def main(given: Arguments, processes: list[int]) -> None:
    """Each kind of processes, then the fit; what the file has of other kinds is used again."""
    pinned(given)
    results = json.loads(given.out.read_text())["results"] if given.out.exists() else {}
    script, rounds = str(Path(__file__).resolve()), ["--rounds", str(given.rounds), "--part"]
    for count in processes:
        command, environment = [sys.executable], dict(os.environ)
        if count > 1:
            each = str(8 // count)
            command += ["-m", "liftax.cli", "launch", "-n", str(count)]
            command += ["--devices-per-process", each, script, "--"]
        else:
            command += [script]
            environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([*command, f"{folder}/steps", *rounds], env=environment, check=True)
            parts = [json.loads(Path(f"{folder}/steps.{k}").read_text()) for k in range(count)]
        rows = parts[0]
        for row, *others in zip(*parts, strict=True):
            row["seconds"] += sum(other["seconds"] for other in others)
        results[str(count)] = {"steps": rows}
        finish(given, {"results": results})
    known = None
    for name in sorted(results):
        results[name] = report(name, results[name]["steps"], known)
        known = known or Machine(**results[name]["figures"])
    finish(given, {"results": results})


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--part", action="store_true", help="measure only, as the processes do")
    more.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    options, part, kinds = Arguments.parsed(__doc__, "scaling", more)
    if part:
        measure(str(options.out), options.rounds)
    else:
        main(options, kinds)
