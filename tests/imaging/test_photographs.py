"""Photographs from folders, and patches of them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftax.imaging import cached_patches, crop, patches, photographs, write_image
from liftax.imaging._photographs import resources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A textured, a smooth, a small and a damaged picture."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    place = tmp_path / "own"
    (place / "deeper").mkdir(parents=True)
    write_image(place / "b.png", rng.uniform(size=(64, 96, 3)))
    write_image(place / "deeper" / "a.png", np.full((64, 64), 0.4))
    write_image(place / "c.png", rng.uniform(size=(20, 20)))
    (place / "d.png").write_bytes(b"no picture")
    (place / "notes.txt").write_text("no picture either")
    return place


def test_a_folder_is_read_in_order(folder: Path) -> None:
    found = [p.relative_to(folder).as_posix() for p in photographs(folder)]
    assert found == ["b.png", "c.png", "d.png", "deeper/a.png"]


def test_patches_are_textured_squares(folder: Path) -> None:
    with pytest.warns(UserWarning, match="passed over: .*d.png is damaged"):
        found = patches(photographs(folder), 16, 64)
    assert found.shape == (4 * 6, 16, 16, 1)
    assert found.dtype == np.uint8
    # At their own size pixels stay what they are.
    grey = np.asarray(Image.open(folder / "b.png"), np.float32) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(found[7, ..., 0], grey[16:32, 16:32], atol=0.51)
    with pytest.warns(UserWarning, match="passed over"):
        assert patches(photographs(folder), 16, 64, grey=False).shape[-1] == 3


def test_patches_are_kept(folder: Path) -> None:
    (folder / "d.png").unlink()
    write_image(folder / "large.png", np.random.default_rng(1).uniform(size=(260, 260)))
    first = cached_patches(folder, 16)
    files = list((folder.parent / "cache" / "liftax").iterdir())
    assert len(files) == 1
    before = files[0].stat().st_mtime_ns
    np.testing.assert_array_equal(cached_patches(folder, 16), first)
    assert files[0].stat().st_mtime_ns == before
    write_image(folder / "e.png", np.zeros((70, 70)))
    cached_patches(folder, 16)
    assert len(list(files[0].parent.iterdir())) == 2


def test_crops_are_centred_and_keep_the_mean_grey() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 300)[None, :, None], (100, 300, 1))
    image = np.ascontiguousarray(ramp, dtype=np.float32)
    for size in (32, 90, 120):
        small = crop(image, size)
        assert small.shape == (size, size, 1)
        np.testing.assert_allclose(small.mean(), 0.5, atol=0.01)
        np.testing.assert_allclose(small[0, -1] - small[0, 0], 1 / 3, atol=0.02)


def test_resource_files() -> None:
    entries = [b"RIFF1234WEBPabc", b"", b"x" * 300]
    data = b"".join(struct.pack(">I", len(e)) + e for e in entries)
    whole = b"qres" + struct.pack(">4I", 3, 20 + len(data), 20, 24 + len(data)) + data + bytes(20)
    assert resources(whole) == entries
    with pytest.raises(ValueError, match="begin with 'qres'"):
        resources(b"RIFF" + bytes(30))
    with pytest.raises(ValueError, match="cut off"):
        resources(whole[:60])


def test_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder"):
        photographs(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no images"):
        photographs(tmp_path)
    with pytest.raises(ValueError, match="none of 0 files"):
        patches([])
