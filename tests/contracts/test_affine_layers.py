"""The affine maps against XLA's convolutions, numpy, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    AbstractBilinear,
    Convolution,
    Dense,
    Residual,
    Sum,
    TransposedConvolution,
    TransposedDense,
    adjoint,
    parameter_adjoint,
)
from tests.contracts.test_affine import MAPS, instance


@pytest.mark.parametrize("name", [name for name in MAPS if name.startswith("convolution")])
def test_convolution_against_xla(name: str) -> None:
    """Values and hand-stated adjoints against `conv_general_dilated` and its own ones."""
    affine, params, (u,), r = instance(name)
    assert isinstance(affine, Convolution)

    def reference(w, u):
        return jax.lax.conv_general_dilated(
            u,
            w,
            affine.stride,
            affine.padding.upper(),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    @jax.jit
    def both(params, u, r):
        z, pull = jax.vjp(reference, params["weight"], u)
        ours = affine.apply(params, u) - params["bias"]
        grad = parameter_adjoint(affine, params, (u,), r)["weight"]
        return (z, *pull(r)), (ours, grad, adjoint(affine, params, (u,), 0, r))

    for expected, found in zip(*both(params, u, r), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def convolution_of(affine: TransposedConvolution, channels: int) -> Convolution:
    return Convolution(channels, affine.kernel, affine.stride, affine.padding, use_bias=False)


@pytest.mark.parametrize("name", [name for name in MAPS if name.startswith("transposed conv")])
def test_transposed_convolution_against_xla(name: str) -> None:
    """The map is the adjoint of XLA's convolution, its own adjoints are those of that adjoint."""
    affine, params, (u,), r = instance(name)
    assert isinstance(affine, TransposedConvolution)

    def reference(w, u):
        def forward(x):
            return jax.lax.conv_general_dilated(
                x,
                w,
                affine.stride,
                affine.padding.upper(),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        return jax.vjp(forward, jnp.zeros_like(r))[1](u)[0]

    @jax.jit
    def both(params, u, r):
        z, pull = jax.vjp(reference, params["weight"], u)
        ours = affine.apply(params, u) - params.get("bias", 0.0)
        grad = parameter_adjoint(affine, params, (u,), r)["weight"]
        return (z, *pull(r)), (ours, grad, adjoint(affine, params, (u,), 0, r))

    for expected, found in zip(*both(params, u, r), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("forward", "backward", "shape"),
    [
        (Dense(3), TransposedDense(4, use_bias=False), (4,)),
        (
            Convolution(3, stride=(2, 2)),
            TransposedConvolution(2, stride=(2, 2), use_bias=False),
            (4, 6, 2),
        ),
    ],
)
def test_tied_maps_are_adjoint(forward, backward, shape: tuple[int, ...]) -> None:
    """With the same parameters (the forward map's bias is ignored)."""

    @jax.jit
    def both(key):
        params = jax.tree.map(lambda p: p + 1, forward.init(key, shape, dtype=jnp.float64))
        u = jax.random.normal(key, (2, *forward.out_shape(shape)))
        x = jnp.zeros((2, *shape))
        return backward.apply(params, u), adjoint(forward, params, (x,), 0, u)

    np.testing.assert_allclose(*both(jax.random.key(0)), atol=1e-12)


def test_residual_is_a_sum_with_the_identity() -> None:
    affine, params, (first, second), _ = instance("residual")
    assert isinstance(affine, Residual)
    total = Sum((MAPS["identity"][0], affine.map)).apply(({}, params), first, second)
    np.testing.assert_array_equal(affine.apply(params, first, second), total)


BILINEAR = [name for name, (affine, _) in MAPS.items() if isinstance(affine, AbstractBilinear)]


@pytest.mark.parametrize("parent", [0, 1])
@pytest.mark.parametrize("name", BILINEAR)
def test_bilinear_norms_are_bounds(name: str, parent: int) -> None:
    """Against the largest singular value per sample; attained where a head is of rank one."""
    affine, _, inputs, _ = instance(name)
    assert isinstance(affine, AbstractBilinear)

    @jax.jit
    def matrices(*inputs):
        def one(*single):
            def slot(v):
                full = [v if k == parent else u for k, u in enumerate(single)]
                return affine.apply({}, *(u[None] for u in full))[0]

            return jax.jacrev(slot)(single[parent])

        return jax.vmap(one)(*inputs), affine.norms(inputs, parent)

    flat = tuple(u.at[0, ..., 1:, :].set(0.0) for u in inputs)  # in sample 0: one row, so rank one
    found, bounds = matrices(*flat)
    size = flat[parent][0].size
    exact = np.linalg.norm(np.reshape(found, (found.shape[0], -1, size)), 2, axis=(1, 2))
    assert np.all(exact <= bounds * (1 + 1e-12))
    np.testing.assert_allclose(exact[0], bounds[0], rtol=1e-12)


def test_attention_of_heads() -> None:
    """Two heads, each by numpy's matrix products."""
    scores, _, (q, k), _ = instance("scores of heads")
    mix, _, (s, v), _ = instance("mix of heads")
    found, mixed = scores.apply({}, q, k), mix.apply({}, s, v)
    for h in (0, 1):
        part = slice(2 * h, 2 * h + 2)
        expected = np.asarray(q)[..., part] @ np.swapaxes(np.asarray(k)[..., part], 1, 2)
        np.testing.assert_allclose(found[:, h], expected / np.sqrt(2), atol=1e-12)
        expected = np.asarray(s)[:, h] @ np.asarray(v)[..., part]
        np.testing.assert_allclose(mixed[..., part], expected, atol=1e-12)
