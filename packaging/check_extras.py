"""Installs the wheel with every extra, one at a time, into an empty environment, and uses it.

``python packaging/check_extras.py`` takes about ten minutes, and much disk for PyTorch;
``--only sklearn onnx`` takes some. Versions are those of constraints.txt; ``--newest`` takes what
the index has.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TRAIN = "d = liftax.data.load('digits'); n = liftax.mlp([64, 16, 10], output='softmax');"
_FIT = f"{_TRAIN} r = liftax.fit(n, d, liftax.OneSweep(optax.adam(1e-2)), epochs=1, batch_size=50);"
# What each extra is for, used once. All run in an empty folder.
USES = {
    "": f"import liftax, optax; {_FIT} assert r.history.last['validation_accuracy'] > 0.5",
    "imaging": (
        "import numpy as np; from liftax.imaging import read_image, write_image;"
        "names = [(k, f'a{k}.{s}') for k in (8, 16) for s in ('png', 'tif')];"
        "[write_image(name, np.ones((4, 4)) / 2, k) for k, name in names];"
        "assert all(abs(read_image(name) - 0.5).max() < 0.01 for _, name in names)"
    ),
    "experiments": (
        "from liftax.cli import main; import sys;"
        "sys.argv = ['liftax', 'reproduce', 'conditioning', '--quick', '--out', 'run'];"
        "main(); from pathlib import Path; assert Path('run/report.html').stat().st_size > 1000"
    ),
    "photographs": (
        "import skimage.data, sklearn.datasets, pywt; from liftax.imaging import crop;"
        "assert crop(skimage.data.camera()[..., None].astype('float32'), 64).shape == (64, 64, 1)"
    ),
    "onnx": (
        "import liftax, jax; from liftax.exporting import to_onnx;"
        "from liftax.importing import from_onnx; n = liftax.mlp([3, 4, 2]);"
        "to_onnx('a.onnx', n, n.init(jax.random.key(0))); from_onnx('a.onnx')"
    ),
    "sklearn": (
        "from sklearn.datasets import load_digits; from liftax.estimators import LiftedClassifier;"
        "x, y = load_digits(return_X_y=True);"
        "assert LiftedClassifier((16,), max_iter=5).fit(x / 16, y).score(x / 16, y) > 0.7"
    ),
    "tensorboard": (
        f"import liftax, optax; from liftax.training import TensorBoard; {_TRAIN}"
        "liftax.fit(n, d, liftax.OneSweep(optax.adam(1e-2)), epochs=1, batch_size=50,"
        " callback=[TensorBoard('events')]); import os; assert os.listdir('events')"
    ),
    "torch": (
        "from torch import nn; from liftax.importing import from_torch;"
        "from_torch(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (3,))"
    ),
    "browser": "import pytest, liftax; from playwright.sync_api import sync_playwright",
    "docs": "import mkdocs, material, mkdocstrings, latex2mathml",
    "fuzz": "import atheris, hypothesis, liftax",
    "test": "import pytest, hypothesis, pandas, onnxruntime, scipy, skimage, yaml, liftax",
    "dev": "import pyright, mkdocs, pytest, liftax",
}


def extras() -> list[str]:
    """Names of the extras in pyproject.toml, and "" for none."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return ["", *content["project"]["optional-dependencies"]]


def check(extra: str, wheel: Path, newest: bool) -> tuple[bool, str]:
    """Install and use; whether it went well, and the last line otherwise."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    if not newest:
        environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/venv/bin/python"
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True)
        wanted = f"liftax[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        steps = [
            [python, "-m", "pip", "install", "-q", wanted],
            [python, "-m", "pip", "check"],
            [python, "-c", USES[extra]],
        ]
        for step in steps:
            done = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()
                return False, said[-1] if said else f"ended with {done.returncode}"
    return True, ""


def main() -> None:
    """All of them, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--newest", action="store_true")
    given = parser.parse_args()
    missing = set(extras()) - set(USES)
    if missing:
        sys.exit(f"no use is known here for {', '.join(missing)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(ROOT)]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("liftax-*.whl")
        for extra in extras() if given.only is None else given.only:
            begin = time.monotonic()
            good, why = check(extra, wheel, given.newest)
            failed += not good
            seconds = time.monotonic() - begin
            free = shutil.disk_usage(folder).free >> 30
            print(
                f"{extra or '(none)'}: {'good' if good else why}, {seconds:.0f} s, {free} GiB free"
            )
            sys.stdout.flush()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
