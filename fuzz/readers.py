"""Every reader of files: what it is given at first, how that is changed, and how it is called.

A reader may give a result, or raise `ValueError` or `OSError` with a sentence. Nothing else.
"""

import dataclasses
import gzip
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np

import liftax._commands
from fuzz.folders import compared, folder_seeds, inversion_seeds, pictured, reported, watched
from fuzz.mutations import Mutation, damaged, retyped, rewired, twisted
from liftax._commands._info import info
from liftax._commands._plan import read_plan
from liftax._commands._samples import read_samples
from liftax.data import read_idx
from liftax.experiments._journal import Journal
from liftax.exporting import to_onnx
from liftax.imaging import bit_depth, read_image
from liftax.imaging._photographs import resources
from liftax.importing import from_onnx, load_network, save_network
from liftax.inversion._examples import read_examples
from liftax.networks import ddfb, lenet, mlp, resnet, transformer
from liftax.restoration import load_denoiser
from liftax.training import load_model, save_model
from liftax.training._checkpoint import latest_checkpoint, save_checkpoint
from liftax.training._tensors import decode, encode

_PIXELS = 10_000
_ENTRIES = 100_000


@dataclasses.dataclass(frozen=True)
class Reader:
    """How one kind of file is read.

    Attributes:
        read: given a file of the content, in a folder of its own.
        seeds: valid contents; a folder to write into is lent.
        mutation: what changes them.
        suffix: of the file.
    """

    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]
    mutation: Mutation = damaged
    suffix: str = ""

    def check(self, content: bytes, folder: Path) -> bool:
        """Whether the content was read; an error that is not documented passes through.

        Raises:
            AssertionError: for an error of a subclass, of several lines, or without words.
        """
        path = folder / f"file{self.suffix}"
        path.write_bytes(content)
        try:
            self.read(path)
        except (ValueError, OSError) as error:
            if type(error) not in (ValueError, OSError, FileNotFoundError):
                raise
            words = str(error)
            assert len(words.split()) > 3 and "\n" not in words, f"no sentence: {words!r}"
            return False
        return True


def _written(folder: Path, write: Callable[[Path], Any]) -> bytes:
    write(folder / "seed")
    return (folder / "seed").read_bytes()


NETWORKS = {
    "mlp": lambda: mlp([3, 4, 2], "leaky_relu"),
    "resnet": lambda: resnet(3, 4, 1, 2, tied=True),
    "ddfb": lambda: ddfb((4, 4, 1), 2, 2),
    "transformer": lambda: transformer((4, 4, 1), 4, 1, 2, heads=2, patch=2),
    "lenet": lambda: lenet((16, 16, 1)),
}


def _model_seeds(folder: Path) -> list[bytes]:
    """Files as they are, whose checksum finds every change; the notes say more in `described`."""
    return [_written(folder, lambda p: save_model(p, {"a": np.ones((2, 3)), "b": np.arange(4)}))]


def _zeros(shapes: dict[str, Any]) -> dict[str, np.ndarray]:
    sizes = [size for shape in shapes.values() for size in shape]
    if any(type(size) is not int for size in sizes) or len(sizes) > 1000:
        raise ValueError("this is not written: these are no shapes")
    if any(math.prod(shape) > _ENTRIES for shape in shapes.values()):
        raise ValueError("this is not written: it has too many entries")
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _sealed(path: Path) -> Path:
    """A model file of JSON notes and arrays of zeros, with a checksum that is right."""
    content = json.loads(path.read_bytes())
    arrays = _zeros(content["arrays"])
    model = path.with_suffix(".safetensors")
    save_model(model, arrays, content["notes"])
    return model


def _resealed(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """What cannot be written is no file that could be read."""

    def reader(path: Path) -> object:
        try:
            model = _sealed(path)
        except Exception:
            raise ValueError("no file can be made of this") from None
        return read(model)

    return reader


def _noted(path: Path) -> bytes:
    arrays, notes = load_model(path)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return json.dumps({"arrays": shapes, "notes": notes}).encode()


def _network_seeds(folder: Path) -> list[bytes]:
    found = []
    for build in NETWORKS.values():
        network = build()
        save_network(folder / "seed", network, network.init(jax.random.key(0)))
        found.append(_noted(folder / "seed"))
    return found


def _denoiser_seeds(folder: Path) -> list[bytes]:
    sizes = {"features": 2, "iterations": 2, "kernel": 3, "threshold": 0.02}
    network = ddfb((8, 8, 1), **sizes, interval=None)
    notes = {"task": "denoise", "family": "ddfb", "arguments": sizes, "sigma": 0.1}
    save_model(folder / "seed", network.init(jax.random.key(0)), notes)
    return [_noted(folder / "seed")]


def _array(shape: tuple[int, ...], dtype: Any = np.float32) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(shape, dtype))
    return stream.getvalue()


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _example_seeds(folder: Path) -> list[bytes]:
    return [_array((3, 2, 1)), _array((4, 3, 2, 1), np.uint8), _zip(x=_array((3, 2, 1)))]


def _evaluated_seeds(folder: Path) -> list[bytes]:
    return [_zip(x=_array((4, 3)), y=_array((4,), np.int32)), _zip(x=_array((4, 3)))]


def _idx_seeds(folder: Path) -> list[bytes]:
    heads = (b"\0\0\x08\x03" + np.asarray([2, 2, 2], ">u4").tobytes(), b"\0\0\x0d\x01\0\0\0\x02")
    plain = [head + bytes(8) for head in heads]
    return [*plain, *map(gzip.compress, plain)]


def _npy_seeds(folder: Path) -> list[bytes]:
    kinds = (((5, 4), np.float32), ((5, 2, 2), np.uint8), ((5, 1), np.int64), ((5, 3), ">f8"))
    return [_array(shape, dtype) for shape, dtype in kinds]


def _labelled_seeds(folder: Path) -> list[bytes]:
    """Pictures, labels in a column, packed pictures whose time makes them inputs (`_trained`)."""
    pictures = b"\0\0\x08\x03" + np.asarray([4, 2, 2], ">u4").tobytes() + bytes(range(16))
    labels = b"\0\0\x0c\x02" + np.asarray([4, 1], ">u4").tobytes() + bytes(16)
    return [pictures, labels, gzip.compress(pictures, mtime=3)]


_USES = (
    ('{x = "%s"}\ntargets = "inputs"', "back-propagation"),
    ('{x = "%s"}\ntargets = "inputs"\ndivide = 2\nfraction = 0.5\nsamples = 3', "implicit-sgd"),
    ('{x = "%s", y = "%s"}', "one-sweep"),
    ('{x = "good.npy", y = "%s"}', "one-sweep"),
)


def _trained(path: Path) -> None:
    """Arrays for ``liftax train``: inputs that are their own targets, inputs and targets, targets.

    Which of them, and whether the file is left on the disk, follows from its content.
    """
    np.save(path.with_name("good.npy"), np.ones((5, 2), np.float32))
    number = zlib.crc32(path.read_bytes())
    train, method = _USES[number % len(_USES)]
    train = train.replace("%s", str(path)).replace("good", str(path.with_name("good")))
    stream = "stream = 2\n" if number & 4 else ""
    text = (
        f'[data]\ntrain = {train}\n[network]\nkind = "mlp"\nhidden = [2]\n[method]\n'
        f'kind = "{method}"\n[training]\nepochs = 1\nbatch_size = 2\n{stream}'
    )
    settings = path.with_name("settings.toml")
    settings.write_text(text)
    plan = read_plan(settings)
    assert np.isfinite(plan.samples.train.x).all()


def _picture_seeds(folder: Path) -> list[bytes]:
    small = _array((2, 3, 3, 1))
    return [
        _zip(input=small, output=_array((2, 3, 3, 1), np.uint8)),
        _zip(**{"weights of units": _array((2, 3, 3, 1), np.float64)}),
    ]


def _onnx_seeds(folder: Path) -> list[bytes]:
    from onnx import TensorProto, helper

    small = lenet((16, 16, 1))
    found = [
        _written(folder, lambda p, n=network: to_onnx(p, n, n.init(jax.random.key(0))))
        for network in (mlp([3, 4, 2], output="softmax"), small, resnet(3, 4, 1, 2))
    ]
    make = helper.make_node
    nodes = [
        make("Shape", ["x"], ["s"]),
        make("Gather", ["s", "i"], ["n"], axis=0),
        make("Concat", ["n", "j", "j"], ["t"], axis=0),
        make("Slice", ["t", "i", "j"], ["v"]),
        make("Reshape", ["x", "t"], ["r"]),
        make("Transpose", ["r"], ["p"], perm=[0, 2, 1]),
        make("Unsqueeze", ["p", "j"], ["q"]),
        make("Flatten", ["p"], ["y"], axis=1),
    ]
    values = [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in (("i", 0), ("j", 2))]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ("n", 2, 2)) for n in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return [*found, model.SerializeToString()]


def _image_seeds(folder: Path) -> list[bytes]:
    import png
    import tifffile
    from PIL import Image

    small = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)

    def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    def tiff(data: np.ndarray, **options: Any) -> bytes:
        stream = io.BytesIO()
        tifffile.imwrite(stream, data, **options)
        return stream.getvalue()

    stream = io.BytesIO()
    png.Writer(5, 6, greyscale=False, bitdepth=16).write(
        stream, (small.astype(np.uint16) * 257).reshape(6, -1)
    )
    image = Image.fromarray(small)
    kinds = [saved(image, kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP")]
    kinds += [saved(image.convert("P"), "PNG"), saved(image.convert("1"), "TIFF")]
    deep = small.astype(np.uint16) * 257
    kinds += [tiff(deep, photometric="rgb"), tiff(deep[..., 0], compression="zlib")]
    kinds += [tiff(small[..., 0].astype(np.float32)), tiff(small, tile=(16, 16))]
    return [*kinds, stream.getvalue(), _array((6, 5, 3), np.uint8)]


def _image(path: Path) -> None:
    pixels = read_image(path, limit=_PIXELS)
    assert np.isfinite(pixels).all() and pixels.shape[2] in (1, 3)
    assert bit_depth(path) in (8, 16)


LIKE = {"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.float32)}


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    save_checkpoint(folder / "kept", 7, LIKE, {"rows": [], "seconds": 1.0}, "mine")
    arrays, texts = decode((folder / "kept" / "step-00000007.safetensors").read_bytes())
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return [json.dumps({"arrays": shapes, "texts": texts}).encode()]


def _checkpoint(path: Path) -> None:
    """Sealed with the right checksum if it can be, else as it is."""
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
        raw = encode(
            _zeros(content["arrays"]), {str(k): str(v) for k, v in content["texts"].items()}
        )
    except Exception:
        raw = raw[:_ENTRIES]
    folder = path.with_name("checkpoints")
    folder.mkdir(exist_ok=True)
    (folder / "step-00000007.safetensors").write_bytes(raw)
    latest_checkpoint(folder, LIKE, "mine")


def _journal_seeds(folder: Path) -> list[bytes]:
    return [json.dumps([{"labels": {"seed": 0}, "rows": [{"loss": 1.0}]}]).encode()]


def _journal(path: Path) -> None:
    raw = path.read_bytes()
    try:
        lines = [json.dumps(line) for line in json.loads(raw)]
    except Exception:
        lines = [raw.decode(errors="replace")]
    target = path.with_name("journal")
    target.unlink(missing_ok=True)
    Journal(target, {})
    with target.open("a") as file:
        file.write("\n".join(lines))
    Journal(target, {}).find({"seed": 0})


def _resource_seeds(folder: Path) -> list[bytes]:
    head = b"qres" + b"".join(n.to_bytes(4, "big") for n in (1, 40, 20, 50))
    return [head + (3).to_bytes(4, "big") + b"abc" + (9).to_bytes(4, "big") + bytes(9 + 10)]


def _notes(content: bytes, random: Random) -> bytes:
    """The notes twisted; now and then the arrays too."""
    try:
        tree = json.loads(content)
        key = "notes" if random.random() < 0.9 else "arrays"
        tree[key] = json.loads(twisted(json.dumps(tree[key]).encode(), random))
    except Exception:
        return damaged(content, random)
    return json.dumps(tree).encode()


_KINDS = (
    ('kind = "mlp"\nhidden = [8]', 'kind = "one-sweep"'),
    ('kind = "resnet"\nwidth = 8\nblocks = 2', 'kind = "implicit-sgd"\nstep_size = 1.0'),
    ('kind = "mlp"\nhidden = [4]\nactivation = "tanh"', 'kind = "back-propagation"'),
)


def _config_seeds(folder: Path) -> list[bytes]:
    example = Path(liftax._commands.__file__).with_name("example.toml").read_text()
    small = (
        f'[data]\nname = "digits"\nsamples = 50\n[network]\n{network}\n[method]\n{method}\n'
        "[training]\nepochs = 1\nbatch_size = 10\n"
        for network, method in _KINDS
    )
    return [text.encode() for text in (example, *small)]


READERS = {
    "config": Reader(read_plan, _config_seeds, retyped, ".toml"),
    "model": Reader(load_model, _model_seeds),
    "network": Reader(_resealed(load_network), _network_seeds, _notes),
    "info": Reader(_resealed(info), _network_seeds, _notes),
    "denoiser": Reader(_resealed(load_denoiser), _denoiser_seeds, _notes),
    "onnx": Reader(from_onnx, _onnx_seeds, rewired, ".onnx"),
    "image": Reader(_image, _image_seeds),
    "examples": Reader(lambda p: read_examples(p, (3, 2, 1), "data"), _example_seeds),
    "npz": Reader(read_samples, _evaluated_seeds),
    "idx": Reader(read_idx, _idx_seeds),
    "npy": Reader(_trained, _npy_seeds, suffix=".npy"),
    "idx of train": Reader(_trained, _labelled_seeds, suffix=".idx"),
    "compare": Reader(compared, folder_seeds, twisted),
    "report": Reader(reported, lambda f: [*folder_seeds(f), *inversion_seeds(f)], twisted),
    "watch": Reader(watched, folder_seeds, twisted),
    "pictures": Reader(pictured, _picture_seeds),
    "checkpoint": Reader(_checkpoint, _checkpoint_seeds, twisted),
    "journal": Reader(_journal, _journal_seeds, twisted),
    "resources": Reader(lambda p: resources(p.read_bytes()), _resource_seeds),
}


def changed(content: bytes, mutation: Mutation, random: Random) -> bytes:
    """A content changed once or several times, now and then without regard for its structure."""
    if random.random() < 0.1:
        return damaged(content, random)
    return mutation(content, random)
