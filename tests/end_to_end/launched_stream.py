"""What processes run in `test_stream`: block descent in parts, each with its own samples."""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import liftax
from liftax.blocks import Jacobi, Nesterov, ProximalGradient

METHOD = liftax.BlockCoordinateDescent(
    order=Jacobi(), state_step=ProximalGradient(acceleration=Nesterov())
)


def train(epochs: int, **more: object) -> liftax.Result:
    """On 50 samples."""
    rng = np.random.default_rng(0)
    given = rng.normal(size=(50, 6)).astype(np.float32), rng.integers(0, 3, 50)
    settings = {"epochs": epochs, "progress": False, "stack": False, **more}
    return liftax.fit(liftax.mlp([6, 8, 7, 3]), given, METHOD, **settings)


def flat(result: liftax.Result) -> np.ndarray:
    """The parameters in a row."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result.params)])


def main(folder: Path, epochs: list[int]) -> None:
    """So many epochs each time, in parts of 16 samples, the last of 2."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    for count in epochs:
        saved = liftax.Checkpoints(folder / "saved", resume=True)
        result = train(count, mesh=mesh, stream=16, checkpoints=saved)
    if jax.process_index() == 0:
        np.savez(folder / "found.npz", flat(result), result.history["energy"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(n) for n in sys.argv[2:]])
