"""A run's history as TensorBoard's event files."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from liftax.networks import Params
from liftax.training._history import History

_SECONDS = 5  # after which news is in the file


class TensorBoard:
    """A callback that writes every number of the history to an event file, by epoch.

    ``pip install "liftax[tensorboard]"``, and ``tensorboard --logdir FOLDER`` to look at it.

    Attributes:
        folder: created if missing; the rows of a resumed run go to a new file beside the old one.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._writer: Any = None

    def __call__(self, history: History, params: Params) -> None:
        """Write the newest row; the first time, what the run began with as well."""
        rows = [history.last]
        if self._writer is None:
            module = importlib.import_module("tensorboardX")
            self._writer = module.SummaryWriter(str(self.folder), flush_secs=_SECONDS)
            rows = history.rows
        for row in rows:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, np.float32(value), row["epoch"])

    def close(self) -> None:
        """Write what has not been yet; this happens when Python ends, too."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
