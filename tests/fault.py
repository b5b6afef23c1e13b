"""One plausible mistake."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One line of a file of src/liftax changed, and the test that must fail."""

    file: str
    old: str
    new: str
    test: str
