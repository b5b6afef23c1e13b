"""Half-quadratic splitting against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.imaging import Blur, half_quadratic

KERNEL = np.array([[0.1, 0.2, 0.0], [0.1, 0.9, 0.1], [0.0, 0.1, 0.05]])
BLUR = Blur((5, 6, 1), KERNEL, "zero")
Y = np.random.default_rng(0).normal(size=(5, 6, 1))


@pytest.mark.slow
def test_steps_are_dense_solves() -> None:
    """With a denoiser that shrinks, three levels."""
    matrix = np.asarray(jax.jacobian(BLUR.apply)(jnp.zeros((5, 6, 1)))).reshape(30, 30)
    levels, noise, weight = [0.5, 0.2, 0.1], 0.1, 0.3
    z = matrix.T @ Y.ravel()
    for sigma in levels:
        rho = weight * (noise / sigma) ** 2
        x = np.linalg.solve(matrix.T @ matrix + rho * np.eye(30), matrix.T @ Y.ravel() + rho * z)
        z = x / (1 + sigma)
    found = half_quadratic(
        BLUR, Y, lambda x, s: x / (1 + s), levels, noise, weight=weight, inner=100
    )
    np.testing.assert_allclose(found.ravel(), z, rtol=1e-4, atol=1e-5)


def test_wrong_input_is_refused() -> None:
    for words, levels, noise in (("levels and noise", [0.1, 0.0], 0.1), ("levels", 0.1, 0.0)):
        with pytest.raises(ValueError, match=words):
            half_quadratic(BLUR, Y, lambda x, s: x, levels, noise)
    with pytest.raises(ValueError, match="start has the shape"):
        half_quadratic(BLUR, Y, lambda x, s: x, [0.1], 0.1, start=np.zeros((2, 2, 1)))
