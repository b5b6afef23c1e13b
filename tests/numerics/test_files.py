"""Files are complete or absent."""

import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from liftax._files import (
    atomic_folder,
    atomic_write,
    plain,
    replaceable,
    writable_folder,
    write_json,
    write_text,
)


def test_replaces_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="stop"), atomic_write(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    write_text(path, "new ψ")
    assert path.read_text(encoding="utf-8") == "new ψ"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.txt"), atomic_write(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match=r"a\.txt"):
        write_text(tmp_path / "a.txt", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_is_strict_sorted_and_exact(tmp_path: Path) -> None:
    tree = {"b": [float("nan"), np.inf, 0.1], "a": {2: (1, None, True)}, "c": np.float32(0.5)}
    write_json(tmp_path / "a.json", tree)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": {"2": [1, None, True]}, "b": [None, None, 0.1], "c": 0.5}
    assert list(json.loads(text)) == ["a", "b", "c"] and text.endswith("}\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.arange(3), [0, 1, 2]),
        (np.array([[1.5, np.nan]]), [[1.5, None]]),
        (jnp.asarray(2.0, jnp.bfloat16), 2.0),
        (np.float64(-np.inf), None),
        (np.bool_(True), True),
        (Path("x"), "x"),
        (np.dtype("float32"), "float32"),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_writable_folder_creates_parents_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = writable_folder(tmp_path / "a" / "b", "out")
    assert folder == tmp_path / "a" / "b"
    assert writable_folder(str(folder), "out") == folder
    assert folder.is_dir() and not list(folder.iterdir())


def test_unwritable_folders_name_the_argument_and_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"^out: '.*file' is a file; give a folder, or remove"):
        writable_folder(tmp_path / "file", "out")
    with pytest.raises(ValueError, match=r"^out: cannot write .*file/below' \(Not a directory\); "):
        writable_folder(tmp_path / "file" / "below", "out")
    with pytest.raises(ValueError, match=r"^out: the name of the folder is empty; give a path$"):
        writable_folder("", "out")
    with pytest.raises(ValueError, match=r"^out: cannot write .* \(embedded null byte\); give an"):
        writable_folder("a\0b", "out")


def test_a_folder_that_refuses_files_is_found_by_writing() -> None:
    """Mode bits do not bind root, but nobody can make a file in /proc."""
    with pytest.raises(ValueError, match=r"^out: cannot write to the folder '/proc' \("):
        writable_folder("/proc", "out")


def test_a_folder_whose_new_name_is_refused_keeps_its_content(tmp_path: Path, monkeypatch) -> None:
    """The second of the two renames fails: the old folder gets its name back."""
    out = tmp_path / "out"
    with atomic_folder(out, ["a"]) as folder:
        (folder / "a").write_text("old")

    def rename(source: Path, target: Path, replace=os.replace) -> None:
        if source.name.endswith(".tmp"):
            raise OSError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", rename)
    with pytest.raises(OSError, match="Permission denied"), atomic_folder(out, ["a"]) as folder:
        (folder / "a").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (out / "a").read_text() == "old"
    with pytest.raises(ValueError, match="holds other things, such as 'a'; give a new one"):
        replaceable(out, ["b"])
