"""LISTA with the matrices of ISTA is ISTA."""

import jax
import numpy as np
import pytest

from liftax.networks import lista


@pytest.mark.parametrize("tied", [True, False])
def test_equal_matrices_give_ista(tied: bool) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 6))
    w /= 1.1 * np.linalg.norm(w, 2)
    network = lista(4, 6, 5, tied=tied, threshold=0.1)
    params = jax.eval_shape(network.init, jax.random.key(0))
    filled = {
        name: {"threshold": np.array(0.1)}
        if name.endswith(".potential")
        # A dense layer maps rows: its weight is the transpose of the matrix.
        else {"weight": w.T if name.startswith("r") else w}
        for name in params
    }
    y = rng.normal(size=(3, 4))
    u = np.zeros((3, 6))
    for _ in range(5):
        v = u - (u @ w.T - y) @ w
        u = np.sign(v) * np.maximum(np.abs(v) - 0.1, 0)
    np.testing.assert_allclose(jax.jit(network)(filled, y), u, atol=1e-12)


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        lista(4, 6, 0)
