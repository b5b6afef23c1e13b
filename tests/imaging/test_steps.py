"""Steps on a data term against dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from liftax.imaging import (
    Adjoint,
    Blur,
    DataStep,
    Fill,
    FilteredBackProjection,
    Mask,
    Multiple,
    Radon,
    Resolvent,
    filtered_back_projection,
    gaussian_kernel,
)

SHAPE = (4, 5, 1)
KERNEL = np.random.default_rng(0).uniform(size=(3, 3)) / 5
BLUR = Blur(SHAPE, KERNEL, "periodic")
MASK = Mask(np.random.default_rng(1).uniform(size=SHAPE[:2]))


def dense(operator) -> np.ndarray:
    size = int(np.prod(operator.in_shape))
    images = jax.jit(jax.vmap(lambda x: operator.apply(x)))(
        np.eye(size).reshape(size, *operator.in_shape)
    )
    return np.asarray(images).reshape(size, -1).T


@pytest.mark.parametrize("operator", [BLUR, MASK], ids=["blur", "mask"])
def test_steps_are_those_of_the_matrix(operator) -> None:
    a, one = dense(operator), np.eye(20)
    inverse = np.linalg.inv(one + 2.5 * a.T @ a)
    np.testing.assert_allclose(dense(Resolvent(operator, 2.5)), inverse, atol=1e-12)
    np.testing.assert_allclose(dense(DataStep(operator, 0.3)), one - 0.3 * a.T @ a, atol=1e-12)
    np.testing.assert_allclose(dense(Adjoint(operator)), a.T, atol=1e-12)
    np.testing.assert_allclose(dense(Multiple(operator, -2.0)), -2 * a, atol=1e-12)


def test_filtered_back_projection_is_linear_in_the_measurements() -> None:
    radon = Radon((5, 5, 1), (0.0, 45.0, 90.0))
    y = np.random.default_rng(2).normal(size=radon.out_shape)
    found = dense(FilteredBackProjection(radon, "hann")) @ y.ravel()
    expected = np.asarray(filtered_back_projection(radon, jnp.asarray(y), "hann"))
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-12)


def test_a_step_back_by_another_map_is_that_of_the_matrices() -> None:
    radon = Radon((5, 5, 1), (0.0, 45.0, 90.0))
    back = FilteredBackProjection(radon)
    expected = np.eye(25) - 0.4 * dense(back) @ dense(radon)
    step = DataStep(radon, 0.4, back)
    np.testing.assert_allclose(dense(step), expected, atol=1e-12)
    assert float(step.norm()) == pytest.approx(np.linalg.norm(expected, 2), rel=0.02)


def test_missing_pixels_are_filled_by_the_mean_of_their_neighbours() -> None:
    rng = np.random.default_rng(3)
    seen, y = rng.integers(0, 2, (9, 8)), rng.normal(size=(9, 8))

    def near(image: np.ndarray) -> np.ndarray:
        return scipy.ndimage.convolve(image, np.asarray(gaussian_kernel(0.9, 3)), mode="reflect")

    expected = np.where(seen, y, near(seen * y) / near(seen.astype(float)))
    found = Fill(Mask(seen.astype(float))).apply(jnp.asarray(y[..., None]))
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-12)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="Radon has no diagonal form"):
        Resolvent(Radon(SHAPE, (0.0,)), 1.0)
    with pytest.raises(ValueError, match="Blur has no diagonal form"):
        Resolvent(Blur(SHAPE, KERNEL, "zero"), 1.0)
    with pytest.raises(ValueError, match="step must be positive, got 0"):
        Resolvent(BLUR, 0)
    with pytest.raises(ValueError, match="window must be one of"):
        FilteredBackProjection(Radon(SHAPE, (0.0,)), "cosine")
