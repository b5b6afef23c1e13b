"""Slices for tomography: phantoms, and CT and MRI of free packages."""

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

from liftax.data import DebianPackage
from liftax.experiments._held_out import kept

_ITK = DebianPackage(
    "insighttoolkit5-examples", "usr/share/doc/insighttoolkit5-examples/examples/Data"
)
_MRI = {
    "MRI, brain, proton density": "BrainProtonDensitySlice",
    "MRI, brain, T1": "BrainT1Slice",
    "MRI, head, sagittal": "BrainMidSagittalSlice",
    "MRI, abdomen": "FatMRISlice",
}
_CT = "CT, vertebra"


def shepp_logan(side: int) -> dict[str, Float[np.ndarray, "s s 1"]]:
    """Shepp and Logan's phantom of scikit-image, and two variants, in [0, 1].

    Raises:
        ImportError: without scikit-image.
    """
    from skimage.data import shepp_logan_phantom
    from skimage.transform import rotate

    whole = shepp_logan_phantom()
    variants = {
        "Shepp-Logan": whole,
        "Shepp-Logan, turned": rotate(whole, 35),
        "Shepp-Logan, softer": np.sqrt(np.clip(whole, 0, 1)),
    }
    return {name: _square(image, side) for name, image in variants.items()}


def medical(side: int) -> dict[str, Float[np.ndarray, "s s 1"]]:
    """Four slices of MRI and one of CT, padded to squares, in [0, 1].

    The former come with the Debian package insighttoolkit5-examples, the latter with pydicom's
    wheel; both are fetched once and kept in the cache.

    Raises:
        ImportError: without scikit-image.
        FileNotFoundError: if they cannot be fetched.
    """
    with np.load(kept("slices.npz", _fetched), allow_pickle=False) as found:
        return {name: _square(found[name], side) for name in (_CT, *_MRI)}


def _fetched(work: Path) -> bytes:
    import PIL.Image

    (work / "itk").mkdir()
    folder = _ITK.unpack(work / "itk")
    found = {}
    for name, file in _MRI.items():
        with PIL.Image.open(folder / f"{file}.png") as image:
            found[name] = np.asarray(image.convert("L")).astype(np.float32) / 255
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "pydicom==3.0.2"]
    subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=300)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        found[_CT] = _pixels(wheel.read("pydicom/data/test_files/CT_small.dcm"))
    stream = io.BytesIO()
    np.savez_compressed(stream, **found)
    return stream.getvalue()


def _pixels(content: bytes) -> Float[np.ndarray, "s s"]:
    """The 16-bit pixels of an uncompressed, square, little-endian DICOM file, scaled to [0, 1]."""
    place = content.index(b"\xe0\x7f\x10\x00OW\x00\x00") + 8
    (length,) = struct.unpack("<I", content[place : place + 4])
    pixels = np.frombuffer(content[place + 4 : place + 4 + length], "<i2").astype(np.float32)
    side = round(len(pixels) ** 0.5)
    lowest, highest = pixels.min(), pixels.max()
    return ((pixels - lowest) / (highest - lowest)).reshape(side, side)


def _square(image: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "s s 1"]:
    """Padded with zeros to a square, and resized."""
    from skimage.transform import resize

    widest = max(image.shape)
    rims = [((widest - n) // 2, widest - n - (widest - n) // 2) for n in image.shape]
    small = np.asarray(resize(np.pad(image, rims), (side, side), anti_aliasing=True))
    return np.clip(small, 0, 1)[..., None].astype(np.float32)
