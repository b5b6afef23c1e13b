"""Image files: PNG, JPEG, TIFF, WebP, BMP and npy."""

import contextlib
import importlib
import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float

from liftax._files import write_bytes
from liftax._pixels import check_channels, check_numbers

LIMIT = 2**28
_PIECE = 2**20
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# ITU-R BT.601, as in Pillow and MATLAB.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def read_image(
    path: str | Path, grey: bool = False, limit: int = LIMIT
) -> Float[np.ndarray, "h w c"]:
    """An image as float32 (height, width, channels), one channel or three.

    Integers are divided by their largest value, 8 and 16 bit, so that the range is [0, 1]; floating
    point files are taken as they are. The format is found from the content. Orientations of EXIF
    are applied, palettes and CMYK become RGB, transparent parts are laid over black, and of several
    pages or frames the first is taken.

    Args:
        path: of the file.
        grey: one channel: 0.299 R + 0.587 G + 0.114 B.
        limit: most pixels; larger images are refused before they are decoded.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a folder, an empty, damaged or too large file, and one that is no image.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name an image file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{path} is empty; give an image file")
    try:
        pixels = _decoder(content)(content, limit)
    except _TooLarge as error:
        raise ValueError(f"{path}: {error}; raise limit, or make it smaller") from None
    except ImportError:
        raise
    except Exception as error:  # decoders raise whatever they meet in a damaged file
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{path} is damaged or no image that can be read: {reason}") from None
    return _grey(pixels) if grey else pixels


def write_image(path: str | Path, pixels: ArrayLike, depth: int = 8) -> None:
    """Write (height, width, channels) or (height, width), values in [0, 1], by the file's suffix.

    Values are clipped and rounded to the nearest of 2^depth levels; npy keeps them as they are. The
    file is complete or not there.

    Args:
        path: ending in .png, .jpg, .jpeg, .tif, .tiff or .npy.
        pixels: one channel or three.
        depth: bits, 8 or 16 (PNG and TIFF).

    Raises:
        ValueError: for integers, other shapes, depths or suffixes, and for values that are not
            finite.
    """
    path, image = Path(path), np.asarray(pixels)
    check_numbers(image, "pixels")
    check_channels(image, "pixels")
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise ValueError(
            f"pixels must be (height, width) or (height, width, 1 or 3), got {image.shape}"
        )
    if not np.isfinite(image).all():
        raise ValueError("pixels holds NaN or infinity; clip or replace them")
    kind = path.suffix.lower()
    if kind not in IMAGE_SUFFIXES:
        raise ValueError(f"path must end in one of {', '.join(IMAGE_SUFFIXES)}, got {path.name!r}")
    if depth not in (8, 16) or (depth == 16 and kind in (".jpg", ".jpeg")):
        raise ValueError(f"depth must be 8, or 16 for PNG and TIFF, got {depth} for {path.name!r}")
    stream = io.BytesIO()
    if kind == ".npy":
        np.save(stream, image, allow_pickle=False)
    else:
        levels = 2**depth - 1
        whole = np.rint(np.clip(image, 0, 1) * levels).astype(np.uint8 if depth == 8 else np.uint16)
        _encode(stream, whole, kind)
    write_bytes(path, stream.getvalue())


def bit_depth(path: str | Path) -> int:
    """8 or 16: what `write_image` needs to keep the grey levels of a file that `read_image` reads.

    Files of other kinds than PNG and TIFF have 8.
    """
    content = Path(path).read_bytes()
    if content.startswith(b"\x89PNG"):
        return 16 if content[24:25] == b"\x10" else 8
    if content[:4] in _TIFF:
        with _tiff_page(content) as page:
            return 8 if page.bitspersample <= 8 else 16
    return 8


@contextlib.contextmanager
def _tiff_page(content: bytes) -> Iterator[Any]:
    """The first page; what the package logs of damaged files is left to our errors."""
    tifffile, logger = _package("tifffile", "tifffile"), logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            yield file.pages[0]
    finally:
        logger.disabled = before


class _TooLarge(ValueError):
    """More pixels than allowed."""


def _check(height: int, width: int, limit: int) -> None:
    if height * width > limit:
        raise _TooLarge(f"{width}x{height} pixels are more than the limit of {limit}")


def _decoder(content: bytes) -> Callable[[bytes, int], np.ndarray]:
    if content.startswith(b"\x93NUMPY"):
        return _read_npy
    # Pillow reads 16-bit colour as 8-bit: byte 24 is the depth, byte 25 the colour type.
    if content.startswith(b"\x89PNG") and content[24:25] == b"\x10":
        return _read_deep_png
    if content[:4] in _TIFF:
        return _read_tiff
    return _read_pillow


def _read_npy(content: bytes, limit: int) -> np.ndarray:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    form = np.lib.format
    header = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    shape, _, kind = header[version](stream)
    if len(shape) not in (2, 3):
        raise ValueError(f"an array of shape {shape} is no image")
    _check(shape[0], shape[1], limit)
    # The header states the size: nothing is allocated for bytes that are not there.
    if kind.hasobject or math.prod(shape) * kind.itemsize > len(content):
        raise ValueError("the array holds objects, or is cut off")
    return _scaled(np.load(io.BytesIO(content), allow_pickle=False))


def _read_deep_png(content: bytes, limit: int) -> np.ndarray:
    png = _package("png", "pypng")
    width, height = struct.unpack(">II", content[16:24])
    _check(height, width, limit)
    # 8 bytes a pixel at most; interlaced ones have up to seven rows, each with a byte of its own.
    _check_inflated(_png_data(content), 8 * height * width + 8 * (height + width))
    width, height, rows, info = png.Reader(bytes=content).read()
    planes = info["planes"]
    data = np.vstack([np.asarray(row, np.uint16) for row in rows])
    return _scaled(data.reshape(height, width, planes))


def _png_data(content: bytes) -> bytes:
    """The compressed data of all IDAT chunks."""
    place, found = 8, []
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        if content[place + 4 : place + 8] == b"IDAT":
            found.append(content[place + 8 : place + 8 + length])
        place += 12 + length
    return b"".join(found)


def _check_inflated(packed: bytes, most: int) -> None:
    """Decoders unpack a whole stream, however long it is: look first, and keep nothing."""
    unpacker = zlib.decompressobj()
    while packed and most >= 0:
        most -= len(unpacker.decompress(packed, _PIECE))
        packed = unpacker.unconsumed_tail
    if most < 0:
        raise ValueError("its data unpack to more than its size")


def _read_tiff(content: bytes, limit: int) -> np.ndarray:
    with _tiff_page(content) as page:
        _check(page.imagelength, page.imagewidth, limit)
        # Each is decoded on its own, and a header can state more of them than there are.
        if math.prod(page.chunked) != len(page.dataoffsets) or page.samplesperpixel > 4:
            raise ValueError("its parts are not those of its size")
        turned = "Orientation" in page.tags and page.tags["Orientation"].value != 1
        plain = page.photometric.name in ("MINISBLACK", "RGB") and page.bitspersample >= 8
        # Other compressions need a package of codecs, which Pillow brings for most files.
        if plain and not turned and page.compression.name in ("NONE", "ADOBE_DEFLATE", "DEFLATE"):
            if page.compression.name != "NONE":
                most = math.prod(page.chunks) * max(page.bitspersample // 8, 1)
                for place, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                    _check_inflated(content[place : place + length], most)
            data = page.asarray()
            if data.ndim == 3 and data.shape[-1] != page.samplesperpixel:  # one plane a channel
                data = np.moveaxis(data, 0, -1)
            return _scaled(data)
    return _read_pillow(content, limit)


def _read_pillow(content: bytes, limit: int) -> np.ndarray:
    image_module, operations = _package("PIL.Image", "pillow"), _package("PIL.ImageOps", "pillow")
    with warnings.catch_warnings(), _any_size(image_module):
        warnings.simplefilter("ignore")  # of odd metadata
        try:
            opened = image_module.open(io.BytesIO(content))
        except image_module.UnidentifiedImageError:
            raise ValueError("its format is not known") from None
        with opened as image:
            _check(image.height, image.width, limit)
            image.load()
            image = operations.exif_transpose(image)
            if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
                data = np.asarray(image)
                return _scaled(data.astype(np.uint16) if image.mode != "F" else data)
            alpha = "A" in image.mode or "transparency" in image.info
            if image.mode in ("1", "L", "LA") and not (alpha and image.mode == "L"):
                mode = "LA" if alpha else "L"
            else:
                mode = "RGBA" if alpha else "RGB"
            return _scaled(np.asarray(image.convert(mode)))


@contextlib.contextmanager
def _any_size(image_module: Any) -> Iterator[None]:
    """Without Pillow's own limit, which is lower than what the caller may allow."""
    before, image_module.MAX_IMAGE_PIXELS = image_module.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        image_module.MAX_IMAGE_PIXELS = before


def _scaled(data: np.ndarray) -> np.ndarray:
    """Float32 with one channel or three."""
    data = data[..., None] if data.ndim == 2 else data
    if data.ndim != 3 or not 1 <= data.shape[2] <= 4 or not data.size:
        raise ValueError(f"an array of shape {data.shape} is no image")
    if data.dtype in (np.uint8, np.uint16):
        pixels = data.astype(np.float32) / np.float32(np.iinfo(data.dtype).max)
    elif data.dtype == bool or np.issubdtype(data.dtype, np.floating):
        pixels = data.astype(np.float32)
    else:
        raise ValueError(f"numbers of type {data.dtype} are no grey levels")
    if not np.isfinite(pixels).all():
        raise ValueError("it holds NaN or infinity")
    if data.shape[2] in (2, 4):  # the last channel is opacity
        pixels = pixels[..., :-1] * pixels[..., -1:]
    return pixels


def _grey(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.shape[2] == 1 else (pixels @ LUMA)[..., None]


def _encode(stream: io.BytesIO, whole: np.ndarray, kind: str) -> None:
    height, width, channels = whole.shape
    if kind in (".tif", ".tiff"):
        tifffile = _package("tifffile", "tifffile")
        photometric = "rgb" if channels == 3 else "minisblack"
        data = whole if channels == 3 else whole[..., 0]
        tifffile.imwrite(stream, data, photometric=photometric, metadata=None)
    elif whole.dtype == np.uint16:
        png = _package("png", "pypng")
        writer = png.Writer(width, height, greyscale=channels == 1, bitdepth=16)
        writer.write(stream, whole.reshape(height, -1))
    else:
        image = _package("PIL.Image", "pillow").fromarray(whole if channels == 3 else whole[..., 0])
        settings = {"quality": 95} if kind in (".jpg", ".jpeg") else {}
        image.save(stream, "JPEG" if settings else "PNG", **settings)


def _package(name: str, distribution: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f"image files need the package {distribution}: pip install 'liftax[imaging]'"
        ) from None
