"""`fit`: train a network by any method."""

import functools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, DTypeLike

from liftax._kinds import check_count, check_floating, check_kind, named
from liftax.data import Dataset, Split
from liftax.methods import AbstractMethod
from liftax.networks import Network, Params, check_params
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement, choose_placement, of_weights
from liftax.training._batches import Batches
from liftax.training._descent import StreamedDescent
from liftax.training._engine import Carry, Problem, Transform, start, state_axes
from liftax.training._prepare import Data, checked, parts, prepare, warn_of_scores
from liftax.training._result import Result
from liftax.training._run import INSPECTED, Callback, Checkpoints, Run
from liftax.training._stacking import Layers, divisible, layers
from liftax.training._stages import Stages, stages_for
from liftax.training._stream import Stream


def fit(
    energy: LiftedEnergy | Network,
    data: Data | Split | Iterable[Any],
    method: AbstractMethod,
    *,
    epochs: int = 10,
    report: int = 1,
    batch_size: int = 128,
    validation: Data | None = None,
    stream: int | None = None,
    transform: Transform | None = None,
    seed: int = 0,
    params: Params | Result | None = None,
    dtype: Any = jnp.float32,
    products: DTypeLike | None = None,
    stack: bool | None = None,
    mesh: Mesh | Placement | Literal["auto"] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: bool | None = None,
    callback: Callback | Sequence[Callback] = (),
) -> Result:
    """Train a network.

    Args:
        energy: a `LiftedEnergy`, or a `Network` for the energy with Bregman penalties.
        data: a `Split`, a `Dataset` or a pair of arrays (inputs, targets), samples first. Integer
            targets are class labels, which an output with the identity takes as one-hot vectors in
            the mean square, with a warning (`networks.with_output` puts a softmax there). Flat
            examples are reshaped. An epoch visits each sample once in a new order; samples that
            do not fill a batch wait for the next epoch. Or an iterable of batches, (x, y) or x
            alone, that can be gone through anew every epoch: a PyTorch DataLoader, a list, an
            object with ``__iter__``. Its order and batch size then hold, and it must give as many
            batches every time; one that is shorter than the first is filled up with its own
            samples. Such a run resumes bit-identical only if the iterable repeats itself.
        method: for example ``liftax.OneSweep(optax.adam(1e-3))``.
        epochs: passes over the data (for full-batch methods: steps).
        report: epochs from one row of the history to the next. Between them nothing is measured,
            and no callback is called. The steps are the same; `BlockCoordinateDescent`, which needs
            the training loss for the history only, saves a forward pass, the one part of its step
            that goes through the layers in turn. A row's loss is that of its own epoch; the last
            epoch has one.
        batch_size: samples a step, at most all.
        validation: evaluated after every epoch; the test part if `data` is a `Split`.
        stream: samples that are on the device at a time, the next ones being fetched meanwhile;
            None puts all there. The steps are the same. With it arrays may be memory-mapped files
            larger than memory (``np.load(file, mmap_mode="r")``). `BlockCoordinateDescent` then
            keeps the activations of all samples in files of a temporary folder, and works on so
            many of them at a time; not for the other full-batch methods.
        transform: (key, x, y) → (x, y) of a batch, with a new key every step: noise, flips. Not
            for full-batch methods. Validation data are taken as they are.
        seed: of initial parameters and order. The same seed gives the same bits on one machine.
        params: initial parameters of this network instead of random ones; or an earlier `Result`,
            to go on with the state of its method too.
        dtype: of parameters and activations. In `float16` Adam divides by zero at its first step,
            as its ε of 1e-8 is 0 there: take ``optax.adam(rate, eps=1e-4)``, or `bfloat16`.
        products: type that the factors of matrix products are rounded to, as `rounded_products`
            does; ``jnp.bfloat16`` makes training of wide layers several times faster where the
            processor multiplies that. None leaves them as they are.
        stack: whether equal layers are kept as stacks, see `networks.stack`: the same steps (but
            for the random numbers that step sizes start from) in a program whose size and time to
            compile do not grow with depth. None does so where steps then take no longer: in the
            orders `Jacobi` and `RedBlack`, which update all layers of a stack by one batched
            product; from 64 layers on for convolutions (of four channels and more) and in the order
            `GaussSeidel`, which are computed layer by layer in a loop, and on CPUs for
            `Contrastive`, which from a forward pass moves the last layers only for some sweeps; on
            CPUs, without a mesh, for `OneSweep` and `BackPropagation`, in a loop too, from 32
            layers on that are no convolutions and have up to 100 weights for each number of an
            activation. Layers stay apart where the optimiser would take other steps on stacks,
            because norms or factors of single arrays count (LAMB, Adafactor, Muon) or masks look at
            the number of axes; use ``stack=False`` if a function picks out layers by their names.
        mesh: devices that divide the work: a `jax.sharding.Mesh` with an axis ``"data"``, along
            which each batch is divided (of full-batch methods all samples and their activations),
            and perhaps an axis ``"layer"``, along which layers are; a `Placement` to divide
            the parameters too; ``"auto"`` to choose by `choose_placement`, which says on standard
            error what it chose. The steps are those of one device up to rounding. With several
            processes each reads the samples of its own devices only, in an epoch's order; see
            ``liftax launch``.
        checkpoints: where to save, and whether to resume.
        progress: show a bar; None shows one on a terminal only.
        callback: one or several, such as `EarlyStopping` and `Best`; each is called after every
            epoch with the `History` and the parameters, and stops the run by returning True. The
            next step overwrites the parameters: copy what you keep.

    Returns:
        A `Result`. A training loss that is not finite ends the run with that reason, without
        raising.

    Raises:
        ValueError: for data or parameters that do not fit, and arguments of another kind, with a
            sentence on what to do.
    """
    energy = LiftedEnergy(energy) if isinstance(energy, Network) else energy
    _check(energy, method, seed, transform, checkpoints, callback)
    epochs, batch_size, report, stream = _counts(epochs, batch_size, report, stream)
    dtype = check_floating(dtype, "dtype")
    in_parts = stream is not None and method.full_batch
    train, held_out = parts(data, validation)
    source, size = _opened(energy, train, method, dtype, batch_size, stream)
    unit = min(stream or source.samples, source.samples) if method.full_batch else size
    place = _placement((energy, method), mesh, unit, progress)
    energy, given = layers(energy, method, False if in_parts else stack, place)
    source, (x, y) = _laid(source, size, method, place, in_parts)
    warn_of_scores(given.energy, y)
    descent = _descent(energy, method, source, stream, products)
    check = None if held_out is None else prepare(energy, held_out, dtype, "validation", place)
    key = jax.random.key(seed)
    before = params if isinstance(params, Result) else None
    initial = _initial(params.params if isinstance(params, Result) else params, given, key, dtype)
    stages = stages_for(energy, given, place)
    problem = Problem(energy, method, x, y, transform, products, place, None, stages is not None)
    own = jax.random.fold_in(key, 1)
    if descent is None:
        problem, carry = _started(problem, initial, size, own, stages)
    else:
        carry = descent.begin(initial, own)
    if before is not None:
        carry = carry._replace(state=_continued(before.state, carry.state))
    task = problem, given, descent or stages
    run = Run(task, carry, (source, check), seed, size, (epochs, report), checkpoints)
    return run.go(progress, [callback] if callable(callback) else callback)


def _counts(epochs: Any, batch_size: Any, report: Any, stream: Any) -> tuple[Any, ...]:
    """All as whole numbers, the last perhaps None."""
    counts = {"epochs": epochs, "batch_size": batch_size, "report": report}
    return *(check_count(count, name) for name, count in counts.items()), (
        None if stream is None else check_count(stream, "stream")
    )


def _check(
    energy: Any,
    method: Any,
    seed: Any,
    transform: Transform | None,
    checkpoints: Any,
    callback: Any,
) -> None:
    check_kind(energy, LiftedEnergy, "energy", "a LiftedEnergy or a Network")
    check_kind(method, AbstractMethod, "method", "a method such as OneSweep(optax.adam(1e-3))")
    check_kind(seed, int | np.integer, "seed", "a whole number")
    if checkpoints is not None:
        check_kind(checkpoints, Checkpoints, "checkpoints", 'Checkpoints("folder") or None')
    several = isinstance(callback, Sequence) and not isinstance(callback, str)
    if not callable(callback) and not (several and all(map(callable, callback))):
        raise ValueError(f"callback must be a function or several, got {named(callback)}")
    if transform is not None and method.full_batch:
        raise ValueError(
            f"transform: {type(method).__name__} keeps the activations of all samples from step to "
            "step, which new inputs would invalidate; transform the data, or use mini-batches"
        )


def _initial(params: Params | None, given: Layers, key: Array, dtype: Any) -> Params:
    """The run's first parameters, random ones for None, in its stacks."""
    if params is None:
        params = given.energy.network.init(key, dtype)
    else:
        check_params(given.energy.network, params)
    # The loop donates its buffers; the caller's parameters stay alive in this copy.
    return given.stacked(jax.tree.map(lambda p: _copy(p, dtype), params))


def _copy(leaf: ArrayLike, dtype: Any) -> Array:
    """On the device; the copy is made without a program."""
    if isinstance(leaf, Array) and not leaf.is_fully_addressable:
        leaf = np.asarray(leaf.addressable_data(0))  # an earlier result's, whole in every process
    cast = leaf.astype(dtype) if isinstance(leaf, Array) else np.asarray(leaf, dtype)
    return jax.device_put(cast, may_alias=False)


def _opened(
    energy: LiftedEnergy,
    data: Any,
    method: AbstractMethod,
    dtype: Any,
    batch_size: int,
    stream: int | None,
) -> tuple[Stream | Batches, int]:
    """Where batches come from, and their size."""
    batches = None if isinstance(data, Dataset | tuple) else Batches(energy, data, dtype, stream)
    size = batch_size if batches is None else batches.size
    outside = stream is not None or batches is not None
    if outside and not method.full_batch and (stream or size) < size:
        name = "stream" if batches is None else "data in batches: stream"
        raise ValueError(
            f"{name} must hold a batch of {size}, got {stream}; give at least that many"
        )
    if batches is not None and method.full_batch:
        raise ValueError(
            f"data in batches: {type(method).__name__} takes all samples at once; give arrays, "
            "which may be memory-mapped files"
        )
    if batches is not None:
        return batches, size
    source = Stream(*checked(energy, data, dtype, "data"), dtype, 0)
    size = min(size, source.samples)
    if stream is None or method.full_batch:
        return source, size
    return source._replace(steps=max(1, min(stream, source.samples) // size)), size


def _descent(
    energy: LiftedEnergy,
    method: AbstractMethod,
    source: Stream | Batches,
    stream: int | None,
    products: DTypeLike | None,
) -> StreamedDescent | None:
    """For a full-batch method with `stream`: its step in parts of so many samples."""
    if stream is None or not method.full_batch or isinstance(source, Batches):
        return None
    place = source.place
    if place is not None and place.layers > 1:
        raise ValueError(
            "stream: a full-batch method in parts divides samples only; leave stream away, or take "
            'a mesh with the axis "data" alone'
        )
    return StreamedDescent(energy, method, source, min(stream, source.samples), products)


def _placement(
    task: tuple[LiftedEnergy, AbstractMethod],
    mesh: Mesh | Placement | str | None,
    samples: int,
    progress: bool | None,
) -> Placement | None:
    """What `mesh` means, for so many samples at a time."""
    if mesh is None and jax.process_count() > 1:
        raise ValueError(
            f'there are {jax.process_count()} processes: give mesh="auto", or a mesh of all their '
            "devices"
        )
    if mesh is None or isinstance(mesh, Placement):
        place = mesh
    elif isinstance(mesh, Mesh):
        place = Placement(mesh)
    elif mesh == "auto":
        place = choose_placement(
            task[0].network, samples, functools.partial(divisible, *task, samples)
        )
        if progress is not False and jax.process_index() == 0:
            print(f"liftax: {place.why}", file=sys.stderr)
    else:
        raise ValueError(f'mesh must be a jax.sharding.Mesh, a Placement or "auto", got {mesh!r}')
    if place is not None:
        place.check(samples, "mesh")
    return place


def _laid(
    source: Stream | Batches,
    size: int,
    method: AbstractMethod,
    place: Placement | None,
    in_parts: bool,
) -> tuple[Stream | Batches, tuple[Array, Array]]:
    """The source with its placement, and the samples at hand: all, or the first ones."""
    if isinstance(source, Batches):
        source.place = place
        return source, source.take(slice(None))
    if place is not None:
        # Every epoch's batches are laid out in its order, so that no step moves a sample.
        steps = 0 if method.full_batch else source.steps or source.samples // size
        source = source._replace(place=place, steps=steps)
    few = source.steps or in_parts
    return source, source.take(slice(max(size, INSPECTED) if few else None))


def _started(
    problem: Problem, params: Params, size: int, key: Array, stages: Stages | None
) -> tuple[Problem, Carry]:
    """The problem with its state's axes, and the first carry."""
    place = problem.place
    if place is None:
        return problem, start(problem, params, size, key)
    axes = state_axes(problem, params, len(problem.x) if problem.method.full_batch else size, key)
    problem = problem._replace(axes=axes)
    if stages is not None:
        return problem, stages.start(problem, params, size, key)
    where = of_weights(place, params, problem.copies)
    params = jax.tree.map(lambda p, s: place.put(np.asarray(p), s), params, where)
    # Keys of other devices than the mesh's would not meet its arrays.
    seed = place.put(np.asarray(jax.random.key_data(key)), place.everywhere)
    return problem, start(problem, params, size, jax.random.wrap_key_data(seed))


def _continued(state: Any, like: Any) -> Any:
    """A copy of the method's state, if it is one for this run."""

    def kinds(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)

    if kinds(state) != kinds(like):
        raise ValueError(
            "params: the state of the earlier result is none of this method on these data; go on "
            "with the same method, or give the result's params alone"
        )
    return jax.tree.map(_where_it_is, state)


def _where_it_is(leaf: ArrayLike) -> Array:
    """A copy, of which each process makes its part."""
    if not isinstance(leaf, Array) or leaf.is_fully_addressable:
        return jax.device_put(leaf, may_alias=False)
    parts = [jnp.copy(shard.data) for shard in leaf.addressable_shards]
    return jax.make_array_from_single_device_arrays(
        leaf.shape, leaf.sharding, parts, dtype=leaf.dtype
    )
