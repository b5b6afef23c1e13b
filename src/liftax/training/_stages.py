"""Training whose layers lie on stages, each with programs of its own."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array

from liftax.networks import Params
from liftax.objectives import LiftedEnergy
from liftax.parallel import Leaf, Placement, Staged, crossing, fetched, node_stages
from liftax.training._engine import (
    Carry,
    Problem,
    Span,
    Totals,
    begun,
    inspected,
    inspected_samples,
    measured,
    moved_on,
)
from liftax.training._stacking import Layers

# Samples of an evaluated batch.
_BATCH = 256


class Stages:
    """The compiled parts of training, `advance` and others, by stages of consecutive nodes.

    What a step computes is the method's; where, follows from where parameters, activations and what
    the method remembers of each node are: all of a node on its stage.

    Attributes:
        place: whose axis ``"layer"`` counts the stages.
        nodes: stage of every node.

    Raises:
        ValueError: for divided parameters, and for more stages than nodes.
    """

    def __init__(self, energy: LiftedEnergy, place: Placement):
        if place.sharded:
            raise ValueError(
                "mesh: parameters of layers on stages are not divided further; use sharded=False"
            )
        self.place, self.nodes = place, node_stages(energy.network, place.layers)
        self.meshes = place.stages
        self._known: dict[Any, Staged] = {}

    def start(self, problem: Problem, params: Params, size: int, key: Array) -> Carry:
        """As the engine's."""
        count = len(problem.x) if problem.method.full_batch else size
        rest: list[Any] = []

        def first(params: Params, x: Array, y: Array, seed: Array) -> Any:
            own = self._own(problem, x, y)
            carry = begun(own, params, count, jax.random.wrap_key_data(seed))
            arrays, others = eqx.partition(carry, eqx.is_array)
            rest.append(others)
            return arrays

        seed = np.asarray(jax.random.key_data(key))
        x, y = (a[:count] for a in (problem.x, problem.y))
        given = (params, x, y, seed)
        where = (self._leaves(params, -1), *[Leaf(None)] * 3)
        run = Staged(first, given, where, lambda out: self._carry(problem, out), self.meshes)
        return eqx.combine(self._told(problem, run(*given)), rest[0])

    def advance(self, work: tuple[Problem, Span], carry: Carry) -> Carry:
        """As the engine's; without any step the programs are compiled only."""
        problem, span = work
        arrays, rest = eqx.partition(carry, eqx.is_array)
        given = (problem.x, problem.y, span.order, _key_data(span.key))
        first, start, stop = (int(t) for t in (span.first, span.start, span.stop))
        ticks = [np.array([t, first], np.int32) for t in range(start, max(stop, start + 1))]
        program = self._step(problem, span.size, rest, (arrays, *given, ticks[0]))
        if start == stop:
            program.compile(arrays, *given, ticks.pop())
        for tick in ticks:
            arrays = self._told(problem, program(arrays, *given, tick))
        return eqx.combine(arrays, rest)

    def sent(self, problem: Problem, carry: Carry, size: int) -> int:
        """Bytes that pass from stage to stage in a step, for the shapes of samples and a carry."""
        arrays, rest = eqx.partition(carry, _is_shape)
        order, seed = (jax.ShapeDtypeStruct((n,), t) for n, t in ((size, int), (2, np.uint32)))
        tick = jax.ShapeDtypeStruct((2,), np.int32)
        given = (arrays, problem.x, problem.y, order, seed, tick)
        return sum(sent.size for sent in self._step(problem, size, rest, given).sent)

    def _step(self, problem: Problem, size: int, rest: Any, given: tuple[Any, ...]) -> Staged:
        """The program of (arrays of the carry, x, y, order, key, step and the first at hand)."""

        def step(arrays: Any, x: Array, y: Array, order: Array, key: Array, tick: Any) -> Any:
            own = self._own(problem, x, y)
            number, first = tick
            span = Span(order, jax.random.wrap_key_data(key), first, number, number + 1, size)
            moved = moved_on(own, span, number, eqx.combine(arrays, rest))
            return eqx.filter(moved, eqx.is_array)

        def lies(carry: Any) -> Any:
            return self._carry(problem, carry)

        own = jax.tree.map(lambda leaf: leaf._replace(spent=True), lies(given[0]), is_leaf=_is_leaf)
        where = (own, *[Leaf(None)] * 5)
        name = "step" if problem.reported else "unreported step"
        return self._program(name, step, given, where, lies)

    def inspect(
        self, problem: Problem, params: Params, state: Any, samples: int
    ) -> tuple[Array, dict, dict]:
        """As the engine's."""
        arrays, rest = eqx.partition(state, eqx.is_array)
        count = inspected_samples(problem, samples)
        x, y = (a[:count] for a in (problem.x, problem.y))

        def look(params: Params, arrays: Any, x: Array, y: Array) -> Any:
            own = self._own(problem, x, y)
            return inspected(own, params, eqx.combine(arrays, rest), len(x))

        of_state = self._leaves(arrays, problem.axes)
        where = (self._leaves(params, -1), of_state, *[Leaf(None)] * 2)
        given = (params, arrays, x, y)
        return self._program("inspect", look, given, where, _anywhere)(*given)

    def evaluate(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, place: Placement | None
    ) -> tuple[Array, Array]:
        """As the engine's; while a stage has one batch the stage before has the next."""

        def look(params: Params, x: Array, y: Array) -> Any:
            return measured(energy, params, x, y)

        where = (self._leaves(params, -1), *[Leaf(None)] * 2)
        sums = []
        for begin in range(0, len(x), _BATCH):
            given = (params, x[begin : begin + _BATCH], y[begin : begin + _BATCH])
            sums.append(self._program("evaluate", look, given, where, _anywhere)(*given))
        loss, metric = (np.sum(column) / len(x) for column in zip(*fetched(sums), strict=True))
        return loss, metric

    def cleared(self, totals: Totals) -> Totals:
        """Zeros, for the next epoch."""
        where = NamedSharding(self.meshes[-1], PartitionSpec())
        return jax.tree.map(lambda t: self.place.put(np.zeros((), t.dtype), where), totals)

    def laid(self, problem: Problem, tree: Carry) -> Carry:
        """A carry from the host on the stages."""

        def put(leaf: Any, where: Leaf) -> Array:
            mesh = self.place.mesh if where.stage is None else self.meshes[where.stage]
            return self.place.put(leaf, NamedSharding(mesh, where.spec))

        return jax.tree.map(put, tree, self._carry(problem, tree))

    def plain(self, params: Params) -> Params:
        """Parameters for the user, on all devices."""
        place = self.place
        # Copies: the next step is given the memory that these may be views of.
        whole = jax.tree.map(np.array, fetched(params))
        return jax.tree.map(lambda p: place.put(p, place.everywhere), whole)

    def _own(self, problem: Problem, x: Array, y: Array) -> Problem:
        """With these samples, and nothing computed for nodes of several stages together."""
        return problem._replace(energy=problem.energy.on_stages(self.nodes), x=x, y=y)

    def _told(self, problem: Problem, carry: Carry) -> Carry:
        """What belongs to no node, such as the number of a step, in all processes."""
        first, *rest = self.meshes
        if not any(crossing(first, mesh) for mesh in rest):
            return carry
        leaves, structure = jax.tree.flatten(carry)
        where = jax.tree.leaves(self._carry(problem, carry), is_leaf=_is_leaf)
        free = [place for place, leaf in enumerate(where) if leaf.stage is None]
        for place, array in zip(free, fetched([leaves[k] for k in free]), strict=True):
            leaves[place] = jnp.asarray(array)
        return jax.tree.unflatten(structure, leaves)

    def _program(
        self,
        name: str,
        function: Callable[..., Any],
        given: tuple[Any, ...],
        where: Any,
        wanted: Callable[[Any], Any],
    ) -> Staged:
        kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(given))
        if (name, kinds) not in self._known:
            self._known[name, kinds] = Staged(function, given, where, wanted, self.meshes)
        return self._known[name, kinds]

    def _carry(self, problem: Problem, carry: Carry) -> Any:
        """Where all of a carry is: what belongs to no node on any stage, the sums on the last."""
        last = Leaf(len(self.meshes) - 1)
        return Carry(
            self._leaves(carry.params, -1),
            self._leaves(carry.state, problem.axes),
            jax.tree.map(lambda _: last, carry.totals),
        )

    def _leaves(self, tree: Any, axes: Any) -> Any:
        axes = jax.tree.map(lambda _: -1, tree) if axes == -1 else axes

        def leaf(path: Any, _: Any, axis: int) -> Leaf:
            stage = self._stage(path)
            if axis >= 0:
                return Leaf(stage, self.place.samples(axis).spec)
            return Leaf(stage, weights=stage is not None)

        return jax.tree_util.tree_map_with_path(leaf, tree, axes)

    def _stage(self, path: Any) -> int | None:
        """Of the node that a leaf belongs to; None if it belongs to no node."""
        for key in path:
            if isinstance(key, jax.tree_util.DictKey):
                # An edge, such as of probes, is called a->b.0 and belongs to b.
                name = str(key.key).split("->")[-1]
                names = (name, name.rsplit(".", 1)[0])
                found = [self.nodes[n] for n in names if n in self.nodes]
                if found:
                    return found[0]
        return None


def stages_for(energy: LiftedEnergy, given: Layers, place: Placement | None) -> Stages | None:
    """Stages for layers that are to be divided and are no stack."""
    if place is None or place.layers == 1 or given.stacking is not None:
        return None
    return Stages(energy, place)


def _is_leaf(leaf: Any) -> bool:
    return isinstance(leaf, Leaf)


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _anywhere(out: Any) -> Any:
    return jax.tree.map(lambda _: Leaf(None), out)


@jax.jit
def _key_data(key: Array) -> Array:
    return jax.random.key_data(key)
