"""What processes run in `test_mesh`: parameters divided among all their devices, with a resume."""

import sys
from pathlib import Path

import jax
import numpy as np
import optax
from jax.sharding import Mesh

import liftax
from liftax.training import save_model

METHODS = {"bcd": liftax.BlockCoordinateDescent(), "sweep": liftax.OneSweep(optax.adam(1e-3))}


def main(folder: Path, method: str, sharded: bool, epochs: list[int]) -> None:
    """So many epochs each time."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(32, 64)).astype(np.float32), rng.integers(0, 5, 32)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    for count in epochs:
        result = liftax.fit(
            liftax.mlp([64, 128, 5]),
            data,
            METHODS[method],
            epochs=count,
            batch_size=16,
            mesh=liftax.Placement(mesh, sharded=sharded),
            progress=False,
            checkpoints=liftax.Checkpoints(folder / "saved", resume=True),
        )
    found = {type(leaf).__name__ for leaf in jax.tree.leaves(result.state)}
    parts = {str(leaf.sharding.spec) for leaf in jax.tree.leaves(result.state) if leaf.ndim > 1}
    print("state", *found, *sorted(parts), flush=True)
    if jax.process_index() == 0:
        save_model(folder / "model.safetensors", result.params)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "sharded", [*map(int, sys.argv[4:])])
