"""Every method on every penalty and network: finite, descending where promised, or refused."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import (
    PIAG,
    SAGA,
    BackPropagation,
    BlockCoordinateDescent,
    Bregman,
    Contrastive,
    ImplicitSGD,
    Lifted,
    LiftedEnergy,
    OneSweep,
    Quadratic,
    resnet,
    transformer,
)
from liftax._iterate import scan
from liftax.affine import Dense
from liftax.blocks import (
    Adam,
    Backtracking,
    Fixed,
    GaussSouthwell,
    HeavyBall,
    Implicit,
    Jacobi,
    Nesterov,
    ParameterBlock,
    ProximalGradient,
    Random,
    RedBlack,
    Solve,
    StateBlock,
)
from liftax.methods import AbstractMethod, DualAscent
from liftax.networks import Network, chain
from liftax.potentials import (
    AbstractPotential,
    Ball,
    ElasticNet,
    Huber,
    Softmax,
    Softplus,
    SoftThreshold,
    Sparsemax,
    Tanh,
)
from tests.helpers import compiled, quick

from .graphs import convolutional, distance, example, moved, skips

STEPS = 3
PENALTIES = {"bregman": Bregman(), "lifted": Lifted(), "quadratic": Quadratic()}


def hidden(potential: AbstractPotential) -> Network:
    return chain((5,), [(Dense(4), potential), (Dense(3), "softmax")])


NETWORKS = {
    "skips": skips,
    "convolutional": convolutional,
    "tied resnet": lambda: resnet(5, 4, 2, 3, tied=True),
    "transformer": lambda: transformer((4, 3), 4, 1, 3, heads=2),
    "tanh": lambda: hidden(Tanh()),
    "soft_threshold": lambda: hidden(SoftThreshold(0.3)),
    "softplus": lambda: hidden(Softplus()),
    "elastic net": lambda: hidden(ElasticNet(0.2, 0.5)),
    "huber": lambda: hidden(Huber()),
    "softmax": lambda: hidden(Softmax()),
    "sparsemax": lambda: hidden(Sparsemax()),
    "ball": lambda: hidden(Ball(1.5)),
}


class Row(NamedTuple):
    """A method; whether it promises descent; whether it takes separable activations only."""

    method: AbstractMethod
    descends: bool = False
    separable: bool = False


def descent(**settings) -> BlockCoordinateDescent:
    return BlockCoordinateDescent(**settings)


INNER = BackPropagation(optax.sgd(0.01))
METHODS = {
    "plain": Row(descent(), True),
    "jacobi": Row(descent(order=Jacobi()), True),
    "red-black, interleaved": Row(descent(order=RedBlack(), interleaved=True), True),
    "random": Row(descent(order=Random()), True),
    "gauss-southwell": Row(descent(order=GaussSouthwell()), True),
    "backtracking": Row(
        descent(
            state_step=ProximalGradient(Backtracking()),
            parameter_step=ProximalGradient(Backtracking()),
        ),
        True,
    ),
    "variable metric": Row(descent(parameter_step=Solve(1e-3)), True),
    "nesterov": Row(
        descent(
            state_step=ProximalGradient(acceleration=Nesterov()),
            parameter_step=ProximalGradient(acceleration=Nesterov()),
        )
    ),
    "heavy ball": Row(descent(state_step=ProximalGradient(acceleration=HeavyBall()))),
    "adam": Row(
        descent(
            state_step=ProximalGradient(Fixed(0.05), Adam()),
            parameter_step=ProximalGradient(Fixed(0.01), Adam()),
        ),
        separable=True,
    ),
    "fenchel": Row(descent(multipliers=DualAscent(0.1, 1e-3))),
    "implicit sgd": Row(ImplicitSGD(1.0, 2)),
    "implicit sgd, solved": Row(ImplicitSGD(1.0, 2, parameter_step=Solve())),
    # The lifted energy of a transformer is steep: its gradient of norm 144, times 0.1, is too long.
    "one sweep": Row(OneSweep(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)))),
    "one sweep, implicit": Row(OneSweep(optax.sgd(0.1), metric=Implicit(1.0))),
    "contrastive": Row(Contrastive(optax.sgd(0.1), inner=2)),
    "centred": Row(Contrastive(optax.sgd(0.1), inner=2, centred=True)),
    "saga": Row(SAGA(OneSweep(optax.sgd(0.01)), 2)),
    "piag": Row(PIAG(INNER, 2, delay=1)),
    "back-propagation": Row(INNER),
}


@functools.cache
def problem(penalty: str, net: str):
    network = NETWORKS[net]()
    params, x, y = example(network, samples=4)
    return LiftedEnergy(network, PENALTIES[penalty]), params, x, y


def check(method: str, penalty: str, net: str) -> None:
    energy, params, x, y = problem(penalty, net)
    row = METHODS[method]

    @compiled
    def run(params):
        state = row.method.init(energy, params, x, y, jax.random.key(0))

        def step(carry, _):
            states, _ = row.method.states(energy, carry[0], carry[1], x, y)
            before = energy.value(carry[0], states)
            out = row.method.step(energy, carry[0], carry[1], x, y)
            states, _ = row.method.states(energy, out.params, out.state, x, y)
            return (out.params, out.state), (before, energy.value(out.params, states), out.loss)

        (params, _), values = scan(step, (params, state), jnp.arange(STEPS))
        return params, values

    separable = all(energy.network.node(name).potential.separable for name in energy.network.hidden)
    if row.separable and not separable:
        with pytest.raises(ValueError, match="a step for every entry"):
            jax.eval_shape(run, params)
        return
    found, (before, after, loss) = run(params)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves((found, before, after, loss)))
    pairs = zip(*map(jax.tree.leaves, (found, params)), strict=True)
    assert any(np.any(np.asarray(a) != np.asarray(b)) for a, b in pairs)
    # MAC-QP is not convex, and its curvature not bounded by one, for curved activations.
    if row.descends and penalty != "quadratic":
        assert np.all(after <= before + 1e-12 * np.abs(before))


def gradients(penalty: str, net: str) -> None:
    """Block gradients at arbitrary activations against `jax.grad` of the definition."""
    energy, params, x, y = problem(penalty, net)
    network = energy.network

    @compiled
    def both(params):
        states = moved(energy, params, x, y)
        z = energy.preactivations(params, states)
        block = ParameterBlock(energy, params, states, z)
        joint = StateBlock(energy, params, states, z, network.hidden)
        slope = jax.grad(lambda p: energy.value({**params, **p}, states))(block.x)
        smooth = jax.grad(joint.value)(joint.x)
        return block.gradient(block.x), slope, joint.gradient(joint.x), smooth

    ours, theirs, states, smooth = both(params)
    assert distance(ours, theirs) < 1e-10
    assert distance(states, smooth) < 1e-10


# Every method once, each penalty and small network in turn; fast are those that no other fast test
# runs, or not in full.
SMALL = ("tanh", "soft_threshold", "ball", "huber", "softplus", "elastic net", "softmax")
FAST = (
    "backtracking",
    "adam",
    "one sweep, implicit",
    "back-propagation",
)
QUICK = [
    pytest.param(
        method,
        list(PENALTIES)[i % 3],
        SMALL[i % len(SMALL)],
        marks=[] if method in FAST else [pytest.mark.slow],
    )
    for i, method in enumerate(METHODS)
]


@pytest.mark.parametrize(("method", "penalty", "net"), QUICK)
def test_three_steps(method: str, penalty: str, net: str) -> None:
    check(method, penalty, net)


@pytest.mark.slow
@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("method", METHODS)
def test_three_steps_of_the_whole_product(method: str, penalty: str, net: str) -> None:
    check(method, penalty, net)


@pytest.mark.slow
@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_of_the_whole_product(penalty: str, net: str) -> None:
    gradients(penalty, net)


@pytest.mark.parametrize("net", quick(["tied resnet", "sparsemax"], "sparsemax"))
def test_gradients(net: str) -> None:
    gradients("bregman", net)
