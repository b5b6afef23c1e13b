"""What the benchmark of the time to a result trains, and the methods that it compares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import liftax
from liftax.blocks import AbstractMetric, Euclidean, Implicit
from liftax.data import load
from liftax.experiments._photographs import training_patches
from liftax.methods import AbstractMethod
from liftax.networks import code_layer, ddfb
from liftax.potentials import SoftThreshold

Family = Callable[[float, int], AbstractMethod]


class Problem(NamedTuple):
    """Data, an energy, and what is asked for.

    Attributes:
        energy: of the network.
        data: training inputs and targets.
        score: parameters → a number, larger is better, on data that are not trained on.
        unit: of the score.
        targets: scores that have to be reached.
        batch: samples a step.
        piece: steps from one look at the score to the next.
        families: by label; (rate, steps of a cosine to 0) → method.
        rates: those that are tried, by label of the family; as many for each.
        horizons: lengths of the cosine that are tried, in epochs, by label; as many for each.
    """

    energy: liftax.LiftedEnergy
    data: tuple[Any, Any]
    score: Callable[[Any], Any]
    unit: str
    targets: tuple[float, ...]
    batch: int
    piece: int
    families: dict[str, Family]
    rates: dict[str, tuple[float, ...]]
    horizons: dict[str, tuple[float, ...]]


PLAIN = ("back-propagation, Adam", "one sweep, Adam")
IMPLICIT = ("back-propagation, implicit step", "one sweep, implicit step")


def families(labels: tuple[str, ...], tau: float = 10.0) -> dict[str, Family]:
    """Adam with a cosine decay behind the gradient, or behind the implicit step."""

    def method(label: str) -> Family:
        metric: AbstractMetric = Implicit(tau) if label in IMPLICIT else Euclidean()

        def made(rate: float, steps: int) -> AbstractMethod:
            adam = optax.adam(optax.cosine_decay_schedule(rate, steps))
            if label.startswith("back"):
                return liftax.BackPropagation(adam, metric)
            return liftax.OneSweep(adam, 0.5, 0.1, metric=metric)

        return made

    return {label: method(label) for label in labels}


def _grids(
    plain: tuple[float, ...], implicit: tuple[float, ...] = ()
) -> dict[str, tuple[float, ...]]:
    labels = PLAIN + IMPLICIT if implicit else PLAIN
    return {label: implicit if label in IMPLICIT else plain for label in labels}


def _classification(
    network: Any,
    targets: tuple[float, ...],
    piece: int,
    rates: dict[str, tuple[float, ...]],
    horizons: dict[str, tuple[float, ...]],
) -> Problem:
    split = load("fashion-mnist")
    x, xt = (jnp.asarray(p.x.reshape(-1, *network.input_shape)) for p in (split.train, split.test))
    labels = jnp.asarray(split.test.y)

    def score(params: Any) -> Any:
        rows = xt.reshape(-1, 1000, *network.input_shape)
        found = jax.lax.map(lambda x: network.forward(params, x)[0][network.output], rows)
        return jnp.mean(jnp.argmax(found.reshape(len(xt), -1), -1) == labels)

    return Problem(
        liftax.LiftedEnergy(network),
        (x, jax.nn.one_hot(jnp.asarray(split.train.y), 10)),
        score,
        "test accuracy",
        targets,
        128,
        piece,
        families(PLAIN + IMPLICIT),
        rates,
        horizons,
    )


def perceptron() -> Problem:
    """784-256-256-10 on Fashion-MNIST."""
    horizons = _grids((2.0, 3.0, 4.0, 6.0), (0.75, 1.0, 1.5, 2.0))
    rates = _grids((1e-3, 2e-3, 4e-3), (3e-3, 5e-3, 8e-3))
    return _classification(liftax.mlp([784, 256, 256, 10]), (0.875, 0.885), 58, rates, horizons)


def convolutional() -> Problem:
    """LeNet's layers on Fashion-MNIST."""
    horizons, tried = _grids((2.0,), (1.0,)), (5e-3, 1e-2, 2e-2)
    return _classification(liftax.lenet(), (0.85, 0.865), 58, _grids(tried, tried), horizons)


def sparse_autoencoder() -> Problem:
    """784-784-784-784-784-784 with a sparse code, 10,000 images of Fashion-MNIST."""
    split = load("fashion-mnist")
    x = jnp.asarray(split.train.x[:10_000].reshape(-1, 784))
    held = jnp.asarray(split.test.x[:1000].reshape(-1, 784))
    network = liftax.autoencoder([784] * 6, code=SoftThreshold(0.1))
    activity = {f"layer{code_layer(5)}": SoftThreshold(0.05)}

    def score(params: Any) -> Any:
        return -jnp.mean((network.forward(params, held)[0][network.output] - held) ** 2)

    return Problem(
        liftax.LiftedEnergy(network, activity=activity),
        (x, x),
        score,
        "minus test error",
        (-0.02, -0.016),
        50,
        25,
        families(PLAIN + IMPLICIT),
        _grids((3e-4, 1e-3, 2e-3), (3e-4, 1e-3, 2e-3)),
        _grids((1.0, 2.0, 4.0), (1.0, 2.0, 4.0)),
    )


def denoiser() -> Problem:
    """Ten iterations of DDFB with 32 features of 5x5, noise of 0.1, 40x40 of photographs."""
    squares = training_patches("photographs", 4000)[:, :40, :40] - 0.5
    noise = np.random.default_rng(0).standard_normal(squares.shape).astype(np.float32)
    noisy = jnp.asarray(squares + 0.1 * noise)
    clean, held = jnp.asarray(squares), slice(3800, None)
    network = ddfb((40, 40, 1), 32, 10, kernel=5, interval=None)

    def score(params: Any) -> Any:
        error = network.forward(params, noisy[held])[0][network.output] - clean[held]
        return jnp.mean(-10 * jnp.log10(jnp.mean(error**2, axis=(1, 2, 3))))

    return Problem(
        liftax.LiftedEnergy(network),
        (noisy[:3800], clean[:3800]),
        score,
        "dB of held-out patches",
        (29.5, 30.2),
        4,
        50,
        families(PLAIN),
        _grids((3e-4, 1e-3, 3e-3)),
        _grids((1.0,)),
    )


PROBLEMS = {
    "perceptron": perceptron,
    "convolutional": convolutional,
    "sparse autoencoder": sparse_autoencoder,
    "denoiser": denoiser,
}
