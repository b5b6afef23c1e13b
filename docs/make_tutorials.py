"""Runs the tutorials and keeps the pictures that they end in: ``python docs/make_tutorials.py``.

The blocks of ``docs/tutorials/NAME.md`` run in an empty folder; what they write as ``NAME.png`` or
``NAME.jpg`` becomes ``docs/images/tutorial-NAME.png``. Names behind the command choose some.
"""

import contextlib
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
LARGEST = 60_000  # bytes of a picture
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"\]\(\.\./images/tutorial-(\S+?)\)")


def shown(page: Path) -> list[str]:
    """Names of the pictures that a tutorial shows, as its blocks write them."""
    return _SHOWN.findall(page.read_text(encoding="utf-8"))


def main(names: list[str]) -> None:
    """Each in a folder of its own."""
    for page in sorted((HERE / "tutorials").glob("*.md")):
        if names and page.stem not in names:
            continue
        begin, text = time.perf_counter(), page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            scope = {"__name__": "__main__"}
            for match in _BLOCK.finditer(text):
                blank = "\n" * text.count("\n", 0, match.start(1))
                exec(compile(blank + match[1], page, "exec"), scope)
            for name in shown(page):
                if Path(name).stat().st_size > LARGEST:
                    raise ValueError(f"{page.name}: {name} has more than {LARGEST} bytes")
                shutil.copy(name, HERE / "images" / f"tutorial-{name}")
        print(f"{page.stem}: {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
