"""A tiny published data set, and a server on loopback that publishes it."""

import contextlib
import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftax.data._archive import Archive, File
from liftax.data._packages import DebianPackage, NpmPackage

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images", "t10k-labels")
CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(array: np.ndarray, kind: str = "u1") -> bytes:
    """The array in idx format, written from the format's description."""
    head = bytes([0, 0, CODES[kind], array.ndim])
    return head + np.asarray(array.shape, ">u4").tobytes() + array.astype(kind).tobytes()


def contents() -> dict[str, bytes]:
    """Seven training and three test pictures of 2×2."""
    images = np.arange(40).reshape(10, 2, 2) * 6 + 21
    labels = np.arange(10) % 3
    parts = (images[:7], labels[:7], images[7:], labels[7:])
    return {name: idx(part) for name, part in zip(NAMES, parts, strict=True)}


def archive(
    address: str = "http://127.0.0.1:9", package: DebianPackage | NpmPackage | None = None
) -> Archive:
    """The data set ``tiny`` as if published at `address`; nothing answers at the default one."""
    a, b, c, d = (
        File(name, len(whole), hashlib.sha256(whole).hexdigest())
        for name, whole in contents().items()
    )
    return Archive("tiny", address, package, (a, b, c, d), ("x", "y", "z"))


def write(folder: Path, compressed: bool = False) -> Path:
    """The four files in a folder."""
    folder.mkdir(parents=True)
    for name, whole in contents().items():
        suffix, whole = (".gz", gzip.compress(whole)) if compressed else ("", whole)
        (folder / f"{name}{suffix}").write_bytes(whole)
    return folder


def published() -> dict[str, bytes]:
    """What a healthy server sends, by path."""
    return {f"/{name}.gz": gzip.compress(whole) for name, whole in contents().items()}


@contextlib.contextmanager
def server(pages: dict[str, bytes], cut_at: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Address of a server of `pages`, and the list of paths it was asked for.

    With `cut_at` it announces whole pages, sends that many bytes and hangs up.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            page = pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page[:cut_at])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}", asked
        finally:
            running.shutdown()
            thread.join()
