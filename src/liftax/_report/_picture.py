"""Pictures as PNG, for which nothing needs to be installed."""

import base64
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_POSITIVE, _NEGATIVE = np.array([178, 24, 43]), np.array([33, 102, 172])


def png(picture: np.ndarray) -> bytes:
    """A PNG file of 8 bit: (height, width, 1 or 3) in [0, 1]; other values are clipped.

    Source: the PNG specification, ISO/IEC 15948.
    """
    height, width, channels = picture.shape
    values = np.clip(np.nan_to_num(np.asarray(picture, np.float64)), 0, 1)
    rows = np.round(255 * values).astype(np.uint8).reshape(height, -1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter 0: none
    colour = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*part) for part in parts)


def data_address(picture: np.ndarray) -> str:
    """The picture as an address for ``src``."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def signed(pictures: np.ndarray) -> np.ndarray:
    """(n, h, w, 1) of any sign to colours: each one's largest value red or blue, 0 white."""
    largest = np.abs(pictures).max(axis=(1, 2, 3), keepdims=True)
    share = np.abs(pictures) / np.where(largest > 0, largest, 1)
    colour = np.where(pictures > 0, _POSITIVE, _NEGATIVE) / 255
    return (1 - share) + share * colour


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
