"""The idx reader: every type, and everything that can be wrong with a file."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liftax.data import read_idx
from liftax.data._idx import read_content

from .idx_files import CODES, idx


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("kind", CODES)
def test_reads_every_type(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    array = np.array([[[1, 2, 3], [4, 5, 100]]])
    (tmp_path / "a").write_bytes(pack(idx(array, kind)))
    found = read_idx(tmp_path / "a")
    assert found.dtype == np.dtype(kind).newbyteorder("=") and found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_reads_more_than_one_buffer(tmp_path: Path) -> None:
    """Contents around the size of the longest header, which is read first."""
    for size in (1, 1012, 1015, 1016, 1017, 100_000):
        array = np.arange(size) % 251
        (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array)))
        np.testing.assert_array_equal(read_idx(tmp_path / "a.gz"), array)


WHOLE = idx(np.arange(2000).reshape(2, 1000) % 256)
SMALL = idx(np.arange(5))
HUGE = bytes([0, 0, 8, 3]) + np.asarray([2**16, 2**10, 2**10], ">u4").tobytes()


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole: b"", "is empty; get it anew"),
        (lambda whole: whole[:3], "is cut off within its header"),
        (lambda whole: whole[:6], "is cut off within its header"),
        (lambda whole: whole[:-1], r"is cut off: [\d,]+ of [\d,]+ bytes"),
        (lambda whole: whole + b"\0", "has bytes after its [0-9,]+;"),
        (lambda whole: b"\x89PNG" + whole, "no idx file: it starts with 89 50 4e 47, not with 00"),
        (lambda whole: b"\0\0\x0a\x01" + whole, "no idx file: it starts with 00 00 0a 01"),
        (lambda whole: b"\0\0\x08\x00" + whole, "no idx file: it starts with 00 00 08 00"),
        (lambda whole: HUGE, r"announces 68,719,476,752 bytes, more than 2,147,483,648; get"),
    ],
)
def test_damage_is_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], words: str, small: bool
) -> None:
    whole = damage(SMALL if small else WHOLE)
    for name, raw in (("a", whole), ("a.gz", gzip.compress(whole))):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=rf"^'.*/{name}' {words}|^'.*/{name}' is {words}"):
            read_idx(tmp_path / name)


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    path, packed = tmp_path / "a.gz", gzip.compress(WHOLE)
    wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    for raw, words in (
        (packed[:-4], "is cut off: its gzip trailer is missing"),
        (packed[:-60], r"is cut off: [\d,]+ of 2,012 bytes"),
        (packed[:5], "is empty"),
        (packed + b"more", "has 4 bytes after its gzip trailer"),
        (wrong_sum, r"is damaged \(.*incorrect data check\)"),
        (packed[:2] + b"\xff" * 30, r"is damaged \("),
    ):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=rf"a\.gz' {words}.*; get it anew$"):
            read_idx(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """64 MiB that say they are 5 bytes cost no more than those."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(SMALL + bytes(64 << 20), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="has bytes after its 13"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**31 + 2**22)
    with pytest.raises(ValueError, match="is larger than 2,147,483,648 bytes; get it anew or spl"):
        read_idx(path)
    path.write_bytes(WHOLE)
    with pytest.raises(ValueError, match="is larger than 100 bytes"):
        read_content(path, 100)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^there is no file '.*/absent'; check the path$"):
        read_idx(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\); give a readable idx"):
        read_idx(tmp_path)
