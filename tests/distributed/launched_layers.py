"""What processes run in `test_layers` and `test_stages`: layers divided, with a resume."""

import math
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

import liftax
from liftax.blocks import Jacobi, RedBlack
from liftax.networks import Network, ddfb, fixed
from liftax.parallel import _staged
from liftax.training import step_traffic
from liftax.training._stages import Stages

SGD = optax.sgd(0.01, momentum=0.9)
METHODS = {
    "red-black": liftax.BlockCoordinateDescent(order=RedBlack()),
    "contrastive": liftax.Contrastive(SGD, inner=2, order=Jacobi()),
    "sweep": liftax.OneSweep(optax.sgd(optax.linear_schedule(2e-4, 1e-4, 50), 0.9)),
}
NETWORKS = {
    "chain": liftax.mlp([5, *[6] * 17, 3]),
    "mlp": liftax.mlp([16, 14, 13, 12, 11, 10, 9, 8, 5]),
    "cnn": liftax.cnn((8, 8, 1), [3, 4], [6], 5),
    "resnet": liftax.resnet((6, 6, 1), 3, 3, 5),
    "pnn": fixed(ddfb((8, 8, 1), 3, 3)),
    "learnt": ddfb((8, 8, 1), 3, 3),
}


def data(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """32 samples."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(32, *network.input_shape)).astype(np.float32)
    shape = network.shapes[network.output]
    picture = rng.uniform(size=(32, *shape)).astype(np.float32)
    return x, picture if len(shape) > 1 else rng.integers(0, math.prod(shape), 32)


def train(name: str, method: str, epochs: int, **more: Any) -> liftax.Result:
    """So many steps of a full-batch method, two an epoch of another."""
    network, chosen = NETWORKS[name], METHODS[method]
    settings = {"batch_size": 16, "progress": False, "validation": data(network), **more}
    epochs = epochs if chosen.full_batch else epochs // 2
    return liftax.fit(network, data(network), chosen, epochs=epochs, **settings)


def flat(params: Any) -> np.ndarray:
    """All numbers in a row."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


def rows(result: liftax.Result) -> np.ndarray:
    """Of the history."""
    return np.array([result.history[key] for key in ("loss", "energy", "validation_loss")])


class Counted:
    """Bytes that come to this process's devices in steps, from devices of other stages."""

    def __init__(self) -> None:
        self.bytes, self.calls, self._on = 0, 0, False
        advance, passed, moved = Stages.advance, _staged.passed, _staged.moved

        def stepped(stages: Any, work: Any, carry: Any) -> Any:
            self._on = True
            self.calls += int(work[1].stop) - int(work[1].start)
            out = advance(stages, work, carry)
            self._on = False
            return out

        def sent(array: Any, *rest: Any) -> Any:
            return self._noted(passed(array, *rest), set())

        def copied(array: Any, mesh: Mesh) -> Any:
            out = moved(array, mesh)
            # What a process has by itself is no stage's.
            known = isinstance(getattr(array, "sharding", None), NamedSharding)
            return self._noted(out, array.sharding.device_set) if known else out

        patched: Any = Stages
        patched.advance, _staged.passed, _staged.moved = stepped, sent, copied

    def _noted(self, found: Any, known: set[Any]) -> Any:
        if found is not None and self._on:
            shards = [s for s in found.addressable_shards if s.device not in known]
            self.bytes += sum(shard.data.nbytes for shard in shards)
        return found


def main(folder: Path, name: str, method: str, grid: str, *epochs: str) -> None:
    """So many steps each time; layers over processes for a grid like 4x2'."""
    sizes = [int(n) for n in grid.rstrip("'").split("x")]
    devices = np.array(jax.devices()[: sizes[0] * sizes[1]])
    over = grid.endswith("'")
    mesh = Mesh(
        devices.reshape(sizes[::-1]).T if over else devices.reshape(sizes), ("data", "layer")
    )
    counted = Counted()
    saved = liftax.Checkpoints(folder / "saved", resume=True)
    for count in map(int, epochs or ("8", "20")):
        result = train(name, method, count, mesh=mesh, checkpoints=saved)
    own = np.array([counted.bytes])
    total = int(np.sum(multihost_utils.process_allgather(own)))
    samples = 32 if METHODS[method].full_batch else 16
    sent = step_traffic(NETWORKS[name], METHODS[method], samples, liftax.Placement(mesh)).passed
    if jax.process_index() == 0:
        np.save(folder / "found.npy", flat(result.params))
        np.save(folder / "rows.npy", rows(result))
        np.save(folder / "bytes.npy", np.array([total, counted.calls * sent]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
