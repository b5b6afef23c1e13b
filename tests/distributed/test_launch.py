"""Several processes on one machine: the same numbers, and what happens when one fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liftax._commands import launch
from liftax.training import load_model

from .test_mesh import distance

SCRIPT = Path(__file__).with_name("launched.py")


def start(
    folder: Path, method: str, fault: str = "", processes: int = 2, devices: int = 2
) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "liftax.cli", "launch", str(SCRIPT), str(folder), method]
    numbers = ["-n", str(processes), "--devices-per-process", str(devices), "--patience", "5"]
    return subprocess.Popen(
        [*command, fault, *numbers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
    )


def model(folder: Path) -> dict:
    return load_model(folder / "model.safetensors")[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bcd", "sweep"])
def test_two_processes_with_four_devices_give_the_parameters_of_one(
    tmp_path: Path, method: str
) -> None:
    for name, numbers in (("one", (1, 1)), ("two", (2, 4))):
        out, errors = (run := start(tmp_path / name, method, "", *numbers)).communicate(timeout=200)
        assert run.returncode == 0, errors
        said = sorted(line for line in out.splitlines() if line.endswith("steps"))
        if method == "bcd" and numbers == (2, 4):
            assert "[1] read rows 32 to 63" in out
        assert said == [f"[{k}] 20 steps" for k in range(numbers[0])]
    assert distance(model(tmp_path / "two"), model(tmp_path / "one")) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words", "seconds"),
    [
        ("SIGKILL", "process 1 was ended by SIGKILL; the other processes are stopped", 4),
        ("SIGSTOP", "process 1 has given no sign of life for 5 seconds: it is stopped or fro", 9),
        ("raise", "process 1 ended with the exit code 1; the other processes are stopped", 4),
    ],
)
def test_a_lost_process_ends_the_others_and_one_process_goes_on_alone(
    tmp_path: Path, fault: str, words: str, seconds: float
) -> None:
    folder = tmp_path / "run"
    run = start(folder, "bcd", fault)
    assert run.stdout is not None
    while "[1] epoch 3" not in run.stdout.readline():
        assert run.poll() is None
    begin = time.monotonic()
    _, errors = run.communicate(timeout=100)
    assert time.monotonic() - begin < seconds
    assert run.returncode == 1 and f"liftax: {words}" in errors, errors
    assert ("something is wrong here" in errors) == (fault == "raise")
    for where, numbers in ((folder, (1, 4)), (tmp_path / "whole", (2, 2))):
        _, errors = (run := start(where, "bcd", "", *numbers)).communicate(timeout=200)
        assert run.returncode == 0, errors
    assert distance(model(folder), model(tmp_path / "whole")) < 1e-5


@pytest.mark.slow
def test_sigterm_saves_in_all_processes(tmp_path: Path) -> None:
    run = start(tmp_path / "run", "bcd", "wait")
    assert run.stdout is not None and "epoch 3" in run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 143, errors
    assert "[0] liftax: SIGTERM: saved step " in errors and "resume=True) to go on" in errors
    for where in ("run", "whole"):
        _, errors = (run := start(tmp_path / where, "bcd")).communicate(timeout=200)
        assert run.returncode == 0, errors
    assert distance(model(tmp_path / "run"), model(tmp_path / "whole")) == 0


@pytest.mark.slow
def test_three_processes_train_without_waiting_for_each_other(tmp_path: Path) -> None:
    """Four batches, two processes of which one sleeps 10 ms after each gradient."""
    out, errors = (run := start(tmp_path, "piag", "", 3, 1)).communicate(timeout=200)
    assert run.returncode == 0, errors
    first, last, delay = map(float, out.splitlines()[0].split()[1:4])
    assert last < first and 3 < delay <= 12
    models = [load_model(tmp_path / f"model-{k}.safetensors")[0] for k in range(3)]
    assert distance(models[1], models[0]) == distance(models[2], models[0]) == 0


def test_misuse_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"script: there is no file '.*x\.py'; check it"):
        launch(tmp_path / "x.py", [], 2, 1, 15)
    with pytest.raises(ValueError, match=r"n and devices-per-process must be at least 1 .* got 0"):
        launch(SCRIPT, [], 0, 1, 15)
