"""Plausible mistakes, one at a time: the named test must catch each. Run it by `make mutants`.

Every fault is put into a copy of src and tests. It counts as caught if its test fails (not if it
cannot be run); a fault whose old text does not stand exactly once in its file is an error.
"""

import argparse
import concurrent.futures
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

if __package__ is None:
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fault import Fault
from tests.faults import FAULTS

ROOT = Path(__file__).parents[1]
# A fault leaves most programs as they are; they are found by content, and copies share them.
PROGRAMS = {
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "programs"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
# JAX does not write its files atomically: a half-written one is reported and compiled anew.
UNREAD = "ignore:Error reading persistent compilation cache entry:UserWarning"
LONGEST = 300  # seconds a test may take; a fault that makes it hang is caught
CAUGHT = 1  # pytest's exit code for failed tests


class Outcome(NamedTuple):
    """What became of a fault, and after how many seconds."""

    fault: Fault
    words: str
    seconds: float


def copy_to(folder: Path) -> Path:
    """Source, tests and settings."""
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def pytest_in(folder: Path, longest: float, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy, slow ones too, against the source of that copy."""
    paths = os.pathsep.join([str(folder / "src"), str(folder)])
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-W", UNREAD]
    return subprocess.run(
        [*command, "-m", "slow or not slow", *arguments],
        cwd=folder,
        env={**os.environ, **PROGRAMS, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=longest,
    )


def tried(fault: Fault, folder: Path) -> str:
    """ "caught", or what is wrong."""
    path = folder / "src" / "liftax" / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return f"OUT OF DATE: the old text stands {text.count(fault.old)} times in the file"
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        done = pytest_in(folder, LONGEST, "-n0", f"tests/{fault.test}")
    except subprocess.TimeoutExpired:
        return "caught (it hung)"
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode == CAUGHT:
        return "caught"
    if done.returncode == 0:
        return f"SURVIVED {fault.test}"
    return f"NOT RUN: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ''}"


def attempt(fault: Fault, folders: "queue.Queue[Path]") -> Outcome:
    """Try a fault in a copy that nobody uses."""
    start, folder = time.monotonic(), folders.get()
    try:
        return Outcome(fault, tried(fault, folder), time.monotonic() - start)
    finally:
        folders.put(folder)


def unharmed(folder: Path, faults: list[Fault], jobs: int) -> bool:
    """Whether all named tests pass without a fault."""
    named = sorted({f"tests/{fault.test}" for fault in faults})
    print(f"{len(faults)} faults, {len(named)} tests; first without a fault", flush=True)
    found = pytest_in(folder, LONGEST, "-n0", "--collect-only", *named)
    if found.returncode:
        print(found.stdout[-2000:], found.stderr)
        return False
    try:
        done = pytest_in(folder, LONGEST * len(named), "-n", str(jobs), *named)
    except subprocess.TimeoutExpired:
        print("the tests take too long")
        return False
    print(done.stdout.strip().splitlines()[-1], flush=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode == 0


def main() -> int:
    """Try all faults, or those whose file or text contains a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*", help="only faults whose file or text contains one")
    given = parser.parse_args()
    faults = [
        f for f in FAULTS if not given.words or any(w in f"{f.file} {f.new}" for w in given.words)
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        copies = [copy_to(Path(temporary) / str(job)) for job in range(given.jobs)]
        if not unharmed(copies[0], faults, given.jobs):
            return 1
        folders: queue.Queue[Path] = queue.Queue()
        for copy in copies:
            folders.put(copy)
        outcomes = []
        with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
            running = [pool.submit(attempt, fault, folders) for fault in faults]
            for number, future in enumerate(concurrent.futures.as_completed(running), start=1):
                fault, words, seconds = future.result()
                outcomes.append(words)
                line = f"{fault.file}: {fault.new.strip().splitlines()[0]}"
                print(f"{number:3}/{len(faults)} {seconds:5.1f} s {words}  {line}", flush=True)
    bad = sum(not words.startswith("caught") for words in outcomes)
    print(f"{len(outcomes) - bad} of {len(outcomes)} faults were caught")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
