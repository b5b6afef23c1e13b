"""Whether arguments are of the kind that is meant, said in one voice."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_kind(value: Any, kind: Any, argument: str, wanted: str) -> None:
    """Refuse a value of another kind.

    Args:
        value: what came.
        kind: a class, or several as a union.
        argument: its name.
        wanted: what it must be, with an example.

    Raises:
        ValueError: naming the argument, what it must be, and what came.
    """
    if not isinstance(value, kind):
        raise ValueError(f"{argument} must be {wanted}, got {named(value)}")


def check_count(value: Any, argument: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: naming the argument and what came.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{argument} must be a whole number of at least 1, got {value!r}")
    return int(value)


def check_floating(dtype: Any, argument: str) -> np.dtype:
    """A floating-point type that JAX has switched on.

    Raises:
        ValueError: for any other, saying how double precision is switched on.
    """
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        raise ValueError(
            f"{argument} must be a floating-point type such as jnp.float32 or jnp.bfloat16, got "
            f"{dtype!r}"
        ) from None
    if not jnp.issubdtype(found, jnp.floating):
        raise ValueError(
            f"{argument} must be a floating-point type such as jnp.float32, got {found.name}"
        )
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise ValueError(
            f"{argument}: JAX has {found.name} switched off; switch it on before all else by "
            'jax.config.update("jax_enable_x64", True)'
        )
    return found


def named(value: Any) -> str:
    """What came, in a few words; of a class or a function that it was not called."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself; call it"
    if isinstance(value, str | int | float) or value is None:
        return repr(value)
    name = getattr(value, "__name__", None)
    return type(value).__name__ if name is None else f"the function {name}"
