"""Energies, methods and optimisers of a file of settings."""

from collections.abc import Callable
from typing import Any

import optax

from liftax._commands._networks import ACTIVATIONS, known_node
from liftax._commands._settings import (
    Check,
    Table,
    Value,
    flag,
    kind_table,
    list_of,
    made,
    number,
    positive,
    scalars,
    whole,
)
from liftax.affine import Convolution, Dense
from liftax.blocks import Euclidean, Implicit
from liftax.methods import (
    ADMM,
    PIAG,
    SAG,
    SAGA,
    AbstractGradientMethod,
    AbstractMethod,
    AbstractMultipliers,
    BackPropagation,
    BlockCoordinateDescent,
    Chunked,
    Constant,
    Continuation,
    Contrastive,
    DualAscent,
    ImplicitSGD,
    OneSweep,
)
from liftax.networks import Network
from liftax.objectives import LiftedEnergy
from liftax.penalties import AbstractLoss, AbstractPenalty, Bregman, Envelope, Hinge, Lifted
from liftax.penalties import Quadratic as QuadraticPenalty
from liftax.potentials import AbstractRegulariser, Orthogonal, SoftThreshold

PENALTIES: dict[str, Callable[[], AbstractPenalty]] = {
    "bregman": Bregman,
    "lifted": Lifted,
    "quadratic": QuadraticPenalty,
}
LOSSES: dict[str, Callable[..., AbstractLoss]] = {**PENALTIES, "hinge": Hinge, "envelope": Envelope}
REGULARISERS: dict[str, Callable[..., AbstractRegulariser]] = {
    **{
        name: ACTIVATIONS[name]
        for name in (
            "soft_threshold",
            "elastic_net",
            "group_soft_threshold",
            "huber",
            "ball",
            "clip",
            "nuclear_norm",
            "spectral_ball",
        )
    },
    "orthogonal": Orthogonal,
}
OPTIMISERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": optax.sgd,
    "nadam": optax.nadam,
    "radam": optax.radam,
    "amsgrad": optax.amsgrad,
    "adamax": optax.adamax,
    "adabelief": optax.adabelief,
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
    "lamb": optax.lamb,
    "yogi": optax.yogi,
}
_MULTIPLIERS: dict[str, Callable[..., AbstractMultipliers]] = {
    "constant": Constant,
    "continuation": Continuation,
    "dual-ascent": DualAscent,
    "admm": ADMM,
}
_EVERY = "all"  # stands for all nodes with weights


def energy(table: Table, network: Network) -> LiftedEnergy:
    """The lifted energy of the settings.

    Raises:
        ValueError: for unknown keys, names of nodes and kinds, and what the energy refuses.
    """
    penalty = table.take("penalty", _of(PENALTIES), Bregman())
    loss = table.take("loss", _of(LOSSES), Bregman())
    names = [node.name for node in network.nodes]
    weights = _by_node(table.table("weights"), names, positive)
    codes = _by_node(table.table("activity"), names, positive)
    weighted = [
        node.name
        for node in network.nodes
        if isinstance(node.affine, Dense | Convolution) and node.tied_to is None
    ]
    terms = _by_node(table.table("regularisers"), [_EVERY, *names], _of(REGULARISERS))
    if _EVERY in terms:
        terms = {**dict.fromkeys(weighted, terms.pop(_EVERY)), **terms}
    table.close()
    activity = {name: SoftThreshold(threshold) for name, threshold in codes.items()}
    try:
        return LiftedEnergy(network, penalty, loss, weights, activity, terms)
    except ValueError as error:
        raise table.error(f"is refused: {error}") from None


def _by_node(table: Table, names: list[str], check: Check) -> dict[str, Any]:
    for name in table.content:
        known_node(table, name, names)
    return table.some(dict.fromkeys(names, check))


def _of(kinds: dict[str, Callable[..., Any]]) -> Check:
    def build(value: Value) -> Any:
        kind, settings = kind_table(kinds)(value)
        return made(settings, kinds[kind], scalars(kinds[kind]))

    return build


def optimiser(table: Table, steps: int, epochs: int) -> tuple[optax.GradientTransformation, float]:
    """The optimiser of the settings, with `steps` steps an epoch, and its learning rate.

    Raises:
        ValueError: for unknown keys and kinds, and what the optimiser refuses.
    """
    kind, settings = kind_table(OPTIMISERS)(Value(table.content or "adam", table.path, table.lines))
    rate = settings.take("rate", positive, 1e-3)
    clip = settings.take("clip", positive)
    every = settings.take("accumulate", whole(1), 1)
    schedule = settings.take("schedule", lambda v: _schedule(v, rate, steps, epochs), rate)
    checks = scalars(OPTIMISERS[kind], ("learning_rate", "mask"))
    found = made(settings, OPTIMISERS[kind], checks, schedule)
    if clip is not None:
        found = optax.chain(optax.clip_by_global_norm(clip), found)
    if every > 1:
        found = optax.MultiSteps(found, every).gradient_transformation()
    return found, rate


def _schedule(value: Value, rate: float, steps: int, epochs: int) -> optax.Schedule:
    """How the rate changes; the settings count in epochs, optax in steps."""
    kind, settings = kind_table({"cosine": 0, "linear": 0, "exponential": 0, "steps": 0})(value)
    if kind == "exponential":
        factor = settings.need("factor", number(0.0, 1.0, open=True), "0.9")
        settings.close()
        return optax.exponential_decay(rate, steps, factor)
    if kind == "steps":
        factor = settings.take("factor", number(0.0, 1.0, open=True), 0.1)
        at = settings.need("epochs", list_of(whole(1)), "[10, 15]")
        settings.close()
        return optax.piecewise_constant_schedule(rate, {steps * epoch: factor for epoch in at})
    warmup = settings.take("warmup", number(0.0), 0.0)
    final = settings.take("final", number(0.0, 1.0), 0.0)
    settings.close()
    first = round(steps * warmup)
    if first >= steps * epochs:
        raise value.error(f"warms up for {warmup:g} epochs, but all are {epochs}; take fewer")
    rest = steps * epochs - first
    fall = (
        optax.cosine_decay_schedule(rate, rest, final)
        if kind == "cosine"
        else optax.linear_schedule(rate, rate * final, rest)
    )
    return optax.join_schedules([optax.linear_schedule(0.0, rate, first), fall], [first])


_METRIC: dict[str, Check] = {"implicit": positive, "proximal_step": positive}
_GRADIENT: dict[str, tuple[Callable[..., AbstractGradientMethod], dict[str, Check]]] = {
    "one-sweep": (
        OneSweep,
        {"step_size": positive, "nudge": positive, "undamped": flag, "mirror": flag, **_METRIC},
    ),
    "back-propagation": (BackPropagation, {"segments": whole(1), **_METRIC}),
    "contrastive": (
        Contrastive,
        {"beta": positive, "inner": whole(1), "centred": flag, **_METRIC},
    ),
}
_AGGREGATED: dict[str, tuple[Callable[..., AbstractMethod], dict[str, Check]]] = {
    "saga": (SAGA, {}),
    "sag": (SAG, {}),
    "piag": (PIAG, {"delay": whole(0)}),
}
_BLOCKWISE: dict[str, tuple[Callable[..., AbstractMethod], dict[str, Check]]] = {
    "implicit-sgd": (ImplicitSGD, {"step_size": positive, "inner": whole(1)}),
    "block-coordinate-descent": (
        BlockCoordinateDescent,
        {"interleaved": flag, "multipliers": _of(_MULTIPLIERS)},
    ),
}
METHODS = {**_GRADIENT, **_AGGREGATED, **_BLOCKWISE}


class Budget:
    """Steps an epoch, epochs, and samples a step."""

    def __init__(self, samples: int, batch_size: int, epochs: int):
        self.size = min(batch_size, samples)
        self.steps, self.epochs = samples // self.size, epochs


def method(root: Table, regularised: bool, budget: Budget) -> AbstractMethod:
    """The method of the settings with its optimiser.

    Raises:
        ValueError: for unknown keys and kinds, an optimiser that the method does not take, and what
            the method refuses.
    """
    given = root.take("method", kind_table(METHODS), ("one-sweep", Table({}, "method", root.lines)))
    kind, settings = given
    if kind in _BLOCKWISE:
        if "optimiser" in root:
            raise root.error(f"has an [optimiser], and {kind} takes none; remove it")
        return made(settings, *_BLOCKWISE[kind])
    # A full-batch method makes one step an epoch.
    steps = 1 if kind in _AGGREGATED else budget.steps
    chosen, rate = optimiser(root.table("optimiser"), steps, budget.epochs)
    default = rate if regularised else None
    if kind in _GRADIENT:
        chunks = settings.take("chunks", whole(1))
        found = _gradient(kind, settings, chosen, default)
        return found if chunks is None else Chunked(found, chunks)
    build, checks = _AGGREGATED[kind]
    inner, below = settings.take(
        "of", kind_table(_GRADIENT), ("one-sweep", Table({}, f"{settings.path}.of", root.lines))
    )
    of = _gradient(inner, below, chosen, default)
    return made(settings, lambda **rest: build(of, budget.size, **rest), checks)


def _gradient(
    kind: str, settings: Table, optimiser: Any, proximal_step: float | None
) -> AbstractGradientMethod:
    build, checks = _GRADIENT[kind]

    def complete(**rest: Any) -> AbstractGradientMethod:
        tau = rest.pop("implicit", None)
        metric = Euclidean() if tau is None else Implicit(tau)
        return build(optimiser, metric=metric, **{"proximal_step": proximal_step, **rest})

    return made(settings, complete, checks)
