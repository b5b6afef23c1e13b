"""Fuzz every reader with atheris, led by the lines of liftax and of the decoders that are reached.

``python -m fuzz.run --seconds 3600 --out runs/fuzz`` gives every reader an equal share, keeps the
inputs that crashed, and writes ``fuzzing.json`` with the counts. It needs the extra ``fuzz``.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

_MEGABYTES, _SECONDS = 3000, 30  # of one input
_DECODERS = ["liftax", "onnx", "PIL", "tifffile", "png", "zipfile", "gzip", "numpy.lib", "fuzz"]


def one(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one reader in this process; it ends by an exit."""
    import atheris

    with atheris.instrument_imports(include=_DECODERS, enable_loader_override=False):
        from fuzz.readers import READERS, changed

        READERS[name].seeds(Path(tempfile.mkdtemp()))  # imports its decoders, which are led too

    reader, work = READERS[name], Path(tempfile.mkdtemp())
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for place, content in enumerate(reader.seeds(work)):
        (corpus / f"seed{place}").write_bytes(content)

    def mutate(content: bytes, longest: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            return atheris.Mutate(content, longest)
        return changed(content, reader.mutation, random)[:longest]

    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={_MEGABYTES}", f"-timeout={_SECONDS}"]
    kept = f"-artifact_prefix={folder}/crash-{name}-"
    arguments = [sys.argv[0], *limits, kept, "-max_len=65536", "-print_final_stats=1", str(corpus)]
    atheris.Setup(arguments, lambda raw: reader.check(raw, work) and None, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> None:
    """One process a reader, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.one:
        one(given.one, given.seconds, given.out)
        return
    from fuzz.readers import READERS

    names = given.only or list(READERS)
    share, found = given.seconds // len(names), {}
    for name in names:
        command = [sys.executable, "-m", "fuzz.run", "--one", name, "--seconds", str(share)]
        begin, log = time.monotonic(), given.out / f"{name}.log"
        with log.open("w") as file:
            done = subprocess.run([*command, "--out", str(given.out)], stdout=file, stderr=file)
        text = log.read_text(errors="replace")
        counts = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
        counts = counts or re.findall(r"^#(\d+)", text, re.MULTILINE)
        found[name] = {
            "inputs": int(counts[-1]) if counts else 0,
            "seconds": round(time.monotonic() - begin),
            "ended": "in time" if done.returncode == 0 else f"with {done.returncode}",
            "peak_mb": int((re.findall(r"stat::peak_rss_mb:\s*(\d+)", text) or ["0"])[-1]),
        }
        print(name, found[name], flush=True)
        (given.out / "fuzzing.json").write_text(json.dumps(found, indent=1) + "\n")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{usage.ru_utime + usage.ru_stime:.0f} s of processor time")
    sys.exit(any(f["ended"] != "in time" for f in found.values()))


if __name__ == "__main__":
    main()
