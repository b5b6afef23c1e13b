"""The implicit metric against dense linear algebra with the assembled Jacobian."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import BackPropagation, LiftedEnergy, Node, OneSweep
from liftax.affine import (
    AbstractAffine,
    Convolution,
    Dense,
    Identity,
    Normalisation,
    Pointwise,
    Residual,
    Scaled,
    Sum,
    TransposedDense,
)
from liftax.blocks import Euclidean, Implicit, ParameterBlock, Solve, parameter_gradient
from liftax.blocks import _solve as systems
from liftax.networks import INPUT, Network, chain
from tests.helpers import compiled

from .graphs import clamped, distance, example, perceptrons
from .test_methods import gradient

MAPS: dict[str, tuple[AbstractAffine, tuple[int, ...], int]] = {
    "dense, fewer rows": (Dense(3), (6,), 4),
    "dense, more rows": (Dense(2, use_bias=False), (3,), 7),
    "convolution, same": (Convolution(2, (3, 2)), (4, 3, 2), 2),
    "convolution, strided": (Convolution(3, (2, 3), (2, 2)), (5, 4, 1), 3),
    "convolution, valid, fewer rows": (Convolution(2, (3, 3), (1, 2), "valid"), (3, 5, 2), 2),
    "pointwise": (Pointwise(3), (4, 2), 3),
    "scaled": (Scaled(Dense(3), -0.7), (4,), 5),
    "normalisation": (Normalisation(), (3, 2), 4),
}


def single(name: str):
    """A network of one map, with a weight that the metric leaves out."""
    affine, shape, samples = MAPS[name]
    network = chain(shape, [(affine, "identity")])
    return LiftedEnergy(network, weights={"layer1": 1.6}), samples


def tied():
    """A residual block, a Sum without parameters, and a layer used twice, once transposed."""
    network = Network(
        (
            Node("a", Dense(4), "identity", INPUT),
            Node("e", Dense(4), "identity", INPUT),
            Node("b", Residual(Dense(4)), "identity", ("a", "e")),
            Node("c", TransposedDense(3, use_bias=False), "identity", "b", tied_to="a"),
            Node("d", Sum((Identity(), Identity())), "identity", (INPUT, "c")),
            Node("out", Dense(2), "identity", "d"),
        ),
        (3,),
    )
    return LiftedEnergy(network, weights={"a": 0.5}), 5


CASES = {name: lambda name=name: single(name) for name in MAPS} | {"tied": tied}


SLOW = ("pointwise", "convolution, same", "convolution, strided", "scaled", "normalisation")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES]
)
def test_the_implicit_step_is_the_dense_solve(name: str, monkeypatch) -> None:
    """(JᵀJ/s + I/τ)⁻¹ G, and τG as τ → 0."""
    monkeypatch.setattr(systems, "CG_STEPS", 400)
    energy, samples = CASES[name]()
    network = energy.network
    keys = jax.random.split(jax.random.key(3), 3)

    @jax.jit
    def drawn():
        params = jax.tree.map(lambda p: p + 0.1, network.init(keys[0], jnp.float64))
        x = jax.random.normal(keys[1], (samples, *network.input_shape), jnp.float64)
        states, _ = network.forward(params, x)
        like = {n.name: states[n.name].shape for n in network.nodes}
        return (
            params,
            states,
            {n: jax.random.normal(keys[2], s, jnp.float64) for n, s in like.items()},
        )

    params, states, signals = drawn()
    tau, small = 1.7, 1e-7

    @compiled
    def run(params):
        found = Implicit(tau).gradient(energy, params, states, signals)
        tiny = Implicit(small).gradient(energy, params, states, signals)
        plain = parameter_gradient(energy, params, states, signals)
        dense = {}
        for owner, theta in params.items():
            flat, unravel = jax.flatten_util.ravel_pytree(theta)
            if not flat.size:
                dense[owner] = theta
                continue
            users = [n.name for n in network.nodes if n.owner == owner]

            def images(flat, owner=owner, unravel=unravel, users=users):
                own = {**params, owner: unravel(flat)}
                z = [network.preactivation(own, states, n).ravel() for n in users]
                return jnp.concatenate(z)

            jacobian = jax.jacrev(images)(flat)
            r = jnp.concatenate([signals[n].ravel() for n in users])
            system = jacobian.T @ jacobian / samples + jnp.eye(flat.size) / tau
            right = jacobian.T @ r / samples
            dense[owner] = unravel(jnp.linalg.solve(system, right))
        return found, dense, jax.tree.map(lambda g: g / small, tiny), plain

    found, dense, tiny, plain = run(params)
    assert found.keys() == params.keys()
    # Conjugate gradients stop at a relative residual of 1e-5.
    direct = name not in ("tied", "scaled", "normalisation")
    assert distance(found, dense) < (1e-10 if direct else 1e-4)
    assert distance(tiny, plain) < 1e-4


CONVOLUTIONS = {name: MAPS[name] for name in MAPS if name.startswith("convolution")}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_rows_meet_the_weights(name: str) -> None:
    """Patches times the stacked kernel are the convolution."""
    affine, shape, samples = CONVOLUTIONS[name]
    assert isinstance(affine, Convolution)
    params = affine.init(jax.random.key(0), shape, dtype=jnp.float64)
    u = jax.random.normal(jax.random.key(1), (samples, *shape), jnp.float64)

    @compiled
    def both(params, u):
        kernel = params["weight"].reshape(-1, affine.features)
        return affine.apply(params, u), affine.rows(u) @ kernel + params["bias"]

    z, product = both(params, u)
    np.testing.assert_allclose(product.reshape(z.shape), z, atol=1e-12)


def test_large_systems_go_to_conjugate_gradients(monkeypatch) -> None:
    """The same step without a matrix; so does the closed form of the parameters."""
    network = chain((4,), [(Dense(3), "softmax")])
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={"layer1": 1.4})
    states, z, _ = clamped(energy, params, x, y)

    def steps(params):
        signals = {n.name: energy.residual(states, z, n.name) for n in network.nodes}
        block = ParameterBlock(energy, params, states, z)
        solved = Solve(0.3).update(block, ())[0]
        step = jax.tree.map(jnp.subtract, params, solved)
        return Implicit(2.0).gradient(energy, params, states, signals), step

    direct = jax.jit(steps)(params)
    monkeypatch.setattr("liftax.blocks._metric.LARGEST", 1)
    monkeypatch.setattr(systems, "LARGEST", 1)
    monkeypatch.setattr(systems, "CG_STEPS", 300)
    # Another function: the first one's program is kept.
    iterated = jax.jit(lambda params: steps(params))(params)
    assert distance(iterated, direct) < 1e-4


@pytest.mark.slow
def test_metrics_in_methods() -> None:
    """Back-propagation with the implicit metric gets its signals from the same forward pass."""
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network)

    @compiled
    def run(params):
        methods = [
            BackPropagation(optax.sgd(1.0), metric=Implicit(0.8)),
            OneSweep(optax.sgd(1.0), 1e5, 1e-5, metric=Implicit(0.8)),
            BackPropagation(optax.sgd(1.0), metric=Implicit(1e-6)),
            BackPropagation(optax.sgd(1.0), metric=Euclidean()),
        ]
        return [gradient(method, energy, params, x, y) for method in methods]

    implicit, swept, small, plain = run(params)
    assert distance(swept, implicit) < 1e-3
    assert distance(implicit, plain) > 0.1
    assert distance(jax.tree.map(lambda g: g / 1e-6, small), plain) < 1e-4


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="step_size must be positive, got 0"):
        Implicit(0)
