"""What callbacks look at, stop and keep."""

import importlib
import struct
from pathlib import Path

import jax
import numpy as np
import pytest

from liftax.training import Best, EarlyStopping, History, TensorBoard, as_params, load_model

LOSSES = [9.0, 5.0, 3.0, 3.5, 2.9, 2.95, 3.1, 2.85, 2.0]


def runs_until(stopping: EarlyStopping, column: str, values: list[float]) -> int | None:
    """The epoch at whose end a run would stop; values begin with epoch 0."""
    rows = [{"epoch": i, column: v} for i, v in enumerate(values)]
    for epoch in range(1, len(rows)):
        if stopping(History(rows[: epoch + 1]), {}):
            return epoch
    return None


@pytest.mark.parametrize(
    ("patience", "least", "expected"),
    [(1, 0.0, 3), (2, 0.0, 6), (3, 0.0, None), (3, 0.2, 5), (4, 0.2, 6), (5, 0.2, 7)],
)
def test_early_stopping_waits(patience: int, least: float, expected: int | None) -> None:
    """Best so far 2.9 at epoch 4; with 0.2 as the least that counts it is 3.0 at epoch 2."""
    assert runs_until(EarlyStopping("loss", patience, least), "loss", LOSSES) == expected


def test_accuracies_are_to_grow_and_nan_is_no_improvement() -> None:
    stopping = EarlyStopping("validation_accuracy", 2)
    assert runs_until(stopping, "validation_accuracy", [0.1, 0.2, 0.3, 0.1, 0.1, 0.9]) == 4
    assert runs_until(EarlyStopping("loss", 2), "loss", [0.1, 3.0, np.nan, np.nan, 1.0]) == 3
    assert runs_until(EarlyStopping("loss", 2, largest=True), "loss", [1.0, 3.0, 4.0, 5.0]) is None


def test_the_best_is_copied_and_written(tmp_path: Path) -> None:
    best = Best("loss", tmp_path / "best.safetensors")
    assert best.params is None
    rows = []
    for epoch, loss in enumerate(LOSSES[:7]):
        rows.append({"epoch": epoch, "loss": loss})
        params = {"layer1": {"weight": np.full(3, epoch, np.float32)}}
        if epoch:
            best(History(rows), params)
        params["layer1"]["weight"][:] = -1  # as a step does that overwrites what it was given
    assert best.row == {"epoch": 4, "loss": 2.9}
    arrays, notes = load_model(tmp_path / "best.safetensors")
    assert notes == best.row
    again = as_params(arrays, best.params)
    for found in (again, best.params):
        assert jax.tree.leaves(found)[0].tolist() == [4, 4, 4]


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1 epoch"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match=r"column: the history has no column 'lost'; it has epoch"):
        EarlyStopping("lost")(History([{"epoch": 0}]), {})


def scalars(file: Path) -> list[tuple[str, int, float]]:
    """What an event file holds: records of length, checksum, protocol buffer, checksum."""
    kind = importlib.import_module("tensorboardX.proto.event_pb2").Event
    raw, place, found = file.read_bytes(), 0, []
    while place < len(raw):
        (size,) = struct.unpack("<Q", raw[place : place + 8])
        event = kind.FromString(raw[place + 12 : place + 12 + size])
        found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
        place += size + 16
    return found


def test_event_files_hold_the_history(tmp_path: Path) -> None:
    write, rows = TensorBoard(tmp_path / "events"), [{"epoch": 0, "energy": 4.0}]
    for epoch in (1, 2):
        rows.append({"epoch": epoch, "energy": 4.0 - epoch, "loss": 0.5 / epoch})
        write(History(rows), {})
    write.close()
    (file,) = (tmp_path / "events").iterdir()
    assert sorted(scalars(file)) == [
        *(("energy", epoch, 4.0 - epoch) for epoch in range(3)),
        *(("loss", epoch, 0.5 / epoch) for epoch in (1, 2)),
    ]
