"""The builders' networks: shapes, ties, scales, normalisation, attention."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import (
    BackPropagation,
    BlockCoordinateDescent,
    LiftedEnergy,
    Node,
    OneSweep,
    cnn,
    fit,
    lenet,
    mlp,
    resnet,
    split,
    transformer,
)
from liftax._iterate import scan
from liftax.affine import Dense, Normalisation, Residual, TransposedDense
from liftax.blocks import ParameterBlock, parameter_curvature, parameter_probes
from liftax.networks import INPUT, Network, chain
from tests.helpers import compiled, quick

from .graphs import clamped, distance, example, moved
from .test_methods import gradient

BUILT = {
    "lenet": lambda: lenet((12, 12, 1), 3),
    "cnn": lambda: cnn((8, 8, 2), (3, 4), (5,), 3),
    "normalised cnn": lambda: cnn((8, 8, 1), (3,), (), 3, normalised=True),
    "resnet": lambda: resnet(5, 4, 2, 3),
    "tied resnet": lambda: resnet(5, 4, 2, 3, tied=True),
    "resnet on pictures": lambda: resnet((6, 6, 1), 3, 2, 3),
    "tied resnet on pictures": lambda: resnet((6, 6, 1), 3, 2, 3, tied=True),
    "transformer": lambda: transformer((5, 4), 4, 1, 3, heads=2),
    "transformer on pictures": lambda: transformer((8, 8, 1), 4, 1, 3),
    "split": lambda: split(mlp([5, 4, 3])),
}


@pytest.mark.parametrize("name", quick(BUILT, "tied resnet", "split"))
def test_gradients_at_any_activations_and_the_limit_of_one_sweep(name: str) -> None:
    """Parameter gradients are those of the definition; OneSweep tends to back-propagation."""
    network = BUILT[name]()
    params, x, y = example(network)
    params = network.with_statistics(params, x)
    energy = LiftedEnergy(network)

    @compiled
    def both(params):
        states = moved(energy, params, x, y)
        block = ParameterBlock(energy, params, states, energy.preactivations(params, states))
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        swept = gradient(OneSweep(optax.sgd(1.0), 1e4, 1e-4), energy, params, x, y)
        return (
            block.gradient(block.x),
            jax.grad(lambda p: energy.value({**params, **p}, states))(block.x),
            exact,
            swept,
        )

    ours, theirs, exact, swept = both(params)
    assert distance(ours, theirs) < 1e-11
    assert distance(swept, exact) < 5e-3


def test_attention_is_attention() -> None:
    """The softmax and bilinear nodes against `jax.nn.dot_product_attention`."""
    network = transformer((5, 4), 6, 1, 3, heads=2)
    params, x, _ = example(network, samples=3)
    states, _ = jax.jit(network.forward)(params, x)
    heads = (3, 5, 2, 3)
    q, k, v = (states[n].reshape(heads) for n in ("q1", "k1", "v1"))
    with jax.numpy_dtype_promotion("standard"):
        expected = jax.nn.dot_product_attention(q, k, v)
    np.testing.assert_allclose(states["o1"], expected.reshape(3, 5, 6), atol=1e-6)
    assert np.all(np.linalg.norm(states["h1"], axis=-1) <= np.sqrt(6) + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformer", "tied resnet"])
def test_descent(name: str) -> None:
    """Block descent with Lipschitz steps, where norms depend on states or parameters are shared."""
    network = BUILT[name]()
    params, x, y = example(network, samples=4)
    energy, method = LiftedEnergy(network), BlockCoordinateDescent()

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(0))

        def sweep(carry, _):
            out = method.step(energy, carry[0], carry[1], x, y)
            states, _ = method.states(energy, out.params, out.state, x, y)
            return (out.params, out.state), energy.value(out.params, states)

        return scan(sweep, (params, state), jnp.arange(40))[1]

    values = np.asarray(run(params))
    assert np.all(np.diff(values) <= 1e-12 * np.abs(values[:-1]))
    assert values[-1] < 0.97 * values[0]


def test_curvature_of_tied_parameters() -> None:
    """The constant of shared weights is above the largest eigenvalue of the joint Gram matrix."""
    network = resnet(5, 4, 1, 3, tied=True)
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    states, _, _ = clamped(energy, params, x, y)
    probes = parameter_probes(network, jax.random.key(0), jnp.float64)
    found, _ = jax.jit(lambda p: parameter_curvature(energy, states, p, 400))(probes)
    flat, unravel = jax.flatten_util.ravel_pytree(params["a1"])

    def images(t):
        theta = {**params, "a1": unravel(t)}
        return jnp.concatenate(
            [network.preactivation(theta, states, n).ravel() for n in ("a1", "u1")]
        )

    jacobian = np.asarray(jax.jit(jax.jacobian(images))(flat))
    largest = np.linalg.norm(jacobian, 2) ** 2 / len(x)
    parts = [
        np.linalg.norm(jacobian[rows], 2) ** 2 / len(x) for rows in (slice(0, 20), slice(20, None))
    ]
    assert found["a1"] >= largest - 1e-9
    np.testing.assert_allclose(found["a1"], sum(parts), rtol=1e-6)


@pytest.mark.slow
def test_depth_leaves_the_scale_alone() -> None:
    """The second moment grows at most by e through any number of residual blocks."""
    for tied in (False, True):
        network = resnet(32, 32, 15, 3, tied=tied)
        params = network.init(jax.random.key(0), jnp.float32)
        x = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
        states = compiled(lambda params, x, n=network: n.forward(params, x)[0])(params, x)
        growth = np.mean(states["u15"] ** 2) / np.mean(states["stem"] ** 2)
        assert 1.0 < growth < 4


@pytest.mark.slow
def test_normalised_nodes() -> None:
    """Training standardises by the batch and keeps moving averages; evaluation uses these."""
    network = cnn((8, 8, 1), (3,), (), 3, normalised=True)
    params, x, y = example(network, samples=16)

    @compiled
    def run(params, x):
        new = network.with_statistics(params, x)
        z = network.preactivation(new, network.forward(new, x)[0], "layer2")
        return new, z, network.averaged(params, new)["layer2"]

    new, z, kept = run(params, x)
    shift, scale = params["layer2"]["shift"], params["layer2"]["scale"]
    np.testing.assert_allclose(np.mean(z, (0, 1, 2)), shift, atol=1e-6)
    np.testing.assert_allclose(np.std(z, (0, 1, 2)), scale, atol=1e-3)
    momentum = 0.9
    expected = momentum * params["layer2"]["mean"] + (1 - momentum) * new["layer2"]["mean"]
    np.testing.assert_allclose(kept["mean"], expected, atol=1e-12)
    labels = np.argmax(np.asarray(y), -1)
    result = fit(
        network,
        (np.asarray(x), labels),
        OneSweep(optax.sgd(0.3)),
        epochs=40,
        batch_size=16,
        dtype=jnp.float64,
        progress=False,
    )
    assert result.history["accuracy"][-1] > 0.9
    assert not np.allclose(result.params["layer2"]["mean"], 0)


def test_ties_are_checked() -> None:
    def tied(to: str, width: int = 4) -> Network:
        return Network(
            (
                Node("a", Dense(4), "relu", INPUT),
                Node("b", TransposedDense(width, use_bias=False), "identity", "a", tied_to=to),
            ),
            (5,),
        )

    tied("a", 5)
    with pytest.raises(ValueError, match="tied to 'c', which is no earlier node"):
        tied("c")
    with pytest.raises(ValueError, match=r"has the shape \(4,\), but \(5,\) with the parameters"):
        tied("a", 4)
    with pytest.raises(ValueError, match="cannot use the parameters of 'a'"):
        Network(
            (
                Node("a", Normalisation(), "relu", INPUT),
                Node("b", Residual(Dense(5)), "identity", (INPUT, "a"), tied_to="a"),
            ),
            (5,),
        )


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="blocks must be at least 1, got 0"):
        resnet(5, 4, 0, 3)
    with pytest.raises(ValueError, match="blocks must be at least 1, got 0"):
        transformer((5, 4), 4, 0, 3)
    with pytest.raises(ValueError, match="input_shape must be"):
        transformer((5,), 4, 1, 3)
    with pytest.raises(ValueError, match="gelu"):
        transformer((5, 4), 4, 1, 3, activation="gelu")


def test_orthogonal_weights_keep_lengths() -> None:
    network = chain((6,), [(Dense(6, orthogonal=True, use_bias=False), "identity")])
    params = network.init(jax.random.key(0), jnp.float64)
    x = jax.random.normal(jax.random.key(1), (5, 6), jnp.float64)
    np.testing.assert_allclose(
        jnp.linalg.norm(network(params, x), axis=1), jnp.linalg.norm(x, axis=1), rtol=1e-12
    )
