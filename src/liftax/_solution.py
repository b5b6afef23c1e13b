"""Why an algorithm stopped or cannot start: sentences."""

import enum


class Reason(enum.Enum):
    """Why a run ended."""

    COMPLETED = "all epochs were run"
    NOT_FINITE = "the training loss became infinite or NaN: take a smaller step"
    STOPPED = "a callback asked to stop"
    CERTIFIED = "the gap is below the tolerance"
    BUDGET = "all iterations were made, and the gap is above the tolerance: allow more"
    SETTLED = "the input changes by less than the tolerance"
    MOVING = "all iterations were made, and the input still changes: allow more"
    DIVERGED = "values became infinite or NaN: take a smaller step or ratio, and a finite start"

    def __str__(self) -> str:
        return self.value


class NoClosedForm(ValueError):
    """A block was to be solved in closed form, and has none; the message says why."""
