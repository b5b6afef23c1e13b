"""Whole runs: optax's Adam mixes dtypes, so that promotion is not strict here."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield
