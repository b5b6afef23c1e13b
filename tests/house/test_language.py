"""One loop, no unfinished or skipped work, errors that are tested by their words."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

from tests.house.sources import ROOT, SOURCE, TESTS, calls, dotted, place, python_files, tree

LOOPS = {"scan", "while_loop", "fori_loop", "map", "associative_scan"}
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
LEAVING_OUT = {"skip", "skipif", "xfail", "importorskip"}

# Folders of one machine: a path that starts there means nothing elsewhere.
FOLDERS = ("home", "root", "tmp", "var", "opt", "mnt", "srv", "work", "Users", "Volumes")
LOCAL_PATH = re.compile(rf"(?<![\w.~:/$*)}}\]])/(?:{'|'.join(FOLDERS)})/\w")
OUTWARDS = re.compile(r"(?<![\w/.])((?:\.\./)+)(?=[\w.])")


def committed() -> list[Path]:
    """The text files that git knows of or would add; the Python files where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return python_files(SOURCE, TESTS)
    binary = {".npz", ".png", ".jpg", ".ico", ".safetensors"}
    files = (ROOT / name for name in listed.stdout.splitlines())
    return [path for path in files if path.is_file() and path.suffix not in binary]


def test_the_one_loop() -> None:
    loops = [
        f"{place(path, node)} {name}"
        for path in python_files(SOURCE)
        if path.name != "_iterate.py"
        for name, node in calls(path)
        if name.split(".")[-1] in LOOPS and name.split(".")[-2:-1] == ["lax"]
    ]
    taken = [
        place(path, node)
        for path in python_files(SOURCE)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        and node.module == "jax.lax"
        and LOOPS & {alias.name for alias in node.names}
    ]
    assert not loops + taken


def test_errors_are_tested_by_their_words() -> None:
    wordless = [
        place(path, node)
        for path in python_files(TESTS)
        for name, node in calls(path)
        if name in {"pytest.raises", "pytest.warns"}
        and "match" not in {keyword.arg for keyword in node.keywords}
    ]
    assert not wordless


def test_nothing_is_left_out() -> None:
    left_out = [
        place(path, node)
        for path in python_files(SOURCE, TESTS)
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Name) and node.id == "NotImplementedError")
        or (
            isinstance(node, ast.Attribute)
            and node.attr in LEAVING_OUT
            and (dotted(node) or "").startswith("pytest.")
        )
    ]
    assert not left_out


def test_nothing_is_put_off() -> None:
    put_off = []
    for path in python_files(SOURCE, TESTS):
        text = io.StringIO(path.read_text(encoding="utf-8"))
        put_off += [
            f"{place(path)}:{token.start[0]}"
            for token in tokenize.generate_tokens(text.readline)
            if token.type == tokenize.COMMENT and UNFINISHED.search(token.string)
        ]
    assert not put_off


def test_no_path_of_one_machine() -> None:
    """Neither absolute paths nor relative ones that leave the project."""
    bad = []
    for path in committed():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            leaves = any(
                not (path.parent / steps).resolve().is_relative_to(ROOT)
                for steps in OUTWARDS.findall(line)
            )
            if leaves or LOCAL_PATH.search(line):
                bad.append(f"{place(path)}:{number}")
    assert not bad
