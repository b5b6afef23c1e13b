"""Checkpoints of runs on several devices: parts, other numbers of devices, a full disk."""

import errno
import io
import os
import resource
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import liftax
from liftax.training._checkpoint import Part, latest_checkpoint, save_checkpoint, save_part

from .test_mesh import METHODS, NETWORKS, distance, mesh, train


def save(folder: Path, step: int, life: str = "a", processes: int = 2) -> dict[str, Any]:
    """A step as several processes write it."""
    u = np.arange(12.0).reshape(6, 2) + step
    tree = {"w": np.full(3, float(step)), "u": u}
    for process in reversed(range(processes)):
        rows = slice(process * 6 // processes, (process + 1) * 6 // processes)
        part = Part({"['u']": u[rows]}, {"['u']": (rows.start, 0)}, process, processes, life)
        save_part(folder, step, part)
        if process == 0:
            save_checkpoint(folder, step, {"w": tree["w"], "u": np.zeros(0)}, {}, "run", part=part)
    return tree


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_parts_come_back_as_one(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        saved = save(tmp_path, step)
    assert files(tmp_path) == [
        f"step-0000000{step}{part}.safetensors"
        for step in (2, 3)
        for part in (".part-0-of-2", ".part-1-of-2", "")
    ]
    found = latest_checkpoint(tmp_path, saved, "run")
    assert found is not None and found.step == 3
    assert distance(found.tree, saved) == 0


@pytest.mark.parametrize("damage", ["missing", "torn", "of another run"])
def test_a_step_without_one_of_its_parts_is_passed_over(tmp_path: Path, damage: str) -> None:
    before = save(tmp_path, 1)
    save(tmp_path, 2)
    path = tmp_path / "step-00000002.part-1-of-2.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        u = np.zeros((3, 2))
        save_part(tmp_path, 2, Part({"['u']": u}, {"['u']": (3, 0)}, 1, 2, "b"))
    with pytest.warns(UserWarning, match="passed over a damaged checkpoint, going back to step 1"):
        found = latest_checkpoint(tmp_path, before, "run")
    assert found is not None and distance(found.tree, before) == 0


def test_an_unfinished_step_removes_none_that_is_whole(tmp_path: Path) -> None:
    """The first process wrote its files of step 3 while the other still writes."""
    for step in (1, 2):
        save(tmp_path, step)
    part = Part({"['u']": np.zeros((3, 2))}, {"['u']": (0, 0)}, 0, 2, "a")
    for step in (3, 4):
        save_part(tmp_path, step, part)
        save_checkpoint(tmp_path, step, {"w": np.zeros(3)}, {}, "run", part=part)
    kept = {int(name[5:13]) for name in files(tmp_path)}
    assert {1, 2} <= kept


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sweep", "bcd"])
def test_a_run_goes_on_with_another_number_of_devices(tmp_path: Path, method: str) -> None:
    network, chosen = NETWORKS["mlp"], METHODS[method]
    whole = train(network, chosen, None)

    def stop(history, params):
        return history.last["epoch"] == 5

    for where in (mesh(8), None, mesh(2)):
        save = liftax.Checkpoints(tmp_path, resume=True)
        more = {"callback": stop} if where is not None and len(where.devices) == 8 else {}
        found = train(network, chosen, where, checkpoints=save, **more)
    assert found.steps == whole.steps
    assert found.history["epoch"].tolist() == whole.history["epoch"].tolist()
    assert distance(found.params, whole.params) < 1e-5


def test_a_full_disk_is_named_and_leaves_what_was_saved(tmp_path: Path) -> None:
    network, chosen = NETWORKS["mlp"], METHODS["sweep"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(history, params):
        if history.last["epoch"] == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))

    try:
        with pytest.raises(
            OSError, match=r"checkpoints: cannot write to .* \(File too large\); th"
        ):
            train(network, chosen, None, checkpoints=liftax.Checkpoints(tmp_path), callback=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # The third may have been on its way to the disk; no file is half-written.
    whole = [f"step-0000000{step}.safetensors" for step in (2, 4, 6)]
    assert files(tmp_path) in (whole[:2], whole[1:])
    resumed = train(network, chosen, None, checkpoints=liftax.Checkpoints(tmp_path, resume=True))
    whole = train(network, chosen, None)
    assert all(map(np.array_equal, *(jax.tree.leaves(r.params) for r in (resumed, whole))))


class _ReadOnly:
    """`os` and `pathlib` on a folder whose file system is mounted read-only, as root sees it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder, self.on = str(folder), False
        for module, name in ((io, "open"), (os, "replace"), (os, "unlink"), (os, "mkdir")):
            monkeypatch.setattr(module, name, self._guarded(getattr(module, name)))

    def _guarded(self, call: Any) -> Any:
        def guarded(path: Any, *args: Any, **more: Any) -> Any:
            reads = call is io_open and (args or [more.get("mode", "r")])[0] in ("r", "rb")
            if self.on and not reads and str(path).startswith(self.folder):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return call(path, *args, **more)

        return guarded


io_open = io.open


def test_a_folder_that_becomes_read_only_is_named_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the third epoch; the run then goes on from what was saved, when it may write again."""
    network, chosen, folder = NETWORKS["mlp"], METHODS["sweep"], tmp_path / "saved"
    mounted = _ReadOnly(folder, monkeypatch)

    def remount(history, params):
        mounted.on = history.last["epoch"] >= 3

    with pytest.raises(
        OSError, match=r"cannot write to .*saved' \(Read-only file system\); the checkpoints before"
    ):
        train(network, chosen, None, checkpoints=liftax.Checkpoints(folder), callback=remount)
    held = {path.name: path.read_bytes() for path in folder.iterdir()}
    # The third was perhaps on its way to the disk.
    assert "step-00000004.safetensors" in held
    saved = liftax.Checkpoints(folder, resume=True)
    with pytest.raises(
        ValueError, match=r"checkpoints.folder: cannot write to the folder .*Read-only file system"
    ):
        train(network, chosen, None, checkpoints=saved)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == held
    mounted.on = False
    resumed, whole = (train(network, chosen, None, checkpoints=c) for c in (saved, None))
    assert all(map(np.array_equal, *(jax.tree.leaves(r.params) for r in (resumed, whole))))


def test_as_many_checkpoints_stay_as_asked(tmp_path: Path) -> None:
    save = liftax.Checkpoints(tmp_path, keep=3)
    train(NETWORKS["mlp"], METHODS["sweep"], None, checkpoints=save)
    assert [int(name[5:13]) for name in files(tmp_path)] == [16, 18, 20]
    with pytest.raises(ValueError, match="keep must be at least 1 checkpoint, got 0; 2 is usual"):
        liftax.Checkpoints(tmp_path, keep=0)
