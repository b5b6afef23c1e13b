"""The table of mistakes keeps up with the source."""

from tests.faults import FAULTS
from tests.house.sources import SOURCE


def test_every_fault_is_in_the_source_once() -> None:
    stale = [
        (fault.file, fault.old)
        for fault in FAULTS
        if (SOURCE / fault.file).read_text().count(fault.old) != 1
    ]
    assert not stale
