"""Versions that a figure may depend on."""

import importlib.metadata
import platform

_NAMES = ("liftax", "jax", "jaxlib", "equinox", "optax", "numpy")


def versions() -> dict[str, str]:
    """Of the packages, of Python, and the backend of JAX."""
    import jax

    found = {name: importlib.metadata.version(name) for name in _NAMES}
    return {**found, "python": platform.python_version(), "backend": jax.default_backend()}
