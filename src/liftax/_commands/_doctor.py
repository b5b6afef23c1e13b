"""``liftax doctor``: what a bug report needs."""

import importlib.metadata
import os
import platform
import re
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from liftax.data import load
from liftax.methods import OneSweep
from liftax.networks import mlp
from liftax.training import fit

_SETTINGS = re.compile(r"(JAX|XLA|LIFTAX|XDG_CACHE|OMP|OPENBLAS|CUDA|NPROC)")
_DEVELOPMENT = re.compile(r"extra == .(dev|docs|test)\b")
_NAME = re.compile(r"[\w.-]+")


def doctor() -> dict[str, Any]:
    """Versions, devices, settings, and whether a small network can be trained."""
    config: Any = jax.config
    return {
        "liftax": importlib.metadata.version("liftax"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "backend": jax.default_backend(),
        "devices": [str(device) for device in jax.devices()],
        "packages": _packages(),
        "jax settings": {
            "x64": bool(config.jax_enable_x64),
            "program cache": config.jax_compilation_cache_dir,
        },
        "environment": {n: os.environ[n] for n in sorted(os.environ) if _SETTINGS.match(n)},
        "check": _check(),
    }


def _packages() -> dict[str, str]:
    """What liftax needs or can use, and which version is there."""
    every = importlib.metadata.requires("liftax") or []
    needed = [entry for entry in every if not _DEVELOPMENT.search(entry)]
    names = {match[0] for entry in needed if (match := _NAME.match(entry))}
    found = {}
    for name in sorted(names - {"liftax"} | {"jaxlib"}, key=str.lower):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _check() -> dict[str, Any]:
    """Two epochs on the digits in the package."""
    try:
        begin = time.perf_counter()
        data = load("digits")
        result = fit(mlp([64, 32, 10]), data, OneSweep(optax.adam(1e-2)), epochs=2, progress=False)
        accuracy = float(result.history["validation_accuracy"][-1])
        finite = bool(np.isfinite(np.asarray(jnp.ravel(result.params["layer1"]["weight"]))).all())
    except Exception as error:  # whatever is wrong here is what the report is for
        return {"trained": False, "error": f"{type(error).__name__}: {error}"}
    return {
        "trained": finite and accuracy > 0.5,
        "accuracy after 2 epochs": accuracy,
        "seconds": time.perf_counter() - begin,
    }
