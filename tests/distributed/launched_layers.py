"""What two processes run in `test_layers`: a chain whose layers they divide, with a resume."""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import liftax
from liftax.blocks import RedBlack


def main(folder: Path, grid: list[int]) -> None:
    """20 steps, from the checkpoint after 7 of them."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(16, 5)).astype(np.float32), np.arange(16) % 3
    mesh = Mesh(np.array(jax.devices()).reshape(grid), ("data", "layer"))
    for epochs in (7, 20):
        result = liftax.fit(
            liftax.mlp([5, *[6] * 17, 3]),
            data,
            liftax.BlockCoordinateDescent(order=RedBlack()),
            epochs=epochs,
            mesh=mesh,
            progress=False,
            checkpoints=liftax.Checkpoints(folder / "saved", resume=True),
        )
    if jax.process_index() == 0:
        leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(result.params)]
        np.save(folder / "found.npy", np.concatenate(leaves))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(n) for n in sys.argv[2].split("x")])
