"""Image files: round trips, other decoders, and damage."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from liftax.imaging import read_image, write_image

RNG = np.random.default_rng(0)
CASES = [
    (suffix, depth, channels)
    for suffix in ("png", "tif", "tiff")
    for depth in (8, 16)
    for channels in (1, 3)
]


@pytest.mark.parametrize(("suffix", "depth", "channels"), CASES)
def test_lossless_round_trip(suffix: str, depth: int, channels: int, tmp_path: Path) -> None:
    levels = 2**depth - 1
    whole = RNG.integers(0, levels + 1, (5, 7, channels))
    path = tmp_path / f"image.{suffix}"
    write_image(path, whole / levels, depth)
    found = read_image(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (whole / levels).astype(np.float32))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if depth == 8:  # another decoder sees the same
        other = np.asarray(Image.open(path)).reshape(whole.shape)
        np.testing.assert_array_equal(other, whole)
    elif suffix != "png":
        np.testing.assert_array_equal(tifffile.imread(path).reshape(whole.shape), whole)


def test_npy_keeps_values(tmp_path: Path) -> None:
    image = RNG.normal(size=(3, 4, 3)).astype(np.float32)
    write_image(tmp_path / "a.npy", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.npy"), image)
    np.save(tmp_path / "b.npy", np.array([[0, 255]], np.uint8))
    np.testing.assert_array_equal(read_image(tmp_path / "b.npy")[..., 0], [[0, 1]])


def test_jpeg_is_near(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64)[:, None, None] * np.array([1, 0.8, 0.5])
    image = np.broadcast_to(ramp, (64, 32, 3))
    write_image(tmp_path / "a.jpg", image)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg"), image, atol=0.03)


def test_values_are_clipped_and_rounded_to_the_nearest(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.array([[-1.0, 0.499 / 255, 0.501 / 255, 2.0]]))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), [[0, 0, 1, 255]])


def saved(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def test_modes(tmp_path: Path) -> None:
    """Palettes, bits, opacity, CMYK and orientation."""
    path = tmp_path / "image"  # the content decides, not the name
    colours = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    rgb = Image.fromarray(colours)

    def read(content: bytes, **options) -> np.ndarray:
        path.write_bytes(content)
        return read_image(path, **options)

    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
    np.testing.assert_array_equal(read(saved(palette, "PNG")), colours / np.float32(255))
    bits = Image.fromarray(colours[..., 0] > 128)
    np.testing.assert_array_equal(read(saved(bits, "PNG"))[..., 0], colours[..., 0] > 128)

    alpha = RNG.integers(0, 256, (4, 6, 1), dtype=np.uint8)
    over_black = colours / np.float32(255) * (alpha / np.float32(255))
    rgba = Image.fromarray(np.concatenate([colours, alpha], -1))
    for form in ("PNG", "TIFF"):
        np.testing.assert_allclose(read(saved(rgba, form)), over_black, atol=1e-6)
    la = Image.fromarray(np.concatenate([colours[..., :1], alpha], -1), "LA")
    np.testing.assert_allclose(read(saved(la, "PNG")), over_black[..., :1], atol=1e-6)

    cmyk = rgb.convert("CMYK")
    np.testing.assert_allclose(read(saved(cmyk, "TIFF")), colours / 255, atol=0.01)
    assert read(saved(cmyk, "JPEG")).shape == (4, 6, 3)

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = read(saved(rgb, "PNG", exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(colours, -1) / np.float32(255))

    luma = colours @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(read(saved(rgb, "PNG"), grey=True)[..., 0], luma, atol=1e-6)
    for form in ("WEBP", "BMP"):
        assert read(saved(rgb, form)).shape == (4, 6, 3)
    pixel = read(saved(Image.new("L", (1, 1), 255), "PNG"))
    np.testing.assert_array_equal(pixel, [[[1.0]]])


def test_tiffs(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = RNG.normal(size=(4, 5)).astype(np.float32)
    tifffile.imwrite(path, values)
    np.testing.assert_array_equal(read_image(path)[..., 0], values)
    planes = RNG.integers(0, 65536, (3, 4, 5), dtype=np.uint16)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", compression="zlib")
    expected = np.moveaxis(planes, 0, -1) / np.float32(65535)
    np.testing.assert_array_equal(read_image(path), expected)
    Image.fromarray(planes[0].astype(np.uint8)).save(path, compression="tiff_lzw")
    np.testing.assert_array_equal(
        read_image(path)[..., 0], planes[0].astype(np.uint8) / np.float32(255)
    )


def bomb(size: int) -> bytes:
    """A small file that declares size x size pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_image(path)
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        read_image(path)
    path.write_text("not a picture")
    with pytest.raises(ValueError, match="no image that can be read: its format is not known"):
        read_image(path)
    path.write_bytes(bomb(60_000))
    with pytest.raises(ValueError, match="60000x60000 pixels are more than the limit"):
        read_image(path)
    np.save(tmp_path / "a.npy", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(ValueError, match="is damaged or no image"):
        read_image(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="NaN or infinity"):
        read_image(tmp_path / "b.npy")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    image = np.zeros((2, 2))
    for path, pixels, depth, message in (
        ("a.gif", image, 8, "path must end in one of"),
        ("a.png", np.zeros((2, 2, 2)), 8, "pixels must be"),
        ("a.png", np.full((2, 2), np.inf), 8, "NaN or infinity"),
        ("a.png", np.full((2, 2), 100, np.uint8), 8, "divide by 255, or take pixels.astype"),
        ("a.npy", np.full((2, 2), 100, np.uint16), 8, "divide by 65535"),
        ("a.png", np.zeros((3, 5, 6)), 8, "channels first, .3, 5, 6.*np.moveaxis.pixels, 0, -1."),
        ("a.png", image, 12, "depth must be 8, or 16"),
        ("a.jpg", image, 16, "depth must be 8, or 16"),
    ):
        with pytest.raises(ValueError, match=message):
            write_image(tmp_path / path, pixels, depth)
    assert not list(tmp_path.iterdir())


def contents() -> list[bytes]:
    small = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    image, files = Image.fromarray(small), []
    files += [saved(image, form) for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP")]
    stream = io.BytesIO()
    tifffile.imwrite(stream, small.astype(np.uint16) * 257, photometric="rgb")
    files.append(stream.getvalue())
    stream = io.BytesIO()
    np.save(stream, small)
    return [*files, stream.getvalue()]


def survives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    try:
        pixels = read_image(path, limit=10_000)
    except ValueError:
        return
    assert np.isfinite(pixels).all()
    assert pixels.shape[2] in (1, 3)


@pytest.mark.parametrize("examples", [30, pytest.param(3000, marks=pytest.mark.slow)])
def test_damage_gives_a_clear_error(examples: int, tmp_path: Path) -> None:
    files = contents()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(st.data())
    def damage(data) -> None:
        content = bytearray(data.draw(st.sampled_from(files)))
        for _ in range(data.draw(st.integers(0, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        survives(tmp_path, bytes(content[: data.draw(st.integers(0, len(content)))]))

    damage()
