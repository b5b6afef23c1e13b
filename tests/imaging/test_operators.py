"""The contract of operators: adjoints and norms against dense matrices, precision, batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from liftax.affine import Fixed
from liftax.imaging import (
    AbstractOperator,
    Blur,
    Compose,
    Downsample,
    FiniteDifferences,
    Fourier,
    FromFunction,
    Identity,
    Mask,
    Normal,
    Radon,
    Wavelets,
    adjoint,
    box_kernel,
    check_linear,
    gaussian_kernel,
    motion_kernel,
    power_norm,
    random_mask,
)
from tests.helpers import compiled, quick

RNG = np.random.default_rng(0)
SHAPE = (9, 8, 2)
PLANE = (9, 8, 1)
KERNEL = RNG.normal(size=(3, 5))
COILS = RNG.normal(size=(3, 9, 8)) + 1j * RNG.normal(size=(3, 9, 8))
VISIBLE = RNG.integers(0, 2, (9, 8)).astype(float)
OPERATORS: dict[str, AbstractOperator] = {
    "identity": Identity(SHAPE),
    "mask": Mask(VISIBLE, 2),
    "mask of channels": Mask(RNG.uniform(size=SHAPE)),
    "blur, periodic": Blur(SHAPE, KERNEL, "periodic"),
    "blur, symmetric": Blur(SHAPE, KERNEL),
    "blur, zero": Blur(SHAPE, KERNEL, "zero"),
    "wide blur, periodic": Blur(SHAPE, RNG.normal(size=(9, 7)), "periodic"),
    "wide blur, symmetric": Blur(SHAPE, RNG.normal(size=(9, 7))),
    "wide blur, zero": Blur(SHAPE, RNG.normal(size=(9, 7)), "zero"),
    "means": Downsample((6, 9, 2), 3),
    "every other": Downsample((6, 8, 2), 2, average=False),
    "differences": FiniteDifferences(SHAPE),
    "radon": Radon(PLANE, np.arange(0, 180, 20)),
    "radon, few detectors": Radon(PLANE, [10.0, 80.0, 200.0], 7),
    "fourier": Fourier(VISIBLE),
    "fourier of complex": Fourier(VISIBLE, complex_images=True),
    "coils": Fourier(VISIBLE, COILS),
    "coils of complex": Fourier(VISIBLE, COILS, complex_images=True),
    "wavelets": Wavelets((12, 8, 2), "db2", 2),
    "composition": Compose(Downsample(SHAPE, 1), Blur(SHAPE, KERNEL)),
    "function": FromFunction(lambda x: x[::2] - 3 * x[:5, :, ::-1], SHAPE),
    "normal": Normal(FiniteDifferences(SHAPE)),
}


# Those that share their code with another (the composition blurs with symmetric boundaries).
SLOW = (
    *("blur, symmetric", "blur, zero", "wide blur, periodic", "wide blur, zero"),
    *("radon", "fourier of complex", "coils of complex"),
)


@pytest.mark.parametrize("name", quick(OPERATORS, *(n for n in OPERATORS if n not in SLOW)))
def test_adjoint_and_norm_are_those_of_the_matrix(name: str) -> None:
    operator = OPERATORS[name]
    size = int(np.prod(operator.in_shape))
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *operator.in_shape))
    y = rng.normal(size=operator.out_shape)

    @compiled
    def run(x, y):
        columns = jax.vmap(operator.apply)(jnp.eye(size).reshape(size, *operator.in_shape))
        single = operator.apply(x[0].astype(jnp.float32))
        back = adjoint(operator, y.astype(jnp.float32))
        return (
            columns.reshape(size, -1),
            jax.vmap(operator.apply)(x),
            adjoint(operator, y),
            operator.norm(),
            (single, back),
        )

    matrix, images, back, norm, singles = run(x, y)
    for image, example in zip(images, x, strict=True):
        np.testing.assert_allclose(image.ravel(), example.ravel() @ matrix, atol=1e-12)
    np.testing.assert_allclose(back.ravel(), matrix @ y.ravel(), atol=1e-12)
    exact = np.linalg.norm(matrix, 2)
    assert norm <= exact * (1 + 1e-12)
    np.testing.assert_allclose(norm, exact, rtol=5e-3)
    assert {v.dtype for v in singles} == {np.dtype(np.float32)}
    np.testing.assert_allclose(singles[0], images[0], atol=1e-4)
    np.testing.assert_allclose(singles[1], back, atol=1e-4)


@pytest.mark.parametrize("boundary", ["periodic", "symmetric", "zero"])
def test_blur_is_a_convolution(boundary: str) -> None:
    x = jax.device_put(RNG.normal(size=(20, 17, 1)))
    modes = {"periodic": "wrap", "symmetric": "reflect", "zero": "constant"}
    for kernel in (KERNEL, RNG.normal(size=(9, 11))):
        blur = Blur(x.shape, kernel, boundary)
        found = jax.jit(lambda x, blur=blur: blur.apply(x))(x)
        expected = scipy.ndimage.convolve(x[..., 0], kernel, mode=modes[boundary])
        np.testing.assert_allclose(found[..., 0], expected, atol=1e-12)


def test_kernels() -> None:
    """Unit sum; the Gaussian has its variance, the line its direction and length."""
    gaussian, box, line = gaussian_kernel(1.5), box_kernel(5), motion_kernel(9.0, 30.0)
    for kernel in (gaussian, box, line):
        np.testing.assert_allclose(np.sum(kernel), 1)
        np.testing.assert_allclose(kernel, np.asarray(kernel)[::-1, ::-1], atol=1e-12)

    def moments(kernel):
        reach = kernel.shape[0] // 2
        down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        places = np.stack([right.ravel(), -down.ravel()])
        return (places * np.ravel(kernel)) @ places.T

    np.testing.assert_allclose(moments(gaussian), 2.25 * np.eye(2), atol=5e-3)
    along = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])
    np.testing.assert_allclose(along @ moments(line) @ along, 81 / 12, rtol=0.05)
    across = np.array([-along[1], along[0]])
    assert across @ moments(line) @ across < 0.3


def test_a_random_mask_shows_its_share() -> None:
    mask = np.asarray(random_mask(jax.random.key(0), (200, 200), 0.3))
    assert set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_allclose(mask.mean(), 0.3, atol=0.01)


def test_the_power_norm_of_a_diagonal() -> None:
    """A mask with well separated entries, to rounding."""
    mask = np.array([[3.0, 1.0], [0.5, 2.0]])
    np.testing.assert_allclose(power_norm(Mask(mask), 100), 3, rtol=1e-12)


def test_misuse_is_named() -> None:
    x = jnp.zeros((4, 4, 1))
    with pytest.raises(ValueError, match=r"x has the shape \(4, 4, 1\), this Blur takes"):
        Blur(SHAPE, KERNEL).apply(x)
    with pytest.raises(ValueError, match=r"y has the shape \(4, 4, 1\), the operator maps to"):
        adjoint(FiniteDifferences((4, 4, 1)), x)
    with pytest.raises(ValueError, match="two odd sides"):
        Blur(SHAPE, np.ones((2, 3)))
    with pytest.raises(ValueError, match="larger than the image"):
        Blur((3, 3, 1), np.ones((5, 5)))
    with pytest.raises(ValueError, match="boundary must be one of"):
        Blur(SHAPE, KERNEL, "reflect")
    with pytest.raises(ValueError, match="factor must divide height and width, got 2"):
        Downsample((5, 4, 1), 2)
    with pytest.raises(ValueError, match="mask must be"):
        Mask(np.ones(3))
    with pytest.raises(ValueError, match=r"share must lie in \[0, 1\], got 2"):
        random_mask(jax.random.key(0), (2, 2), 2)
    with pytest.raises(ValueError, match="outer takes"):
        Compose(Identity((2, 2, 1)), Identity((3, 2, 1)))
    with pytest.raises(ValueError, match=r"in_shape must be \(height, width, 1\)"):
        Radon((4, 4, 3), [0.0])
    with pytest.raises(ValueError, match="detectors must be at least 1, got 0"):
        Radon((4, 4, 1), [0.0], 0)
    with pytest.raises(ValueError, match="both sides divisible by 8"):
        Wavelets((16, 12, 1))
    with pytest.raises(ValueError, match="levels must be at least 1"):
        Wavelets((16, 12, 1), levels=0)
    with pytest.raises(ValueError, match="'db99' is unknown"):
        Wavelets((16, 16, 1), "db99")
    with pytest.raises(ValueError, match=r"'bior2\.2' is not orthogonal"):
        Wavelets((16, 16, 1), "bior2.2")
    with pytest.raises(ValueError, match="sensitivities must be"):
        Fourier(np.ones((4, 4)), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        gaussian_kernel(0)
    with pytest.raises(ValueError, match="side must be odd, got 4"):
        box_kernel(4)
    with pytest.raises(ValueError, match="length must be positive, got 0"):
        motion_kernel(0, 0)


def test_operators_are_called_and_have_transposes() -> None:
    operator = FromFunction(lambda x: 2 * x[1:], PLANE)
    x = jax.device_put(RNG.normal(size=PLANE))
    np.testing.assert_array_equal(operator(x), 2 * x[1:])
    np.testing.assert_array_equal(operator.T(operator(x))[1:], 4 * x[1:])
    check_linear(operator, operator.norm())


@jax.custom_vjp
def wrong(x):
    return 2 * x


wrong.defvjp(lambda x: (2 * x, None), lambda _, y: (3 * y,))


def test_functions_that_are_no_operators_are_refused() -> None:
    function: Any
    for function, words in (
        (3, "must be a function of one image, got 3"),
        (lambda x: x + 1, "is not linear.*of an affine map"),
        (lambda x: np.asarray(x), r"must be one of JAX \(jax.numpy\) of an image \(9, 8, 1\)"),
        (lambda x: x[:, :, 5:] @ x, "must be one of JAX"),
        (jnp.fft.fft2, "stack real and imaginary part"),
        (lambda x: (x, x), "must give one array"),
        (wrong, "the adjoint of FromFunction is not that of its apply"),
    ):
        with pytest.raises(ValueError, match=words):
            FromFunction(function, PLANE)
    with pytest.raises(ValueError, match=r"operator must be one of liftax.imaging, got custom_vjp"):
        Fixed(function)
    with pytest.raises(ValueError, match=r"FromFunction.function, in_shape"):
        adjoint(function, jnp.zeros(PLANE))
