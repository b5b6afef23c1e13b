"""Trains in folders until it is killed or done; the test of resuming starts it as a process."""

import os
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import liftax
from liftax.training import save_model

jax.config.update("jax_disable_most_optimizations", True)

METHODS = {
    "sweep": liftax.OneSweep(optax.adam(1e-3)),
    "implicit": liftax.ImplicitSGD(1.0, inner=2),
    "bcd": liftax.BlockCoordinateDescent(),
    "streamed": liftax.BlockCoordinateDescent(),
}


def main(folder: str, method: str, pause: float) -> None:
    """Fit with a checkpoint every 7 steps; `pause` seconds after each epoch leave time to kill."""
    split = liftax.data.load("digits")
    assert split.train.y is not None
    data = (split.train.x[:500], split.train.y[:500])
    checkpoints = liftax.Checkpoints(f"{folder}/checkpoints", every=7, resume=True)

    def wait(history, params):
        print(history.last["epoch"], flush=True)
        time.sleep(pause)

    result = liftax.fit(
        liftax.mlp([64, 20, 10]),
        data,
        METHODS[method],
        epochs=int(os.environ.get("EPOCHS", "6")),
        batch_size=50,
        stream=200 if method == "streamed" else None,
        validation=(split.test.x, split.test.y),
        dtype=jnp.float32,
        checkpoints=checkpoints,
        callback=wait,
    )
    assert result.history["epoch"].tolist() == list(range(len(result.history)))
    losses = np.array([[row["loss"], row["validation_loss"]] for row in result.history.rows[1:]])
    save_model(f"{folder}/model.safetensors", {"params": result.params, "losses": losses})


if __name__ == "__main__":
    for place in sys.argv[3:]:
        main(place, sys.argv[1], float(sys.argv[2]))
