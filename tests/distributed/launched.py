"""What the tests of `liftax launch` run: trains by the mesh of all processes, and saves."""

import os
import signal
import sys
import time
from typing import ClassVar

import jax
import numpy as np
import optax

import liftax
from liftax.training import save_model

METHODS = {"bcd": liftax.BlockCoordinateDescent(), "sweep": liftax.OneSweep(optax.adam(1e-3))}


class Watched(np.ndarray):
    """Inputs that note which rows are read."""

    read: ClassVar[set[int]] = set()

    def __getitem__(self, index):
        first = index[0] if isinstance(index, tuple) else index
        if isinstance(first, slice) and first == slice(None):
            return self
        rows = np.arange(len(self))[first]
        Watched.read |= set(np.ravel(rows).tolist())
        return np.asarray(self)[index]


def main(folder: str, method: str, fault: str) -> None:
    """`fault` is what happens to the last process after three epochs."""
    rng = np.random.default_rng(0)
    data = (
        rng.normal(size=(64, 16)).astype(np.float32).view(Watched),
        rng.integers(0, 5, 64),
    )
    last = jax.process_index() == jax.process_count() - 1

    def after(history, params):
        if history.last["epoch"] < 3 or not fault:
            return
        print("epoch", history.last["epoch"], flush=True)
        if fault == "wait":
            time.sleep(0.2)
        elif last and fault == "raise":
            raise RuntimeError("something is wrong here")
        elif last:
            os.kill(os.getpid(), getattr(signal, fault))

    if method == "piag":
        network = liftax.mlp([16, 8, 5])
        rate = liftax.BackPropagation(optax.sgd(0.02))
        settings = {"steps": 200, "bound": 12, "batch_size": 16}
        naps = {1: 0.0, 2: 0.01}
        found = liftax.training.fit_asynchronously(
            network, data, rate, pause=naps.__getitem__, **settings
        )
        save_model(f"{folder}/model-{jax.process_index()}.safetensors", found.params)
        print(found.losses[0], found.losses[-1], found.delays.max(), "steps", flush=True)
        return
    chosen = METHODS[method]
    result = liftax.fit(
        liftax.mlp([16, 64, 5]),
        data,
        chosen,
        epochs=20 if chosen.full_batch else 10,
        batch_size=32,
        mesh=liftax.Placement(jax.sharding.Mesh(np.array(jax.devices()), ("data",))),
        checkpoints=liftax.Checkpoints(f"{folder}/checkpoints", resume=True),
        callback=after,
        progress=False,
    )
    if last and chosen.full_batch:
        print(f"read rows {min(Watched.read)} to {max(Watched.read)}", flush=True)
    print(result.steps, "steps", flush=True)
    if jax.process_index() == 0:
        save_model(f"{folder}/model.safetensors", result.params)


if __name__ == "__main__":
    main(*sys.argv[1:])
