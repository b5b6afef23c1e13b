"""Random ellipses, for tomography."""

import numpy as np
from jaxtyping import Float


def phantoms(count: int, side: int, seed: int) -> Float[np.ndarray, "n s s 1"]:
    """Sums of random ellipses within a larger one, clipped to [0, 1], from a seed."""
    rng = np.random.default_rng(seed)
    return np.stack([_phantom(rng, side) for _ in range(count)])


def _phantom(rng: np.random.Generator, side: int) -> Float[np.ndarray, "s s 1"]:
    head = rng.uniform(0.6, 0.9, 2)
    turn = rng.uniform(0, np.pi)
    image = rng.uniform(0.4, 1.0) * _ellipse(side, (0.0, 0.0), head, turn)
    rim = rng.uniform(0.85, 0.97)
    inside = _ellipse(side, (0.0, 0.0), rim * head, turn)
    image += (rng.uniform(0.1, 0.5) - image.max()) * inside * (rng.random() < 0.7)
    for _ in range(rng.integers(4, 16)):
        centre = rng.uniform(-0.6, 0.6, 2)
        axes = rng.uniform(0.02, 0.3, 2)
        image += rng.uniform(-0.3, 0.5) * inside * _ellipse(side, centre, axes, rng.uniform(0, 3.2))
    return np.clip(image, 0, 1)[..., None].astype(np.float32)


def _ellipse(side: int, centre: object, axes: object, angle: float) -> np.ndarray:
    """The share of each pixel that is covered, by 3x3 points; coordinates in [-1, 1]."""
    grid = (np.arange(3 * side) + 0.5) / (1.5 * side) - 1
    x, y = (g - c for g, c in zip(np.meshgrid(grid, grid), np.asarray(centre), strict=True))
    first, second = np.asarray(axes)
    cosine, sine = np.cos(angle), np.sin(angle)
    within = ((cosine * x + sine * y) / first) ** 2 + ((cosine * y - sine * x) / second) ** 2 <= 1
    return within.reshape(side, 3, side, 3).mean(axis=(1, 3))
