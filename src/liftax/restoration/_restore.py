"""From a photograph's file to the restored photograph's file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from liftax._files import writable_folder
from liftax._pixels import check_noise, check_white
from liftax.imaging import (
    IMAGE_SUFFIXES,
    bit_depth,
    gaussian_kernel,
    noise_level,
    read_image,
    write_image,
)
from liftax.restoration._denoiser import load_denoiser
from liftax.restoration._inverse import deblurred, inpainted

TASKS = ("denoise", "deblur", "inpaint")


class Restoration(NamedTuple):
    """What `restore` did.

    Attributes:
        shape: of the photograph, (height, width, channels).
        sigma: noise level that was assumed.
        task: what was done.
        missing: how many pixels the mask hides.
    """

    shape: tuple[int, ...]
    sigma: float
    task: str
    missing: int


def restore(
    photo: str | Path,
    out: str | Path,
    task: str | None = None,
    *,
    sigma: float | None = None,
    model: str | Path = "denoise",
    mask: str | Path | None = None,
    blur: float | str | Path | None = None,
    tile: int = 512,
) -> Restoration:
    """Restore a photograph: grey or colour, of any size, in tiles above `tile` pixels.

    Denoising applies the model once. Deblurring and inpainting are half-quadratic splitting with
    it, for falling noise levels.

    Args:
        photo: file that `read_image` reads.
        out: file that `write_image` writes; 16 bits stay 16 if its format has them.
        task: "denoise", "deblur" or "inpaint"; None for what mask or blur are for, else "denoise".
        sigma: standard deviation of the noise, white being 1, at most 1; None estimates it, of the
            pixels that are not missing.
        model: for `load_denoiser`.
        mask: for inpainting, an image of the same size, white where pixels are missing;
            one with no other values than 0 and 1, as a file of bytes too, is 1 there.
        blur: for deblurring, the standard deviation of a Gaussian in pixels, or an image of the
            kernel (both sides odd; divided by its sum).
        tile: largest side that is computed at once.

    Raises:
        FileNotFoundError: for files that are not there.
        ValueError: for an unknown task, a file that is no image, a missing or unfitting mask or
            blur, one that the task does not take, a mask of no pixel or of all, a sigma or tile out
            of range, floating point pixels in 0..255, and an `out` that is one of the files read.
    """
    task = _task(task, mask, blur)
    _check_other(out, {"photo": photo, "mask": mask, "blur": blur, "model": model})
    if Path(out).suffix.lower() not in IMAGE_SUFFIXES:
        raise ValueError(f"out must end in one of {', '.join(IMAGE_SUFFIXES)}, got {str(out)!r}")
    writable_folder(Path(out).parent, "out")
    denoiser, pixels = load_denoiser(model), read_image(photo)
    check_white(pixels, "photo")
    missing = _missing(mask, pixels) if task == "inpaint" else None
    sigma = _sigma(pixels, missing) if sigma is None else sigma
    if not sigma >= 0:
        raise ValueError(f"sigma must be at least 0, white being 1, got {sigma}")
    check_noise(sigma)
    if task == "denoise":
        restored = denoiser(pixels, sigma, tile) if sigma else pixels
    elif missing is not None:
        restored = inpainted(denoiser, pixels, missing, sigma, tile)
    else:
        restored = deblurred(denoiser, pixels, _kernel(blur), sigma, tile)
    deep = bit_depth(photo) == 16 and Path(out).suffix.lower() not in (".jpg", ".jpeg")
    write_image(out, restored, 16 if deep else 8)
    hidden = 0 if missing is None else int(missing.sum())
    return Restoration(pixels.shape, sigma, task, hidden)


def _task(task: str | None, mask: object, blur: object) -> str:
    """What is to be done; an option of another task is refused."""
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    given = {"inpaint": ("mask", mask), "deblur": ("blur", blur)}
    named = [known for known, (_, value) in given.items() if value is not None]
    if len(named) == 2:
        raise ValueError("mask and blur: give one of them; a photograph with both wants two runs")
    task = task or (named[0] if named else "denoise")
    if named and task != named[0]:
        option = given[named[0]][0]
        raise ValueError(
            f"{option}: the task {task} takes none; leave the task out for {named[0]}, or the "
            f"{option}"
        )
    return task


def _check_other(out: str | Path, given: dict[str, Any]) -> None:
    for name, path in given.items():
        if path is not None and Path(str(path)).resolve() == Path(out).resolve():
            raise ValueError(f"out: {str(out)!r} is the {name}, which stays; name another file")


def _sigma(pixels: Float[np.ndarray, "h w c"], missing: Float[np.ndarray, "h w 1"] | None) -> float:
    """The noise of what is seen."""
    seen = None if missing is None else 1 - missing
    sigma = noise_level(pixels, seen) if min(pixels.shape[:2]) >= 4 else 0.0
    if sigma > 1:
        raise ValueError(
            f"photo: its noise is estimated as {sigma:.3g}, and white is 1; divide its pixels"
        )
    return sigma


def _kernel(blur: float | str | Path | None) -> Float[np.ndarray, "kh kw"]:
    """A Gaussian to three standard deviations, or an image."""
    if blur is None:
        raise ValueError("blur: deblurring needs a Gaussian's standard deviation or a kernel file")
    try:
        width = float(str(blur))
    except ValueError:
        kernel = read_image(str(blur), grey=True)[..., 0]
        if not kernel.sum() > 0:
            raise ValueError(f"blur: {str(blur)!r} is black; a kernel has a positive sum") from None
        return kernel / kernel.sum()
    if not 0 < width <= 20:
        raise ValueError(f"blur must be in (0, 20] pixels, got {width}")
    return np.asarray(gaussian_kernel(width, max(1, round(3 * width))))


def _missing(
    mask: str | Path | None, pixels: Float[np.ndarray, "h w c"]
) -> Float[np.ndarray, "h w 1"]:
    """1 where pixels are missing."""
    if mask is None:
        raise ValueError("mask: inpainting needs an image that is white where pixels are missing")
    shades = read_image(mask, grey=True)
    top = shades.max()
    # A file of bytes, or of pairs of them, with the values 0 and 1.
    one = top if np.isclose((255 * top, 65535 * top), 1, rtol=1e-3).any() else 1
    two = bool(np.isin(shades, (0, top)).all())
    missing = (shades > 0.5 * (one if two else 1)).astype(np.float32)
    if missing.shape[:2] != pixels.shape[:2]:
        raise ValueError(
            f"mask is {missing.shape[1]}x{missing.shape[0]} pixels, the photograph "
            f"{pixels.shape[1]}x{pixels.shape[0]}; make them equal"
        )
    if missing.all():
        raise ValueError("mask: all pixels are missing (white); is it inverted?")
    if not missing.any():
        raise ValueError(
            "mask: no pixel is missing (none is white); is it inverted? Without a mask the "
            "photograph is denoised"
        )
    return missing
