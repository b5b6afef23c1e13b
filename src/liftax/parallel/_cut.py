"""Which stage computes an operation: as few bytes as can be go from one stage to another."""

import math
from typing import Any

import numpy as np

from liftax.parallel._flat import SHARED, Flat


def stages_of(flat: Flat, given: list[int], wanted: list[int], count: int) -> list[int]:
    r"""The stage of every operation, `SHARED` for what each stage computes for itself.

    Among all choices with $0\le l_o<K$ that leave the operations of one stage there, the least

    $$\sum_v b_v\Big[\big(\max_{o\in R(v)}l_o - l_v\big)_+
      + \big(l_v - \min_{o\in R(v)}l_o\big)_+\Big]$$

    over the values $v$ of $b_v$ bytes, made on the stage $l_v$ and read by the operations $R(v)$:
    bytes times the stages that they pass. As stages stand in a row it falls apart into $K-1$
    minimum cuts, "up to stage $k$, or behind it".

    Args:
        flat: the function.
        given: stage of every input, or `SHARED`.
        wanted: stage that an output is to be on, or -1.
        count: $K$.

    Source: Ishikawa (2003), exact optimisation for convex priors.
    """
    graph = _Graph(flat, given, wanted)
    behind = [graph.behind(stage) for stage in range(count - 1)]
    found = [int(sum(cut[k] for cut in behind)) for k in range(len(flat.operations))]
    shared = [operation.stage == SHARED for operation in flat.operations]
    return [SHARED if every else stage for every, stage in zip(shared, found, strict=True)]


class _Graph:
    """Operations, and two more knots for each value, for what goes up and what comes down."""

    def __init__(self, flat: Flat, given: list[int], wanted: list[int]):
        operations = flat.operations
        makers: dict[int, int] = {}
        self.pins: dict[int, int] = {}
        self.edges: list[tuple[int, int, int]] = []  # from, to, bytes or -1 for no limit
        for place, operation in enumerate(operations):
            makers.update(dict.fromkeys(operation.outputs, place))
            if operation.stage >= 0:
                self.pins[place] = operation.stage
        self.size = len(operations)
        readers: dict[int, set[int]] = {}
        for place, operation in enumerate(operations):
            if operation.stage != SHARED:
                for value in operation.inputs:
                    if isinstance(value, int):
                        readers.setdefault(value, set()).add(place)
        for value, stage in zip(flat.inputs, given, strict=True):
            if stage >= 0:
                makers[value] = self._pinned(stage)
        for value, stage in zip(flat.outputs, wanted, strict=True):
            if isinstance(value, int) and stage >= 0:
                readers.setdefault(value, set()).add(self._pinned(stage))
        for value, found in readers.items():
            shared = value not in makers or (
                makers[value] < len(operations) and operations[makers[value]].stage == SHARED
            )
            if not shared:
                self._value(makers[value], found - {makers[value]}, flat.kinds[value])

    def _pinned(self, stage: int) -> int:
        self.size += 1
        self.pins[self.size - 1] = stage
        return self.size - 1

    def _value(self, maker: int, readers: set[int], kind: Any) -> None:
        """It goes up if any reader is behind, and comes down if any is before."""
        if not readers:
            return
        up, down = self.size, self.size + 1
        self.size += 2
        size = max(math.prod(kind.shape) * kind.dtype.itemsize, 1)
        self.edges += [(maker, up, size), (down, maker, size)]
        self.edges += [(up, reader, -1) for reader in readers]
        self.edges += [(reader, down, -1) for reader in readers]

    def behind(self, stage: int) -> np.ndarray:
        """Which operations come behind this stage: a minimum cut."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow

        source, sink = self.size, self.size + 1
        ends = [(source, k, -1) if pin <= stage else (k, sink, -1) for k, pin in self.pins.items()]
        tails, heads, sizes = (np.array(column) for column in zip(*self.edges, *ends, strict=True))
        # Capacities are 32-bit numbers; what has no limit must exceed all the rest.
        limited = sizes >= 0
        unit = max(1.0, float(sizes[limited].sum()) / 2**28)
        capacity = np.where(limited, np.maximum(sizes / unit, 1), 2**29).astype(np.int32)
        shape = (self.size + 2, self.size + 2)
        graph = csr_array((capacity, (tails, heads)), shape)
        flow = maximum_flow(graph, source, sink).flow
        rest = graph - flow
        rest.data = np.maximum(rest.data, 0)
        rest.eliminate_zeros()
        before = breadth_first_order(rest, source, return_predecessors=False)
        found = np.ones(self.size + 2, bool)
        found[before] = False
        return found[: self.size]
