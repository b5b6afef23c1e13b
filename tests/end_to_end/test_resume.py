"""A run that is killed and started again ends bit-identical to one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from liftax.training import load_model

SCRIPT = Path(__file__).with_name("killed.py")


def start(method: str, pause: float, *folders: Path, epochs: int = 6) -> subprocess.Popen:
    for folder in folders:
        folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), method, str(pause), *map(str, folders)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Each process would compile the same programs.
        env={
            **os.environ,
            "EPOCHS": str(epochs),
            "JAX_COMPILATION_CACHE_DIR": str(folders[0].parent / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    "method",
    [
        "sweep",
        pytest.param("implicit", marks=pytest.mark.slow),
        pytest.param("bcd", marks=pytest.mark.slow),
        pytest.param("streamed", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_resumes_bit_identical(tmp_path: Path, method: str) -> None:
    broken = start(method, 0.5, tmp_path / "broken")
    assert broken.stdout is not None
    # The kill comes after a random epoch, at a random moment of the pause or of the steps after it.
    rng = random.Random(method)
    for _ in range(rng.randint(1, 4)):
        assert broken.stdout.readline()
    time.sleep(rng.uniform(0, 0.6))
    os.kill(broken.pid, signal.SIGKILL)
    broken.communicate()
    assert broken.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    # The run that resumes, and after it one that is not disturbed.
    finish(start(method, 0.0, tmp_path / "broken", tmp_path / "whole"))
    assert_equal(tmp_path)


def assert_equal(tmp_path: Path) -> None:
    """Parameters, and the losses of every epoch, of the broken and the whole run, bit by bit."""
    whole, _ = load_model(tmp_path / "whole" / "model.safetensors")
    resumed, _ = load_model(tmp_path / "broken" / "model.safetensors")
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array.view(np.uint8), resumed[name].view(np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sweep", "streamed"])
def test_thirty_kills_lose_and_double_nothing(tmp_path: Path, method: str) -> None:
    """At random moments: while it starts, between steps, while a checkpoint is written."""
    rng = random.Random(0)
    for _ in range(30):
        broken = start(method, 0.02, tmp_path / "broken", epochs=400)
        assert broken.stdout is not None
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, 2))
        else:
            assert broken.stdout.readline()
            time.sleep(rng.uniform(0, 0.4))
        os.kill(broken.pid, signal.SIGKILL)
        broken.communicate()
        assert broken.returncode == -signal.SIGKILL
    finish(start(method, 0.0, tmp_path / "broken", tmp_path / "whole", epochs=400))
    assert_equal(tmp_path)


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = start("sweep", 0.2, tmp_path / "broken")
    assert run.stdout is not None and run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 143
    folder = tmp_path / "broken" / "checkpoints"
    assert "liftax: SIGTERM: saved step " in errors
    assert f"run the same program with liftax.Checkpoints('{folder}', resume=True)" in errors
    finish(start("sweep", 0.0, tmp_path / "broken", tmp_path / "whole"))
    assert_equal(tmp_path)
