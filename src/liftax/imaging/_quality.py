"""How near an image is to another one."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from liftax._pixels import check_channels, check_numbers
from liftax.imaging._blur import Blur, box_kernel, gaussian_kernel


def psnr(x: ArrayLike, reference: ArrayLike, data_range: float = 1.0) -> Float[Array, ""]:
    r"""Peak signal-to-noise ratio $10\log_{10}(\mathrm{range}^2/\mathrm{mse})$ in dB.

    Of images of one shape, with any number of axes; infinite if they are equal.

    Raises:
        ValueError: for integers, and images of different shapes.
    """
    image, true = jnp.asarray(x), jnp.asarray(reference)
    for array, name in ((image, "x"), (true, "reference")):
        check_numbers(array, name)
    if image.shape != true.shape:
        raise ValueError(
            f"x and reference must have the same shape, got {image.shape} and {true.shape}"
        )
    error = jnp.mean((image - true) ** 2)
    return 10 * jnp.log10(jnp.asarray(data_range, error.dtype) ** 2 / error)


def ssim(
    x: ArrayLike,
    reference: ArrayLike,
    data_range: float = 1.0,
    gaussian: bool = False,
) -> Float[Array, ""]:
    r"""Structural similarity of (height, width, channels), at most 1, the mean over all of it.

    Local means and (unbiased) covariances over windows of 7x7 pixels that lie in the image, and
    $c_1 = (0.01\,\mathrm{range})^2$, $c_2 = (0.03\,\mathrm{range})^2$: the defaults of
    scikit-image. With `gaussian` the weights and (biased) covariances of the original paper:
    σ = 1.5, 11x11 pixels.

    Raises:
        ValueError: for integers, and images of different shapes, channels first, or smaller than
            the window.

    Source: Wang, Bovik, Sheikh & Simoncelli (2004).
    """
    side = 11 if gaussian else 7
    x, reference = jnp.asarray(x), jnp.asarray(reference)
    for array, name in ((x, "x"), (reference, "reference")):
        check_numbers(array, name)
        check_channels(array, name)
    if x.shape != reference.shape or x.ndim != 3 or min(x.shape[:2]) < side:
        raise ValueError(
            "x and reference must be (height, width, channels), of the same shape and at least "
            f"{side} pixels wide, got {x.shape} and {reference.shape}"
        )
    kernel = gaussian_kernel(1.5, side // 2) if gaussian else box_kernel(side)
    window = Blur(x.shape, kernel, "zero")
    inside = slice(side // 2, -(side // 2))

    def mean(image: Array) -> Array:
        return window.apply(image)[inside, inside]

    unbiased = 1.0 if gaussian else side**2 / (side**2 - 1)
    a, b = mean(x), mean(reference)
    variance_a, variance_b, covariance = (
        jnp.asarray(unbiased, x.dtype) * (mean(p * q) - m * n)
        for p, q, m, n in ((x, x, a, a), (reference, reference, b, b), (x, reference, a, b))
    )
    c1, c2 = ((jnp.asarray(np.square(k * data_range), x.dtype)) for k in (0.01, 0.03))
    upper = (2 * a * b + c1) * (2 * covariance + c2)
    return jnp.mean(upper / ((a**2 + b**2 + c1) * (variance_a + variance_b + c2)))
