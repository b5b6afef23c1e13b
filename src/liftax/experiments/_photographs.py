"""Photographs to train on and to test on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.experiments._held_out import NAMES, held_out
from liftax.imaging import cached_patches, crop, gaussian_noise, psnr, ssim, tv_denoise


def training_patches(
    source: str, samples: int | None = None, size: int = 64
) -> Float[np.ndarray, "n h w 1"]:
    """Squares of `size` x `size` pixels in [0, 1]: of ``"photographs"``, or of two ``"samples"``.

    The photographs are those of `liftax.imaging.photographs`; the samples, of 64x64 pixels, come
    with scikit-learn and need no download. Patches of one photograph stand together; `samples`
    takes so many, evenly.
    """
    if source == "photographs":
        whole = cached_patches(size=size)
        return _evenly(whole, samples).astype(np.float32) / 255
    import sklearn.datasets

    found = []
    for name in ("china", "flower"):
        image = sklearn.datasets.load_sample_image(f"{name}.jpg").mean(-1, keepdims=True) / 255
        tops = [(i, j) for i in range(0, 384, 64) for j in range(0, 640, 64)]
        found += [image[i : i + 64, j : j + 64] for i, j in tops]
    return _evenly(np.stack(found).astype(np.float32), samples)


def _evenly(squares: np.ndarray, samples: int | None) -> np.ndarray:
    count = len(squares) if samples is None else min(samples, len(squares))
    return np.asarray(squares[np.linspace(0, len(squares) - 1, count).astype(int)])


def test_photographs(source: str) -> tuple[tuple[str, ...], Float[np.ndarray, "n h w 1"]]:
    """Names and pictures: the 18 of `held_out`, or crops of two that need no download."""
    if source == "photographs":
        return NAMES, held_out()
    import skimage.data

    whole = [skimage.data.camera()[..., None], skimage.data.coins()[..., None]]
    return ("camera", "coins"), np.stack([crop(w.astype(np.float32) / 255, 96) for w in whole])


def with_noise(
    pictures: Float[np.ndarray, "n h w c"], sigma: float
) -> Float[np.ndarray, "n h w c"]:
    """Gaussian noise from one generator with the seed 0, picture after picture."""
    rng = np.random.default_rng(0)
    return np.stack([p + rng.normal(0, sigma, p.shape) for p in pictures]).astype(np.float32)


@jax.jit
def turned(key: PRNGKeyArray, x: Float[Array, "n s s c"]) -> Float[Array, "n s s c"]:
    """A batch of squares in one of the eight positions of a square."""
    for axes, k in zip(((1,), (2,), None), jax.random.split(key, 3), strict=True):
        moved = jnp.swapaxes(x, 1, 2) if axes is None else jnp.flip(x, axes)
        x = jnp.where(jax.random.bernoulli(k), moved, x)
    return x


def noisier(
    key: PRNGKeyArray, x: Float[Array, "n s s c"], sigma: Any
) -> tuple[Float[Array, "n s s c"], Float[Array, "n s s c"]]:
    """A batch turned, with noise, and without."""
    first, second = jax.random.split(key)
    clean = turned(first, x)
    return gaussian_noise(second, clean, sigma), clean


def any_level(
    key: PRNGKeyArray, x: Float[Array, "n s s c"], sigmas: Any, sigma: float
) -> tuple[Float[Array, "n s s c"], Float[Array, "n s s c"]]:
    """`noisier` with a level of the interval `sigmas` for each, and both scaled to the level `sigma`."""
    first, second = jax.random.split(key)
    levels = jax.random.uniform(first, (len(x), 1, 1, 1), x.dtype, *sigmas)
    noisy, clean = noisier(second, x, levels)
    return noisy * (sigma / levels), clean * (sigma / levels)


def scores(images: Any, pictures: Any) -> Float[np.ndarray, "n 2"]:
    """PSNR in dB and SSIM of each image."""
    return np.array([_quality(x, p) for x, p in zip(images, pictures, strict=True)])


@jax.jit
def _quality(x: Float[Array, "h w c"], reference: Float[Array, "h w c"]) -> tuple[Array, Array]:
    return psnr(x, reference), ssim(x, reference)


def best_of(
    restore: Callable[[Any, Any], Any], y: Any, pictures: Any, weights: Any
) -> Float[np.ndarray, "n h w c"]:
    """Each picture by (measurements, weight) → image, and the weight with the highest PSNR.

    The weight is chosen by looking at the picture.
    """
    found = []
    for data, picture in zip(y, pictures, strict=True):
        tries = [np.asarray(restore(data, weight)) for weight in weights]
        found.append(max(tries, key=lambda x, p=picture: float(_quality(x, p)[0])))
    return np.stack(found)


def best_total_variation(
    noisy: Float[np.ndarray, "n h w c"], pictures: Any, weights: Any
) -> Float[np.ndarray, "n h w c"]:
    """Denoised by the best weight for each photograph."""
    return best_of(lambda y, weight: tv_denoise(y, weight).x, noisy, pictures, weights)


def failures(
    grid: Sequence[Mapping[str, Any]], methods: Sequence[str], margins: Sequence[float]
) -> list[list[str]]:
    """A row for every margin: how many runs of each method lie less than it over TV, or are NaN."""
    rows = []
    for margin in margins:
        row = [f"less than {margin:g} dB over total variation, or NaN"]
        for method in methods:
            over = [r["over"] for r in grid if r["method"] == method]
            row.append(f"{sum(not o >= margin for o in over)} of {len(over)}")
        rows.append(row)
    return rows
