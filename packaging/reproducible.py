"""Builds wheel and sdist twice, in different folders, and compares the bytes.

``python packaging/reproducible.py`` ends with 1 if they differ, or if a wheel lacks its types. The
time in the archives is that of the last commit, unless SOURCE_DATE_EPOCH says another.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "runs", "site", "dist", "__pycache__", ".*cache"
)


def epoch() -> str:
    """Seconds of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return (
        given or subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    )


def build(folder: Path) -> list[Path]:
    """Wheel and sdist of a copy of the project in this folder."""
    source, out = folder / "source", folder / "dist"
    shutil.copytree(ROOT, source, ignore=_LEFT_OUT)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return sorted(out.iterdir())


def complete(path: Path) -> list[str]:
    """What a wheel or sdist lacks."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        wanted = ("liftax/py.typed", "liftax/data/digits.npz", "METADATA", "licenses/LICENSE")
    else:
        with tarfile.open(path) as archive:
            names = archive.getnames()
        wanted = (
            "src/liftax/py.typed",
            "pyproject.toml",
            "LICENSE",
            "constraints.txt",
            "README.md",
        )
    return [name for name in wanted if not any(found.endswith(name) for found in names)]


def main() -> None:
    """Build, compare, say so."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        built = [build(Path(folder)) for folder in (first, second)]
        wrong = 0
        for a, b in zip(*built, strict=True):
            codes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (a, b)]
            lacking = complete(a)
            same = a.name == b.name and codes[0] == codes[1]
            wrong += not same or bool(lacking)
            said = "the same bytes twice" if same else "DIFFERENT"
            print(f"{a.name}: {a.stat().st_size:,} bytes, {codes[0][:16]}, {said}")
            if lacking:
                print(f"{a.name} lacks {', '.join(lacking)}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
