"""Whole runs: optax's Adam mixes dtypes, so that strict promotion stays with the numerical tests."""

import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield
