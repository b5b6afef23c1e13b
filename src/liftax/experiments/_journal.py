"""Finished runs on disk, so that a killed experiment goes on where it stopped."""

import json
import shutil
import zlib
from collections import deque
from pathlib import Path
from typing import Any

from liftax._files import plain, write_text

_FOLDER = "checkpoints.part"
Rows = list[dict[str, Any]]


class Journal:
    """One line per finished run: its labels and its history.

    The first line holds the settings and a checksum of the library; a journal with another one
    starts anew. Runs come back in the order in which they were written.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self._known: dict[str, deque[Rows]] = {}
        head = json.dumps({"settings": plain(settings), "library": _checksum()}, sort_keys=True)
        self._head = head
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []
        whole = []
        for line in lines[1:] if lines[:1] == [head] else []:
            try:
                entry = json.loads(line)
                key, rows = _key(entry["labels"]), list(entry["rows"])
            except (ValueError, TypeError, KeyError, RecursionError):  # killed while it wrote
                break
            whole.append(line)
            self._known.setdefault(key, deque()).append(rows)
        write_text(path, "".join(line + "\n" for line in [head, *whole]))

    def find(self, labels: dict[str, Any]) -> Rows | None:
        """The history of a run of an earlier process, once."""
        found = self._known.get(_key(labels))
        return found.popleft() if found else None

    def add(self, labels: dict[str, Any], rows: Rows) -> None:
        """Write a run down."""
        with self.path.open("a", encoding="utf-8") as file:
            # Unlike the published files this one may hold NaN, and gives it back.
            file.write(json.dumps({"labels": plain(labels), "rows": rows}) + "\n")

    def folder(self, labels: dict[str, Any]) -> Path:
        """Where the run of these labels may keep its checkpoints: another one for other settings."""
        code = zlib.crc32((self._head + _key(labels)).encode())
        return self.path.with_name(_FOLDER) / f"{code:08x}"

    def close(self) -> None:
        """The experiment is complete: remove the file and the checkpoints."""
        self.path.unlink(missing_ok=True)
        shutil.rmtree(self.path.with_name(_FOLDER), ignore_errors=True)


def _key(labels: dict[str, Any]) -> str:
    return json.dumps(plain(labels), sort_keys=True)


def _checksum() -> str:
    """Of the library's sources, experiments left out."""
    root = Path(__file__).parents[1]
    files = sorted(p for p in root.rglob("*.py") if "experiments" not in p.parts)
    code = 0
    for file in files:
        code = zlib.crc32(file.read_bytes(), code)
    return f"{code:08x}"
