"""Small files that announce, or unpack to, much: refused at the cost of small files."""

import io
import json
import re
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
import tifffile
from onnx import TensorProto, helper

from liftax._commands._live import read_pictures
from liftax._commands._samples import read_samples, samples
from liftax._commands._settings import Table
from liftax.imaging import read_image
from liftax.importing import from_onnx, load_network
from liftax.inversion._examples import read_examples
from liftax.networks import ddfb
from liftax.restoration import load_denoiser
from liftax.training import load_model, save_model

LONG = zlib.compress(bytes(64 << 20), 9)  # 64 kB that unpack to 64 MiB


def png(depth: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + code

    head = struct.pack(">IIBBBBB", 10, 10, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(tags: dict[int, int], data: bytes = b"", **options) -> bytes:
    """An image of 8×8 in which some tags say something else, and data behind it."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((8, 8), np.uint8), **options)
    raw = bytearray(stream.getvalue())
    end = len(raw)
    (first,) = struct.unpack("<I", raw[4:8])
    for place in range(first + 2, first + 2 + 12 * raw[first], 12):
        (code,) = struct.unpack("<H", raw[place : place + 2])
        if code in tags:
            value = end if tags[code] < 0 else tags[code]
            raw[place + 2 : place + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(raw + data)


STRIP_PLACE, STRIP_BYTES, HEIGHT, WIDTH, PLANES, TILE = 273, 279, 257, 256, 277, (322, 323)
IMAGES = {
    "png": png(16, LONG),
    "strip": tiff({STRIP_PLACE: -1, STRIP_BYTES: len(LONG)}, LONG, compression="zlib"),
    "strips": tiff({HEIGHT: 2**23, WIDTH: 1}, rowsperstrip=1),
    "planes": tiff({PLANES: 60_000}),
    "tile": tiff(dict.fromkeys(TILE, 2**20), tile=(16, 16)),
    "bits": tiff({258: 2**16 - 1}),
}


def growing(kind: str, count: int) -> bytes:
    """A graph whose constants double in every node, or are gathered many times."""
    make, nodes = helper.make_node, []
    if kind == "Concat":
        nodes = [make("Concat", [f"c{k}"] * 8, [f"c{k + 1}"], axis=0) for k in range(count)]
    else:
        nodes = [make("Gather", [f"c{k}", "i"], [f"c{k + 1}"], axis=k) for k in range(count)]
    values = [helper.make_tensor("c0", TensorProto.FLOAT, [4], [0.0] * 4)]
    values.append(helper.make_tensor("i", TensorProto.INT64, [64, 1], [0] * 64))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ("n", 4)) for n in "xy"]
    graph = helper.make_graph([*nodes, make("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:], values)
    return onnx.helper.make_model(graph, ir_version=8).SerializeToString()


def huge_header() -> bytes:
    """A safetensors file of a few bytes with an array of 2^60."""
    entry = {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}
    head = json.dumps({"a": entry}).encode()
    return len(head).to_bytes(8, "little") + head


def zipped(announced: int) -> bytes:
    """A npz file of 16 kB whose array has 16 MiB and says so, or announces more."""
    head, stream = io.BytesIO(), io.BytesIO()
    shape = {"shape": (announced, 2, 1), "fortran_order": False, "descr": "|u1"}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(1 << 24))
    raw = stream.getvalue()
    place = raw.index(b"PK\x01\x02") + 24  # the size in the list of contents
    return raw[:place] + struct.pack("<I", 0xFFFFFFF0) + raw[place + 4 :]


def denoiser(iterations: int) -> bytes:
    path = Path("made.safetensors")
    sizes = {"features": 1, "iterations": iterations, "kernel": 3}
    notes = {"task": "denoise", "family": "ddfb", "arguments": sizes, "sigma": 0.1}
    save_model(path, {"w": np.zeros(1)}, notes)
    return path.read_bytes()


def trained(path: Path) -> object:
    """As data of ``liftax train``, a part of which is held out."""
    return samples(Table({"train": {"x": str(path)}, "fraction": 0.5}, "data", {}))


def pictured(path: Path) -> object:
    """As pictures of a run; those that are refused are not shown."""
    if read_pictures(path):
        return {}
    raise ValueError("none of them is shown")


FILES: dict[str, tuple[Callable[[Path], object], Callable[[], bytes]]] = {
    **{f"image, {name}": (read_image, lambda c=content: c) for name, content in IMAGES.items()},
    "onnx, concatenation": (from_onnx, lambda: growing("Concat", 30)),
    "onnx, gathering": (from_onnx, lambda: growing("Gather", 12)),
    "safetensors": (load_model, huge_header),
    "network": (load_network, huge_header),
    "denoiser": (load_denoiser, lambda: denoiser(10**9)),
    "npz": (lambda p: read_examples(p, (2, 1, 1), "data"), lambda: zipped(2**29)),
    "npz, evaluated": (read_samples, lambda: zipped(2**23)),
    "npz, pictures": (pictured, lambda: zipped(2**23)),
    "idx": (trained, lambda: b"\0\0\x08\x02" + b"\xff" * 4 + bytes(4)),
}


def test_a_large_kernel_costs_no_more_than_its_entries(tmp_path: Path) -> None:
    """Loading bounds the norm of a kernel of 65x65 without a wave for every pair of entries."""
    network = ddfb((8, 8, 1), 1, 1, kernel=65, interval=None)
    params = jax.eval_shape(network.init, jax.random.key(0))
    arguments = {"features": 1, "iterations": 1, "kernel": 65}
    notes = {"task": "denoise", "family": "ddfb", "arguments": arguments, "sigma": 0.1}
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)
    save_model(tmp_path / "file", zeros, notes)
    peak()
    before = peak()
    assert load_denoiser(tmp_path / "file").reach > 60
    assert peak() - before < 100_000


@pytest.mark.parametrize("name", FILES)
def test_bombs_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than 100 MB more than before, whoever allocates them."""
    monkeypatch.chdir(tmp_path)
    read, made = FILES[name]
    path = tmp_path / ("file.onnx" if name.startswith("onnx") else "file")
    path.write_bytes(made())
    peak()
    before = peak()
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        read(path)
    assert peak() - before < 100_000


def peak() -> int:
    """The most kB this process had since the last call, where the system can tell (Linux)."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+)", status.read_text()) if status.exists() else None
    if found is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clear.write_text("5")
    return int(found[1])


@pytest.mark.slow
def test_a_graph_of_many_nodes_is_read_in_a_time_that_grows_no_faster(tmp_path: Path) -> None:
    """A chain of 400 nodes within 20 seconds of a fresh process."""
    code = (
        "import jax; from liftax.networks import mlp; from liftax.importing import *; import time;"
        "n = mlp([2] * 400); save_network('n.safetensors', n, n.init(jax.random.key(0)));"
        "b = time.time(); load_network('n.safetensors'); assert time.time() - b < 20"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
