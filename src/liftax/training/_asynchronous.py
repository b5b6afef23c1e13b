"""PIAG over processes: nobody waits, and gradients come late."""

import dataclasses
import secrets
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array

from liftax.methods import AbstractGradientMethod
from liftax.networks import Network, Params
from liftax.objectives import LiftedEnergy
from liftax.training._checkpoint import named_leaves
from liftax.training._engine import target
from liftax.training._prepare import Data, checked
from liftax.training._stream import Stream
from liftax.training._tensors import decode, encode

_HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Asynchronous:
    r"""What `fit_asynchronously` found; the processes that computed gradients have it all too.

    Attributes:
        params: the parameters.
        losses: mean over the batches of their last losses, before each step.
        delays: $k - \min_ik_i$, the age of the oldest gradient in each step.
    """

    params: Params
    losses: np.ndarray
    delays: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is computed, by all.

    Attributes:
        energy: of the network.
        method: whose gradients and optimiser are used.
        source: of the samples, of which a process reads its own batches only.
        size: of a batch.
        steps: of the parameters.
        bound: K, the largest age of a gradient that is used.
    """

    energy: LiftedEnergy
    method: AbstractGradientMethod
    source: Stream
    size: int
    steps: int
    bound: int

    @property
    def batches(self) -> int:
        """Their number."""
        return self.source.samples // self.size

    def batch(self, number: int) -> tuple[Array, Array]:
        """Inputs and targets of one."""
        x, y = self.source.take(slice(number * self.size, (number + 1) * self.size))
        return x, target(self.energy, y, x.dtype)


def fit_asynchronously(
    energy: LiftedEnergy | Network,
    data: Data,
    method: AbstractGradientMethod,
    *,
    steps: int,
    bound: int,
    batch_size: int = 128,
    seed: int = 0,
    pause: Callable[[int], float] | None = None,
) -> Asynchronous:
    r"""Proximal incremental aggregated gradient by several processes, without waiting.

    $$\Theta^{k+1} = \mathrm{prox}_{\gamma r}\Big(\Theta^k - \frac\gamma m\sum_{i=1}^m
      g_i(\Theta^{k_i})\Big),\qquad k - k_i \le K.$$

    The first process keeps Θ and the last gradient of each of the $m$ batches; the others own the
    batches in turn, compute one gradient after another at the newest parameters they were sent, and
    report when they are done. Every report is a step, unless a gradient would be older than
    `bound` = K: then Θ stands still until it is renewed. Which reports come first is left to the
    machine, so that runs do not repeat each other; where they go does not depend on it, for
    $\gamma\le\frac1{L(2K+1)}$ and gradients that are $L$-Lipschitz in the mean (`piag_step`).

    All processes call it with the same arguments, as under ``liftax launch -n 3``.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        data: a `Dataset` or a pair of arrays, perhaps memory-mapped.
        method: such as ``OneSweep(optax.sgd(piag_step(L, K)))``.
        steps: of the parameters.
        bound: K, at least 0.
        batch_size: samples of a batch; a remainder that fills no batch is left out.
        seed: of the initial parameters.
        pause: seconds that a process (by number, from 1) sleeps after each gradient: for tests.

    Returns:
        The same in every process.

    Raises:
        ValueError: for a single process, more of them than batches, and numbers out of range.
        ConnectionError: naming the process that was lost.

    Source: Aytekin, Feyzmahdavian & Johansson (2016); Vanli, Gürbüzbalaban & Ozdaglar (2018).
    """
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    processes, rank = jax.process_count(), jax.process_index()
    source = Stream(*checked(energy, data, jnp.float32, "data"), jnp.float32, 0)
    plan = Plan(energy, method, source, min(batch_size, source.samples), steps, bound)
    if steps < 1 or bound < 0 or batch_size < 1:
        raise ValueError(
            "steps and batch_size must be at least 1 and bound at least 0, got "
            f"{steps}, {batch_size} and {bound}"
        )
    if not 1 < processes <= plan.batches + 1:
        raise ValueError(
            f"there are {processes} processes and {plan.batches} batches: one process keeps the "
            "parameters, and each of the others needs a batch; use liftax launch -n"
        )
    params = energy.network.init(jax.random.key(seed), jnp.float32)
    secret = np.frombuffer(secrets.token_bytes(16), np.uint8)
    if rank == 0:
        with Listener((_HOST, 0), authkey=secret.tobytes()) as listener:
            _agreed(np.array([listener.address[1], *secret], np.int32))
            lines = [listener.accept() for _ in range(processes - 1)]
            return serve(plan, params, lines)
    port, *word = _agreed(np.zeros(17, np.int32)).tolist()
    with Client((_HOST, port), authkey=bytes(word)) as line:
        nap = 0.0 if pause is None else pause(rank)
        return work(plan, params, line, (rank - 1, processes - 1), nap)


def piag_step(lipschitz: float, bound: int) -> float:
    r"""$\gamma = \frac1{L(2K+1)}$, with which PIAG with delays up to K is known to converge.

    Raises:
        ValueError: unless $L > 0$ and $K \ge 0$.

    Source: Aytekin, Feyzmahdavian & Johansson (2016).
    """
    if not lipschitz > 0 or bound < 0:
        raise ValueError(
            f"lipschitz must be positive and bound at least 0, got {lipschitz} and {bound}"
        )
    return 1 / (lipschitz * (2 * bound + 1))


def serve(plan: Plan, params: Params, lines: list[Connection]) -> Asynchronous:
    """Keep the parameters; `lines` lead to the processes that compute gradients."""
    x, y = plan.batch(0)
    task = plan.energy, plan.method
    optimiser = plan.method.init(plan.energy, params, x, y, jax.random.key(0)).optimiser
    table: dict[int, Params] = {}
    stamps, last = np.zeros(plan.batches, int), np.zeros(plan.batches)
    losses, delays, mean, step = [], [], jax.tree.map(jnp.zeros_like, params), 0
    while step < plan.steps:
        for line in wait(lines):
            assert isinstance(line, Connection)
            gradient, note = _received(line, params, 1 + lines.index(line))
            number = int(note["batch"])
            stamps[number], last[number] = int(note["step"]), float(note["loss"])
            before = table.get(number) or jax.tree.map(jnp.zeros_like, params)
            mean = _renewed(mean, gradient, before, 1 / plan.batches)
            table[number] = gradient
            age = step - int(stamps.min())
            if len(table) == plan.batches and age <= plan.bound and step < plan.steps:
                losses.append(float(last.mean()))
                delays.append(age)
                params, optimiser = _descended(*task, params, optimiser, mean)
                step += 1
            if step < plan.steps:
                _send(line, params, {"step": str(step)})
    notes = {"losses": np.asarray(losses), "delays": np.asarray(delays)}
    for line in lines:
        _send(line, {"params": params, **notes}, {"step": "end"})
    return Asynchronous(params, **notes)


def work(
    plan: Plan, params: Params, line: Connection, place: tuple[int, int], nap: float
) -> Asynchronous:
    """Compute gradients of every so many-th batch, until the end comes."""
    own = range(place[0], plan.batches, place[1])
    x, y = plan.batch(own[0])
    memory = plan.method.init(plan.energy, params, x, y, jax.random.key(0)).memory
    step, turn, task = 0, 0, (plan.energy, plan.method)
    while True:
        number = own[turn % len(own)]
        gradient, loss, memory = _gradient(*task, params, memory, *plan.batch(number))
        gradient = jax.block_until_ready(gradient)
        time.sleep(nap)
        _send(line, gradient, {"batch": str(number), "step": str(step), "loss": str(float(loss))})
        turn += 1
        arrays, note = _read(line, 0)
        if note["step"] == "end":
            ends = {name: arrays.pop(f"[{name!r}]") for name in ("losses", "delays")}
            params = _shaped(arrays, {"params": params})["params"]
            return Asynchronous(params, **ends)
        params, step = _shaped(arrays, params), int(note["step"])


@eqx.filter_jit
def _renewed(mean: Params, new: Params, old: Params, share: float) -> Params:
    return jax.tree.map(lambda m, g, h: m + share * (g - h), mean, new, old)


@eqx.filter_jit
def _descended(energy: Any, method: Any, params: Params, optimiser: Any, mean: Params) -> Any:
    return method.descend(energy, params, optimiser, mean)


@eqx.filter_jit
def _gradient(energy: Any, method: Any, params: Params, memory: Any, x: Array, y: Array) -> Any:
    found = method.evaluate(energy.at(params), params, memory, x, y)
    return found.gradient, found.loss, found.memory


def _agreed(numbers: np.ndarray) -> np.ndarray:
    """The first process's numbers."""
    return np.asarray(multihost_utils.broadcast_one_to_all(numbers))


def _send(line: Connection, tree: Any, note: dict[str, str]) -> None:
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}
    line.send_bytes(encode(arrays, note))


def _received(line: Connection, like: Params, number: int) -> tuple[Params, dict[str, str]]:
    arrays, note = _read(line, number)
    return _shaped(arrays, like), note


def _read(line: Connection, number: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        return decode(line.recv_bytes())
    except (EOFError, OSError) as error:
        raise ConnectionError(f"process {number} was lost; start the run again") from error


def _shaped(arrays: dict[str, np.ndarray], like: Any) -> Any:
    leaves = [jnp.asarray(arrays[name]) for name in named_leaves(like)]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
