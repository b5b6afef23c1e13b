"""What every program that is timed does: build, compile, then run steps whenever it is asked to."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(build: Callable[[list[int], int], Callable[[], Any]]) -> None:
    """Answers each line ``N`` on standard input with the seconds of N steps.

    Arguments: widths of the network, joined by commas; iterations of inference. The seconds are
    those of the process on its processors, not of the clock: other work on the machine counts
    little.

    Args:
        build: (widths, iterations) → a step without arguments, which waits until it is done.
    """
    widths, iterations = [int(n) for n in sys.argv[1].split(",")], int(sys.argv[2])
    step = build(widths, iterations)
    begin = time.perf_counter()
    step()
    answer({"compile": time.perf_counter() - begin, "pid": os.getpid()})
    for line in sys.stdin:
        begin = time.process_time()
        for _ in range(int(line)):
            step()
        answer({"seconds": time.process_time() - begin})


def answer(found: dict[str, Any]) -> None:
    """One line of JSON."""
    print(json.dumps(found), flush=True)


def batch(widths: list[int], size: int = 128) -> tuple[Any, Any]:
    """Random inputs and one-hot targets, the same for all programs."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((size, widths[0]), np.float32)
    return x, np.eye(widths[-1], dtype=np.float32)[rng.integers(0, widths[-1], size)]
