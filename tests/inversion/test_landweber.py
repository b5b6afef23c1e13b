"""Landweber iterations: closed form, monotone residuals, the stop."""

import jax.numpy as jnp
import numpy as np
import pytest

from liftax.inversion import landweber
from tests.inversion.problems import SHAPE, layer


def test_on_a_linear_network_it_is_the_filter_of_its_singular_values() -> None:
    """x_k = Σ (1 - (1 - t s²)^k)/s <y - b, u_i> v_i from 0."""
    network, params, x, _ = layer("identity")
    y = np.asarray(network(params, jnp.asarray(x))) + 0.1
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))
    u, s, v = np.linalg.svd(w, full_matrices=False)
    step = 1.5 / s[0] ** 2
    found = landweber(network, params, y, 0.0, step, iterations=30)
    gains = (1 - (1 - step * s**2) ** 30) / s
    expected = ((y - b) @ v.T * gains) @ u.T
    np.testing.assert_allclose(found.x.reshape(2, -1), expected, atol=1e-12)
    assert np.all(np.diff(found.residuals, axis=0) <= 1e-14)
    assert found.stopped.tolist() == [30, 30] and not found.met.any()


def test_it_stops_at_the_first_residual_below_the_discrepancy() -> None:
    network, params, _, y = layer()
    free = landweber(network, params, y, 0.0, 0.1, iterations=200)
    delta = np.array([1.0, 1e-9])
    found = landweber(network, params, y, delta * free.residuals[50], 0.1, factor=1.0)
    assert found.met.tolist() == [True, False]
    assert found.stopped[0] == int(np.argmax(free.residuals[:, 0] <= free.residuals[50, 0]))
    miss = np.linalg.norm(network(params, found.x)[0] - y[0])
    assert found.residuals[-1, 0] == pytest.approx(miss)
    same = landweber(network, params, y, 0.0, 0.1, iterations=int(found.stopped[0]))
    np.testing.assert_allclose(found.x[0], same.x[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros((2, 3))}, "y has the shape"),
        ({"start": np.zeros(SHAPE)}, "start has the shape"),
        ({"step": 0.0}, "step must be positive"),
        ({"factor": 0.9}, "factor must be at least 1"),
        ({"delta": -1.0}, "delta must be at least 0"),
    ],
)
def test_misuse_is_named(change: dict, message: str) -> None:
    network, params, _, y = layer()
    given = {"y": y, "delta": 0.1, "step": 0.1, "factor": 1.1, "start": None, **change}
    order = (given.pop("y"), given.pop("delta"), given.pop("step"))
    with pytest.raises(ValueError, match=message):
        landweber(network, params, *order, **given)
