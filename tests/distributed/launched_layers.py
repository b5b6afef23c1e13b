"""What processes run in `test_layers` and `test_stages`: layers divided, with a resume."""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import liftax
from liftax.blocks import RedBlack


def chain(rng: np.random.Generator) -> tuple:
    """Equal layers, which are stacks, and data."""
    data = rng.normal(size=(16, 5)).astype(np.float32), np.arange(16) % 3
    return liftax.mlp([5, *[6] * 17, 3]), data


def cnn(rng: np.random.Generator) -> tuple:
    """Layers that differ, which are on stages, and data."""
    data = rng.uniform(size=(32, 8, 8, 1)).astype(np.float32), rng.integers(0, 5, 32)
    return liftax.cnn((8, 8, 1), [3, 4], [6], 5), data


def main(folder: Path, name: str, grid: list[int]) -> None:
    """20 steps, from the checkpoint after 7 of them."""
    network, data = {"chain": chain, "cnn": cnn}[name](np.random.default_rng(0))
    mesh = Mesh(np.array(jax.devices()).reshape(grid), ("data", "layer"))
    for epochs in (7, 20):
        result = liftax.fit(
            network,
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
    main(Path(sys.argv[1]), sys.argv[2], [int(n) for n in sys.argv[3].split("x")])
