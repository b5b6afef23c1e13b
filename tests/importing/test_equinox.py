"""Imported equinox modules against equinox."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import nn

from liftax.importing import from_equinox

KEYS = list(jax.random.split(jax.random.key(0), 20))
FUNCTIONS = [
    *(jax.nn.relu, jax.nn.relu6, jax.nn.leaky_relu, jax.nn.elu, jax.nn.hard_tanh),
    *(jax.nn.hard_sigmoid, jax.nn.sigmoid, jax.nn.soft_sign, jax.nn.softplus, jnp.tanh),
    jax.nn.softmax,
]
CASES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "activations": (
        lambda: nn.Sequential(
            [m for f, k in zip(FUNCTIONS, KEYS, strict=False)
             for m in (nn.Linear(4, 4, key=k), nn.Lambda(f))]
        ),
        (4,), 11,
    ),
    "maxima": (
        lambda: nn.Sequential([
            nn.Conv2d(1, 2, 3, key=KEYS[0]), nn.MaxPool2d((2, 3), (2, 1), padding=((0, 1), (1, 0))),
            nn.Lambda(jnp.ravel),
        ]),
        (1, 5, 6), 6,
    ),
    "mlp": (lambda: nn.MLP(3, 2, 4, 2, jnp.tanh, key=KEYS[0]), (3,), 3),
    "pictures": (
        lambda: nn.Sequential([
            nn.Conv2d(2, 3, (3, 2), (2, 1), padding=((1, 0), (0, 2)), key=KEYS[0]),
            nn.Lambda(jax.nn.relu), nn.AvgPool2d(2, 1), nn.Dropout(inference=True),
            nn.Conv2d(3, 2, 3, padding=1, use_bias=False, key=KEYS[1]),
            nn.Lambda(jnp.ravel),
            nn.Sequential([nn.Linear(20, 3, key=KEYS[2]), nn.Lambda(jax.nn.softmax)]),
        ]),
        (2, 6, 5), 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_equinox(name: str) -> None:
    build, shape, count = CASES[name]
    module = eqx.filter_jit(build)()
    dtype = jax.tree.leaves(eqx.filter(module, eqx.is_array))[0].dtype
    x = np.random.default_rng(5).normal(size=(5, *shape)).astype(dtype)
    expected = eqx.filter_jit(lambda module, x: jax.vmap(module)(x))(module, x)
    network, params = from_equinox(module, shape)
    x = jax.device_put(np.moveaxis(x, 1, -1) if len(shape) == 3 else x)
    found = eqx.filter_jit(network)(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(network.nodes) == count


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        (nn.Lambda(jax.nn.gelu), (3,), "gelu cannot be lifted: its activation is not monotone"),
        (nn.Lambda(lambda x: x * x), (3,), "<lambda> cannot be lifted: it is none of the layers"),
        (nn.LayerNorm(3), (3,), "layers.0: LayerNorm cannot be lifted: it divides by statistics"),
        (nn.Lambda(jax.nn.softmax), (2, 3, 3), "of pictures it acts along rows"),
        (nn.MaxPool2d(2, use_ceil=True), (1, 4, 4), "MaxPool2d cannot be lifted: use_ceil is not"),
        (nn.AvgPool2d(2, padding=1), (1, 4, 4), "padding and use_ceil are not known"),
        (nn.Conv2d(2, 2, 3, groups=2, key=KEYS[0]), (2, 4, 4), "groups and dilation must be 1"),
        (nn.Linear(3, 2, key=KEYS[0]), (4,), r"layers.0: a dense layer of 3 inputs follows"),
    ],
)
def test_refusals_are_named(module: Any, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_equinox(nn.Sequential([module]), shape)
