"""Optimisers with other constants are other optimisers, the same ones made twice are not."""

import functools

import jax.numpy as jnp
import optax
import pytest

from liftax import ImplicitSGD, LiftedEnergy, OneSweep, fit, mlp
from liftax.training import Checkpoints
from liftax.training._closures import constants


def chained(rate: float, bound: float) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(rate, 100)
    return optax.chain(optax.clip_by_global_norm(bound), optax.adam(schedule))


def power(x, exponent=2):
    return x**exponent


SAME = {
    "adam": lambda: OneSweep(optax.adam(1e-3)),
    "chain": lambda: OneSweep(chained(1e-3, 1.0)),
    "schedule": lambda: ImplicitSGD(lambda k: 0.5 / (1 + k)),
    "partial": lambda: functools.partial(power, exponent=3),
    "array": lambda: ImplicitSGD(jnp.float32(0.3)),
    "energy": lambda: LiftedEnergy(mlp([3, 2])),
}
OTHERS = {
    "adam": OneSweep(optax.adam(2e-3)),
    "chain": OneSweep(chained(1e-3, 2.0)),
    "schedule": ImplicitSGD(lambda k: 0.25 / (1 + k)),
    "partial": functools.partial(power, exponent=4),
    "array": ImplicitSGD(jnp.float32(0.4)),
    "energy": LiftedEnergy(mlp([3, 2]), weights={"layer1": 2.0}),
}


@pytest.mark.parametrize("name", SAME)
def test_constants_tell_apart(name: str) -> None:
    assert constants(SAME[name]()) == constants(SAME[name]())
    assert constants(SAME[name]()) != constants(OTHERS[name])


def test_a_run_with_another_rate_does_not_resume(tmp_path) -> None:
    data = (jnp.eye(4).repeat(4, 0), jnp.arange(16) // 4)
    saved = Checkpoints(tmp_path, resume=True)

    def run(rate: float):
        method = OneSweep(optax.sgd(rate))
        return fit(mlp([4, 4]), data, method, epochs=1, checkpoints=saved, progress=False)

    run(0.1)
    with pytest.raises(ValueError, match="another run"):
        run(0.2)
