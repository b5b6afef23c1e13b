"""What a run says of itself while it goes on; ``liftax watch`` and ``compare`` read it."""

import contextlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from liftax._commands._samples import Samples
from liftax._files import plain, read_arrays, write_bytes, write_json, write_text
from liftax.networks import Network, Params
from liftax.training import History

_PICTURES = 8
_FILTERS = 32
_MOST_BYTES = 2**28  # of a file of pictures, unpacked
_PAUSE = 0.5  # seconds between writes: short epochs shall not wait for the disk


class Live:
    """Writes ``history.jsonl``, ``status.json`` and ``pictures.npz``, each at once or not at all.

    At most twice a second, and when the run ends or is interrupted.

    Attributes:
        folder: of the run.
    """

    def __init__(
        self,
        folder: Path,
        epochs: int,
        seed: int,
        samples: Samples,
        say: Callable[[str], None] = lambda line: None,
    ):
        self.folder, self._epochs, self._seed, self._say = folder, epochs, seed, say
        self._samples, self._history, self._written = samples, History(), -math.inf
        self._network: Network | None = None

    def bound(self, network: Network) -> "Live":
        """The same, with pictures of what the network does."""
        self._network = network
        return self

    def __call__(self, history: History, params: Params) -> None:
        """Write down an epoch."""
        self._history = history
        self._say(line(history.last, self._epochs))
        if time.monotonic() < self._written + _PAUSE:
            return
        self._write("running")
        self.show(params)

    def end(self, history: History) -> None:
        """The whole history of a run that has ended, also of one that began no epoch."""
        self._history = history
        self._write("complete")

    def show(self, params: Params) -> None:
        """Write pictures of what the network does with these parameters."""
        found = pictures(self._network, params, self._samples) if self._network else {}
        if found:
            write_pictures(self.folder / "pictures.npz", found)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Says how a run that begins inside was broken off."""
        self._write("running")
        try:
            yield
        except KeyboardInterrupt:
            self._write("interrupted")
            raise
        except BaseException:
            self._write("failed")
            raise

    def _write(self, state: str) -> None:
        rows = self._history.rows
        if rows:
            lines = [json.dumps(plain({"seed": self._seed, **row})) for row in rows]
            write_text(self.folder / "history.jsonl", "".join(text + "\n" for text in lines))
        known = {key: (rows or [{}])[-1].get(key) for key in ("epoch", "step", "seconds")}
        self._written = time.monotonic()
        about = {"state": state, "epochs": self._epochs, "written": time.time()}
        write_json(self.folder / "status.json", {**known, **about})


def line(row: dict[str, Any], epochs: int) -> str:
    """An epoch for a terminal."""
    names = ("loss", "accuracy", "mse", "validation_loss", "validation_accuracy", "validation_mse")
    shown = [f"{name.replace('_', ' ')} {row[name]:.4g}" for name in names if name in row]
    return f"epoch {row['epoch']}/{epochs}: {', '.join(shown)} ({row['seconds']:.1f} s)"


def pictures(network: Network, params: Params, samples: Samples) -> dict[str, np.ndarray]:
    """Pictures (n, height, width, channels) by label: of outputs, or of the first layer's units."""
    shape = _picture(samples.shapes.x)
    if shape is None:
        return {}
    if not samples.shapes.labels and samples.shapes.outputs == math.prod(shape):
        part = samples.validation or samples.train
        x = np.asarray(part.x[:_PICTURES], np.float32)
        found = {"input": x, "output": _outputs(network, params, x)}
        if part.y is not None and not np.array_equal(part.y[: len(x)], x):
            found["target"] = np.asarray(part.y[: len(x)])
        return {label: images.reshape(-1, *shape) for label, images in found.items()}
    first = params.get(network.nodes[0].name, {})
    weight = np.asarray(first["weight"]) if isinstance(first, dict) and "weight" in first else None
    if weight is None or weight.ndim != 2 or len(weight) != math.prod(shape):
        return {}
    order = np.argsort(-np.linalg.norm(weight, axis=0))[:_FILTERS]
    return {"weights of units": weight[:, order].T.reshape(-1, *shape)}


def write_pictures(path: Path, images: dict[str, np.ndarray]) -> None:
    """An npz file, atomically."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **{k: np.asarray(v, np.float32) for k, v in images.items()})  # pyright: ignore
    write_bytes(path, stream.getvalue())


def read_pictures(path: Path) -> dict[str, np.ndarray]:
    """What `write_pictures` wrote; nothing if that is not there or damaged."""
    try:
        found = read_arrays(path, _MOST_BYTES)
    except ValueError:  # pictures are only to look at
        return {}
    numbers = {k: v for k, v in found.items() if v.size and v.dtype.kind in "biuf"}
    return {k: v[:_FILTERS] for k, v in numbers.items() if v.ndim == 4 and v.shape[3] in (1, 3)}


def _picture(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2]
    return None


def _outputs(network: Network, params: Params, x: np.ndarray) -> np.ndarray:
    return np.asarray(_forward(network, params, x.reshape(-1, *network.input_shape)))


@eqx.filter_jit
def _forward(network: Network, params: Params, x: Any) -> Any:
    return network(params, x)
