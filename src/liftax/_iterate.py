"""The one place where the library loops inside compiled code.

Every algorithm states a step; how often it runs is decided here. A house test refuses
``lax.scan``, ``lax.while_loop`` and ``lax.fori_loop`` anywhere else.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

State = TypeVar("State")


def repeat(step: Callable[[State], State], state: State, num_steps: Any) -> State:
    """Apply ``step`` ``num_steps`` times; a traced ``num_steps`` gives one program for all."""
    return jax.lax.fori_loop(0, num_steps, lambda _, s: step(s), state)


def between(step: Callable[[Any, State], State], state: State, start: Any, stop: Any) -> State:
    """``state = step(t, state)`` for ``t = start, ..., stop - 1``; both ends may be traced."""
    return jax.lax.fori_loop(start, stop, step, state)


def scan(
    step: Callable[[State, Any], tuple[State, Any]], state: State, xs: Any, reverse: bool = False
) -> Any:
    """``state, y = step(state, x)`` along the leading axis of ``xs``; returns ``(state, ys)``.

    With `reverse` from the end of ``xs`` to its beginning; ``ys`` stand as ``xs`` do.
    """
    return jax.lax.scan(step, state, xs, reverse=reverse)


def until(
    step: Callable[[State], State],
    state: State,
    done: Callable[[State], Any],
    max_steps: Any,
) -> tuple[State, Any]:
    """Apply ``step`` until ``done(state)`` or ``max_steps``; returns state and steps taken."""

    def unfinished(carry: tuple[State, Any]) -> Any:
        return jnp.logical_and(carry[1] < max_steps, jnp.logical_not(done(carry[0])))

    def advance(carry: tuple[State, Any]) -> tuple[State, Any]:
        return step(carry[0]), carry[1] + 1

    return jax.lax.while_loop(unfinished, advance, (state, jnp.asarray(0, jnp.int32)))
