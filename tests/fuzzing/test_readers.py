"""Whatever a file holds, a reader gives a result or an error with a sentence."""

from pathlib import Path
from random import Random

import pytest
from fuzz.readers import READERS, changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("examples", [6, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # decoders warn of what they meet
def test_changed_files(name: str, examples: int, tmp_path: Path) -> None:
    reader = READERS[name]
    seeds = reader.seeds(tmp_path)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=CHECKS,
    )
    @given(st.integers(0, 2**32), st.integers(1, 4))
    def check(seed: int, changes: int) -> None:
        random = Random(seed)
        content = random.choice(seeds)
        for _ in range(changes):
            content = changed(content, reader.mutation, random)
        reader.check(content, tmp_path)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read(name: str, tmp_path: Path) -> None:
    """Otherwise the changes would test the first line of a reader only."""
    reader = READERS[name]
    assert all([reader.check(seed, tmp_path) for seed in reader.seeds(tmp_path)])
