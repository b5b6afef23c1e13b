"""What two processes run in `test_stages`: samples divided between them, layers within each."""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import liftax
from liftax.blocks import RedBlack


def main(folder: Path) -> None:
    """20 steps, from the checkpoint after 7 of them."""
    rng = np.random.default_rng(0)
    data = rng.uniform(size=(32, 8, 8, 1)).astype(np.float32), rng.integers(0, 5, 32)
    mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "layer"))
    for epochs in (7, 20):
        result = liftax.fit(
            liftax.cnn((8, 8, 1), [3, 4], [6], 5),
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
    main(Path(sys.argv[1]))
