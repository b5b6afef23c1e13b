"""Block descent whose activations stay on the disk, those of some samples at a time in memory."""

import functools
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, DTypeLike

from liftax.affine import AbstractBilinear
from liftax.blocks import (
    AbstractChoice,
    Fixed,
    Lipschitz,
    Optimiser,
    ParameterBlock,
    ProximalGradient,
    Solve,
    SummedBlock,
    SweepMemory,
    parameter_probes,
    start_sweeps,
    sweep_states,
)
from liftax.methods import AbstractMethod, BlockCoordinateDescent, Constant
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement, awaited, constrained, sample_axes
from liftax.training._checkpoint import Part
from liftax.training._engine import Carry, Totals, metric, target
from liftax.training._products import rounded_products
from liftax.training._stream import Stream

Probes = dict[str, Any]


class Own(NamedTuple):
    """What the samples of a part have: activations, and what the steps on them remember."""

    hidden: States
    memory: SweepMemory


class Sums(NamedTuple):
    """Means over samples, of a part times its share of all samples."""

    gradient: Params
    images: Probes
    totals: Totals


class Rules(NamedTuple):
    """What a step is made of, and where its arrays are to lie."""

    energy: LiftedEnergy
    method: BlockCoordinateDescent
    products: DTypeLike | None = None
    reported: bool = True
    place: Placement | None = None
    axes: tuple[int, ...] = ()  # of the samples in what a part has, see `sample_axes`

    def rounded(self, function: Any) -> Any:
        """A part of a step, its matrix products rounded if so wished."""
        return function if self.products is None else rounded_products(function, self.products)


class StreamedDescent:
    """`BlockCoordinateDescent` in parts: the same steps up to rounding.

    A step reads the activations of every part, sweeps over them, writes them back and adds up the
    gradient of the parameters, which then move. Activations are memory-mapped files of a temporary
    folder. Of several processes each has such a folder, and in its files those rows of every part
    that its devices hold.

    Raises:
        ValueError: for a method or network whose step does not split, with the reason.
    """

    def __init__(
        self,
        energy: LiftedEnergy,
        method: AbstractMethod,
        source: Stream,
        rows: int,
        products: DTypeLike | None = None,
    ):
        why = _unsuited(energy, method)
        if why:
            raise ValueError(f"stream: {why}; leave stream away, so that all samples are held")
        assert isinstance(method, BlockCoordinateDescent)
        if source.place is not None:
            source.place.check_rows()
        self.rules = Rules(energy, method, products, place=source.place)
        self.source, self.rows = source, rows
        self._folder = tempfile.mkdtemp(prefix="liftax-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._files: list[np.memmap] = []
        self._structure: Any = None

    def begin(self, params: Params, key: Array) -> Carry:
        """Feasible activations, the first probes, and the steps' memory."""
        energy, method, *_ = self.rules
        dtype = jax.tree.leaves(params)[0].dtype
        of_states, of_parameters = jax.random.split(key)
        # As one block warms its probes, from the same random ones.
        start = jax.random.split(of_parameters, 1)[0]
        probes = self._everywhere(parameter_probes(energy.network, start, dtype))
        params, zero = self._everywhere((params, jnp.zeros((), dtype)))
        seed = self._everywhere(jax.random.key_data(of_states))
        memory: Any = ()
        for where in self._parts():
            x, y = self._samples(where)
            if where.start == 0:
                self._open(x, y, params, seed)
                memory = _memory(self.rules, params, x, y)
            shared = self._store(where, awaited(_first(self.rules, params, x, y, seed)))
        if isinstance(method.parameter_step, ProximalGradient) and memory.sizes != ():
            for _ in range(SummedBlock.warm_up):
                probes = self._imaged(params, probes, shared)
            memory = memory._replace(sizes=probes)
        return Carry(params, (shared, memory), Totals(zero, zero))

    def step(self, carry: Carry, reported: bool = True) -> Carry:
        """One sweep over all activations, then the parameters; adds up the loss if `reported`."""
        rules, (shared, memory) = self.rules._replace(reported=reported), carry.state
        sums, waiting = None, None
        for where in self._parts():
            x, y = self._samples(where)
            share = (where.stop - where.start) / self.source.samples
            own = self._load(where, shared)
            own, part = awaited(_part(rules, carry.params, memory, own, x, y, share))
            sums = part if sums is None else jax.tree.map(jnp.add, sums, part)
            if waiting is not None:  # written while this part is computed
                self._store(*waiting)
            waiting = (where, own)
        assert waiting is not None and sums is not None
        following = self._store(*waiting)
        params, memory = _moved(rules, carry.params, memory, sums)
        totals = jax.tree.map(lambda a, b: a + b.astype(a.dtype), carry.totals, sums.totals)
        return Carry(params, (following, memory), totals)

    def look(self, carry: Carry) -> tuple[Array, dict[str, Array]]:
        """Energy and root-mean-square gaps."""
        found = None
        for where in self._parts():
            x, y = self._samples(where)
            share = (where.stop - where.start) / self.source.samples
            own = self._load(where, carry.state[0])
            part = awaited(_seen(self.rules, carry.params, own, x, y, share))
            found = part if found is None else jax.tree.map(jnp.add, found, part)
        assert found is not None
        value, squares = found
        regularisers = _of_weights(self.rules, carry.params)
        return value + regularisers, {name: jnp.sqrt(gap) for name, gap in squares.items()}

    def saved(self, life: str) -> Iterator[Part]:
        """What the files hold, in as many parts as a step; each process has its own."""
        parts = list(self._parts())
        number, count = jax.process_index(), jax.process_count()
        for place, where in enumerate(parts):
            rows = self._own_rows(where)
            arrays = {f"{k}": np.array(file[rows]) for k, file in enumerate(self._files)}
            starts = {name: (rows.start, 0) for name in arrays}
            yield Part(arrays, starts, number * len(parts) + place, count * len(parts), life)

    def restore(self, name: str, start: int, rows: np.ndarray) -> None:
        """Put back rows of a file.

        Raises:
            ValueError: for rows that are none of this run.
        """
        file = self._files[int(name)] if int(name) < len(self._files) else np.zeros((0,))
        if rows.shape[1:] != file.shape[1:] or start + len(rows) > len(file):
            raise ValueError(f"its rows {name} from {start} on are of another shape")
        file[start : start + len(rows)] = rows

    def _imaged(self, params: Params, probes: Probes, shared: list[Array]) -> Probes:
        found: Any = None
        for where in self._parts():
            x, y = self._samples(where)
            share = (where.stop - where.start) / self.source.samples
            own = self._load(where, shared)
            part = awaited(_image(self.rules, params, probes, own, x, y, share))
            found = part if found is None else jax.tree.map(jnp.add, found, part)
        return found

    def _parts(self) -> Iterator[slice]:
        samples = self.source.samples
        for begin in range(0, samples, self.rows):
            yield slice(begin, min(begin + self.rows, samples))

    def _samples(self, where: slice) -> tuple[Array, Array]:
        return self.source.take(where)

    def _open(self, x: Array, y: Array, params: Params, seed: Array) -> None:
        """A file for every array that holds samples."""

        def shapes(samples: int) -> Any:
            few = [jax.ShapeDtypeStruct((samples, *a.shape[1:]), a.dtype) for a in (x, y)]
            return eqx.filter_eval_shape(_first, self.rules, params, *few, seed)

        own = shapes(len(x))
        axes = jax.tree.leaves(sample_axes(own, shapes(2 * len(x)), len(x)))
        leaves, self._structure = jax.tree.flatten(own)
        for number, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
            if axis == 0:
                path, shape = Path(self._folder, f"{number}"), leaf.shape[1:]
                full = (self.source.samples, *shape)
                self._files.append(np.memmap(path, leaf.dtype, mode="w+", shape=full))
        self.rules = self.rules._replace(axes=tuple(axes))

    def _everywhere(self, tree: Any) -> Any:
        """Arrays of this process on all devices."""
        place = self.source.place
        if place is None:
            return tree
        return jax.tree.map(lambda leaf: place.put(np.asarray(leaf), place.everywhere), tree)

    def _sharding(self, where: slice) -> NamedSharding | None:
        """How the samples of a part lie: on all devices, if these cannot divide them."""
        place = self.source.place
        if place is None:
            return None
        return place.everywhere if (where.stop - where.start) % place.parts else place.samples()

    def _own_rows(self, where: slice) -> slice:
        """Those of a part that this process holds, which follow one another."""
        sharding, size = self._sharding(where), where.stop - where.start
        if sharding is None:
            return where
        held = sharding.addressable_devices_indices_map((size,)).values()
        ends = [index[0].indices(size) for index in held if index is not None]
        return slice(
            where.start + min(end[0] for end in ends), where.start + max(end[1] for end in ends)
        )

    def _store(self, where: slice, own: Own) -> list[Array]:
        """Write what samples have; returns the rest, which is the same for all parts."""
        leaves, files = jax.tree.leaves(own), iter(self._files)
        for leaf, axis in zip(leaves, self.rules.axes, strict=True):
            if axis == 0:
                rows = next(files)[where]
                for shard in leaf.addressable_shards:
                    rows[shard.index[0]] = np.asarray(shard.data)
        return [leaf for leaf, axis in zip(leaves, self.rules.axes, strict=True) if axis != 0]

    def _load(self, where: slice, shared: list[Array]) -> Own:
        files, rest, sharding = iter(self._files), iter(shared), self._sharding(where)

        def read(file: np.ndarray) -> Array:
            # Copies: the file changes while the device may still look at it.
            if sharding is None:
                return jnp.asarray(np.array(file[where]))
            rows = file[where]
            return jax.make_array_from_callback(
                rows.shape, sharding, lambda index: np.array(rows[index])
            )

        leaves = [read(next(files)) if axis == 0 else next(rest) for axis in self.rules.axes]
        return jax.tree.unflatten(self._structure, leaves)


@eqx.filter_jit
def _first(rules: Rules, params: Params, x: Array, y: Array, seed: Array) -> Own:
    energy, method, *_ = rules
    key = jax.random.wrap_key_data(seed)
    states, z, _ = energy.clamp(x, target(energy, y, x.dtype), params)
    given = (energy, method.order, method.state_step, params, states, z)
    hidden = {name: states[name] for name in energy.network.hidden}
    return _placed(rules, Own(hidden, start_sweeps(*given, key)), len(x))


@eqx.filter_jit
def _memory(rules: Rules, params: Params, x: Array, y: Array) -> Any:
    """The parameter step's memory, with probes of the first part in the place of probes."""
    energy, method, *_ = rules
    states, z, _ = energy.clamp(x, target(energy, y, x.dtype), params)
    block = ParameterBlock(energy, params, states, z)
    return _spread(rules, method.parameter_step.init(block, jax.random.key(0)))


def _whole(rules: Rules, params: Params, own: Own, x: Array, y: Array) -> tuple[States, States]:
    output = rules.energy.network.output
    states = {INPUT: x, **own.hidden, output: target(rules.energy, y, x.dtype)}
    return states, rules.energy.preactivations(params, states)


@eqx.filter_jit
def _part(
    rules: Rules, params: Params, memory: Any, own: Own, x: Array, y: Array, share: float
) -> tuple[Own, Sums]:
    """Sweep over the activations of a part; its share of what the parameters need."""
    return rules.rounded(functools.partial(_swept, rules, share))(params, memory, own, x, y)


def _swept(
    rules: Rules, share: float, params: Params, memory: Any, own: Own, x: Array, y: Array
) -> tuple[Own, Sums]:
    energy, method, *_ = rules
    states, z = _whole(rules, params, own, x, y)
    given = (energy, method.order, method.state_step, params, states, z)
    sweep = sweep_states(*given, own.memory)
    block = ParameterBlock(energy, params, sweep.states, sweep.z)
    point, probes, step = block.x, {}, method.parameter_step
    if isinstance(step, ProximalGradient):
        point = step.acceleration.points(memory.momentum, block.x)[1]
        probes = memory.sizes
    images = block.curvature(probes, 1)[1] if probes else {}
    totals = Totals(jnp.zeros((), x.dtype), jnp.zeros((), x.dtype))
    if rules.reported:
        outputs, ahead = energy.network.forward(params, x)
        output = energy.network.output
        loss = energy.loss_value(ahead[output], target(energy, y, x.dtype))
        totals = Totals(loss, metric(y, outputs[output]))
    sums = Sums(block.gradient(point), images, totals)
    kept = Own({name: sweep.states[name] for name in energy.network.hidden}, sweep.memory)
    return _placed(rules, kept, len(x)), _times(rules, sums, share)


@eqx.filter_jit
def _moved(rules: Rules, params: Params, memory: Any, sums: Sums) -> tuple[Params, Any]:
    return rules.rounded(functools.partial(_stepped, rules))(params, memory, sums)


def _stepped(rules: Rules, params: Params, memory: Any, sums: Sums) -> tuple[Params, Any]:
    x = {name: theta for name, theta in params.items() if jax.tree.leaves(theta)}
    block = SummedBlock(x, rules.energy, params, sums.gradient, sums.images)
    moved, memory = rules.method.parameter_step.update(block, memory)
    return {**params, **moved}, memory


@eqx.filter_jit
def _image(
    rules: Rules, params: Params, probes: Probes, own: Own, x: Array, y: Array, share: float
) -> Probes:
    states, z = _whole(rules, params, own, x, y)
    block = ParameterBlock(rules.energy, params, states, z)
    return _times(rules, block.curvature(probes, 1)[1], share)


@eqx.filter_jit
def _seen(
    rules: Rules, params: Params, own: Own, x: Array, y: Array, share: float
) -> tuple[Array, dict[str, Array]]:
    """The share in the energy without regularisers, and in the squares of the gaps."""
    energy = rules.energy
    states, z = _whole(rules, params, own, x, y)
    value = energy.total(energy.terms(states, z), states, params) - _regularisers(energy, params)
    squares = {name: gap**2 for name, gap in energy.gaps(states, z).items()}
    return _times(rules, (value, squares), share)


@eqx.filter_jit
def _of_weights(rules: Rules, params: Params) -> Array:
    return _regularisers(rules.energy, params)


def _regularisers(energy: LiftedEnergy, params: Params) -> Array:
    zero = jnp.zeros((), jax.tree.leaves(params)[0].dtype)
    return energy.total({}, {INPUT: zero[None]}, params) if not energy.activity else zero


def _times(rules: Rules, tree: Any, share: float) -> Any:
    """A part's share of means, on all devices."""
    return _spread(rules, jax.tree.map(lambda leaf: jnp.asarray(share, leaf.dtype) * leaf, tree))


def _spread(rules: Rules, tree: Any) -> Any:
    place = rules.place
    if place is None:
        return tree
    return constrained(tree, jax.tree.map(lambda _: place.everywhere, tree))


def _placed(rules: Rules, own: Own, samples: int) -> Own:
    """What samples have on the devices that divide them."""
    place, axes = rules.place, rules.axes
    if place is None or not axes:
        return own
    leaves, structure = jax.tree.flatten(own)
    divided = place.everywhere if samples % place.parts else place.samples()
    where = [divided if axis == 0 else place.everywhere for axis in axes]
    return jax.tree.unflatten(structure, constrained(leaves, where))


def _unsuited(energy: LiftedEnergy, method: AbstractMethod) -> str | None:
    """Why a step does not split into parts of the samples."""
    name = type(method).__name__
    if not isinstance(method, BlockCoordinateDescent):
        return f"{name} takes all samples at once"
    if method.interleaved or not isinstance(method.multipliers, Constant):
        return "interleaved steps and multipliers need all samples at once"
    if isinstance(method.order, AbstractChoice):
        return f"the order {type(method.order).__name__} looks at all samples"
    nodes = energy.network.nodes
    if any(n.learn or n.normalisation or isinstance(n.affine, AbstractBilinear) for n in nodes):
        return "batch statistics, bilinear nodes and learnt potentials need all samples at once"
    of_states, of_parameters = method.state_step, method.parameter_step
    if not (isinstance(of_states, Solve) or _known(of_states)):
        return "state_step must be Solve() or ProximalGradient with Lipschitz or fixed steps"
    if not (isinstance(of_parameters, Optimiser) or _known(of_parameters, 1)):
        return (
            "parameter_step must be Optimiser(...) or ProximalGradient with fixed steps or "
            "Lipschitz() of one power iteration"
        )
    return None


def _known(step: Any, iterations: int | None = None) -> bool:
    """Whether a step's sizes are known without the values of all samples."""
    if not isinstance(step, ProximalGradient):
        return False
    size = step.step_size
    if isinstance(size, Lipschitz):
        return iterations in (None, size.power_iterations)
    return isinstance(size, Fixed)
