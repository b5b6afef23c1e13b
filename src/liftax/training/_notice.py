"""SIGTERM: a cluster wants its machine back."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Notice:
    """Whether SIGTERM came, asked between steps; with several processes they agree on a step.

    Inside ``with`` the signal is noted instead of ending the program, if `wanted`. JAX takes it
    itself where there are several processes.
    """

    def __init__(self, wanted: bool):
        several = jax.process_count() > 1
        main = threading.current_thread() is threading.main_thread()
        self._shared, self._own = wanted and several, wanted and main and not several
        self._came = False
        self._before: Any = None

    def __enter__(self) -> "Notice":
        if self._own:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own:
            signal.signal(signal.SIGTERM, self._before)

    def came(self, step: int) -> bool:
        """Whether to save this step and leave."""
        if self._shared:
            return bool(multihost_utils.reached_preemption_sync_point(step))
        return self._came

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
