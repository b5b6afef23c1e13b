"""Total variation denoising against scikit-image: time and objective, side by side.

``python benchmarks/tv_denoising.py [OUT.json]``. Both run 300 iterations on the same noisy picture
of 256x256 pixels in single precision, in turn. The objective is compared with that of 20,000
iterations in double precision, which its own gap certifies.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import skimage
from skimage.data import camera
from skimage.restoration import denoise_tv_chambolle
from skimage.transform import resize

from liftax.imaging import total_variation, tv_denoise

WEIGHT, ITERATIONS, ROUNDS = 0.08, 300, 9


def main(out: Path | None) -> None:
    """Run and print."""
    clean = resize(camera(), (256, 256), anti_aliasing=True)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    jax.config.update("jax_enable_x64", True)
    best = jax.jit(lambda y: tv_denoise(y, WEIGHT, 20_000))(noisy[..., None])

    image = jnp.asarray(noisy[..., None], jnp.float32)
    ours = jax.jit(lambda y: tv_denoise(y, WEIGHT, ITERATIONS).x)
    theirs = np.asarray(noisy, np.float32)
    programs = {
        "liftax": lambda: np.asarray(jax.block_until_ready(ours(image)))[..., 0],
        "scikit-image": lambda: denoise_tv_chambolle(
            theirs, WEIGHT, eps=0, max_num_iter=ITERATIONS
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    images = {name: program() for name, program in programs.items()}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            begin = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - begin)

    def excess(x: np.ndarray) -> float:
        x = np.asarray(x, np.float64)
        energy = 0.5 * np.sum((x - noisy) ** 2) + WEIGHT * float(total_variation(x[..., None]))
        return energy / float(best.energy) - 1

    found = {
        name: {"seconds": statistics.median(seconds[name]), "excess": excess(images[name])}
        for name in programs
    }
    ratio = statistics.median(
        a / b for a, b in zip(seconds["liftax"], seconds["scikit-image"], strict=True)
    )
    report = {
        "programs": found,
        "time_ratio": ratio,
        "excess_ratio": found["liftax"]["excess"] / found["scikit-image"]["excess"],
        "relative_gap_of_the_reference": float(best.gap / best.energy),
        "versions": {"jax": jax.__version__, "scikit-image": skimage.__version__},
    }
    for name, row in found.items():
        print(f"{name:13} {1e3 * row['seconds']:7.1f} ms   excess {row['excess']:.2e}")
    print(f"time ratio {ratio:.2f}, ratio of the excess {report['excess_ratio']:.3f}")
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
