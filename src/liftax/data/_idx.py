"""The idx format of the MNIST family: arrays of any rank, big-endian, compressed or not.

Layout: two zero bytes, a type code, the number of axes; then the axes as unsigned 32-bit numbers;
then the entries.
"""

import math
import zlib
from pathlib import Path

import numpy as np

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_LONGEST_HEADER = 4 + 4 * 255
_CURE = "get it anew"

LIMIT = 2**31
"""Largest content, in bytes, that is read."""


def read_idx(path: str | Path) -> np.ndarray:
    """Array of an idx file, gzip-compressed or not (its content tells, not its name).

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is empty, cut off, followed by other bytes, of another format, or larger
            than 2 GiB; no more than that is ever decompressed.
    """
    return parse(read_content(path), path)


def read_content(path: str | Path, limit: int = LIMIT) -> bytes:
    """Decompressed bytes of an idx file, as long as its header says; errors as `read_idx`."""
    path = Path(path)
    try:
        if path.stat().st_size > packed_limit(limit):
            raise ValueError(f"{str(path)!r} is larger than {limit:,} bytes; {_CURE} or split it")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the path") from error
    except OSError as error:
        raise ValueError(
            f"{str(path)!r} cannot be read ({error.strerror}); give a readable idx file"
        ) from error
    return content(raw, path, limit)


def packed_limit(limit: int) -> int:
    """Largest size, in bytes, that compression can make of `limit` bytes."""
    return limit + limit // 1000 + 1024


def content(raw: bytes, where: object, limit: int = LIMIT) -> bytes:
    """Decompress if need be, never more than one byte beyond what the header announces."""
    if not raw.startswith(_GZIP):
        _check_length(raw, _announced(raw, where, limit), where)
        return raw
    unpacked = zlib.decompressobj(wbits=31)
    try:
        head = unpacked.decompress(raw, _LONGEST_HEADER)
        size = _announced(head, where, limit)
        rest = unpacked.decompress(unpacked.unconsumed_tail, max(size - len(head), 0) + 1)
    except zlib.error as error:
        raise ValueError(f"{_named(where)} is damaged ({error}); {_CURE}") from error
    whole = head + rest
    _check_length(whole, size, where)
    # The trailer holds the checksum: without it the data end, but may be wrong.
    if not unpacked.eof:
        raise ValueError(f"{_named(where)} is cut off: its gzip trailer is missing; {_CURE}")
    if unpacked.unused_data:
        extra = len(unpacked.unused_data)
        raise ValueError(f"{_named(where)} has {extra} bytes after its gzip trailer; {_CURE}")
    return whole


def parse(whole: bytes, where: object) -> np.ndarray:
    """Array of the bytes that `content` gives; read-only where the entries are bytes."""
    dtype, shape = _header(whole, where)
    entries = np.frombuffer(whole, dtype, offset=4 + 4 * len(shape)).reshape(shape)
    return entries.astype(dtype.newbyteorder("="), copy=False)


def _named(where: object) -> str:
    return repr(str(where))


def _header(head: bytes, where: object) -> tuple[np.dtype, tuple[int, ...]]:
    if not head:
        raise ValueError(f"{_named(where)} is empty; {_CURE}")
    if len(head) < 4:
        raise ValueError(f"{_named(where)} is cut off within its header; {_CURE}")
    if head[:2] != b"\0\0" or head[2] not in _TYPES or head[3] == 0:
        raise ValueError(
            f"{_named(where)} is no idx file: it starts with {head[:4].hex(' ')}, not with 00 00, "
            "a type 08-0e and the number of axes; give an idx file"
        )
    if len(head) < 4 + 4 * head[3]:
        raise ValueError(f"{_named(where)} is cut off within its header; {_CURE}")
    shape = tuple(int(n) for n in np.frombuffer(head, ">u4", count=head[3], offset=4))
    return np.dtype(_TYPES[head[2]]), shape


def _announced(head: bytes, where: object, limit: int) -> int:
    """Length of the content in bytes, by its header."""
    dtype, shape = _header(head, where)
    size = 4 + 4 * len(shape) + dtype.itemsize * math.prod(shape)
    if size > limit:
        raise ValueError(
            f"{_named(where)} announces {size:,} bytes, more than {limit:,}; {_CURE} or split it"
        )
    return size


def _check_length(whole: bytes, size: int, where: object) -> None:
    if len(whole) < size:
        raise ValueError(f"{_named(where)} is cut off: {len(whole):,} of {size:,} bytes; {_CURE}")
    if len(whole) > size:
        raise ValueError(f"{_named(where)} has bytes after its {size:,}; {_CURE}")
