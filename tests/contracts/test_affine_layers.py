"""The affine maps against XLA's convolutions, numpy, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    AbstractAffine,
    AbstractBilinear,
    AveragePooling,
    Convolution,
    Dense,
    Normalisation,
    Patches,
    Pointwise,
    Positions,
    Residual,
    Scaled,
    Sum,
    TransposedConvolution,
    TransposedDense,
    adjoint,
    parameter_adjoint,
)
from tests.contracts.test_affine import MAPS, instance
from tests.helpers import compiled


def xla_padding(affine: Convolution | TransposedConvolution):
    return affine.padding.upper() if isinstance(affine.padding, str) else affine.padding


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
            xla_padding(affine),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    @compiled
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
                xla_padding(affine),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        return jax.vjp(forward, jnp.zeros_like(r))[1](u)[0]

    @compiled
    def both(params, u, r):
        z, pull = jax.vjp(reference, params["weight"], u)
        ours = affine.apply(params, u) - params.get("bias", 0.0)
        grad = parameter_adjoint(affine, params, (u,), r)["weight"]
        return (z, *pull(r)), (ours, grad, adjoint(affine, params, (u,), 0, r))

    for expected, found in zip(*both(params, u, r), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["convolution strided", "transposed convolution"])
def test_other_backends_differentiate_by_themselves(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only on the CPU adjoints are stated; the automatic ones are the same numbers."""
    affine, params, inputs, r = instance(name)

    def run(params, inputs, r):
        slopes = parameter_adjoint(affine, params, inputs, r), adjoint(affine, params, inputs, 0, r)
        return affine.apply(params, *inputs), slopes

    def both(params, inputs, r):
        stated = run(params, inputs, r)
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        return stated, run(params, inputs, r)

    stated, automatic = map(jax.tree.leaves, jax.jit(both)(params, inputs, r))
    for expected, found in zip(automatic, stated, strict=True):
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

    @compiled
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

    @compiled
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


@pytest.mark.parametrize("name", ["pooling", "pooling with overlap"])
def test_pooling_against_xla(name: str) -> None:
    affine, _, (u,), _ = instance(name)
    assert isinstance(affine, AveragePooling)
    window, stride = (1, *affine.window, 1), (1, *(affine.stride or affine.window), 1)
    total = jax.lax.reduce_window(u, 0.0, jax.lax.add, window, stride, "valid")
    np.testing.assert_allclose(affine.apply({}, u), np.asarray(total) / np.prod(window), atol=1e-14)


def test_pointwise_is_a_convolution_of_one_pixel() -> None:
    affine, params, (u,), _ = instance("pointwise on pictures")
    assert isinstance(affine, Pointwise)
    same = {"weight": params["weight"][None, None]}
    expected = Convolution(affine.features, (1, 1), use_bias=False).apply(same, u)
    np.testing.assert_allclose(affine.apply(params, u), expected, atol=1e-14)


def test_scaled_shares_parameters() -> None:
    affine, params, (u,), _ = instance("scaled")
    assert isinstance(affine, Scaled)
    np.testing.assert_array_equal(affine.apply(params, u), -0.3 * affine.map.apply(params, u))


def test_patches_are_cut_outs() -> None:
    _, _, (u,), _ = instance("patches")
    found = np.asarray(Patches(2).apply({}, u))
    for k, (i, j) in enumerate(np.ndindex(2, 3)):
        cut = np.asarray(u)[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        np.testing.assert_array_equal(found[:, k], cut.reshape(len(cut), -1))


def test_reshape_lists_channel_after_channel() -> None:
    """numpy's picture of a vector of planes."""
    affine, _, (u,), _ = instance("reshape of channels")
    expected = np.moveaxis(np.asarray(u).reshape(-1, 2, 2, 3), 1, -1)
    np.testing.assert_array_equal(affine.apply({}, u), expected)


def test_positions_start_small() -> None:
    affine = Positions()
    params = affine.init(jax.random.key(0), (50, 40), dtype=jnp.float64)
    np.testing.assert_allclose(np.std(params["positions"]), 0.02, rtol=0.05)


@pytest.mark.parametrize("name", ["normalisation", "normalisation of vectors"])
def test_normalisation_of_its_own_batch(name: str) -> None:
    """With the batch's statistics, channels have mean 0 and variance v/(v + epsilon)."""
    affine, params, (u,), r = instance(name)
    assert isinstance(affine, Normalisation)
    initial = affine.init(jax.random.key(0), u.shape[1:], dtype=jnp.float64)

    @compiled
    def run(params, initial, u, r):
        new = affine.statistics(params, u)
        gradient = parameter_adjoint(affine, new, (u,), r)
        return (
            new,
            affine.averaged(params, new),
            affine.apply(affine.statistics(initial, u), u),
            gradient,
        )

    new, averaged, z, gradient = run(params, initial, u, r)
    flat = np.asarray(u).reshape(-1, u.shape[-1])
    np.testing.assert_allclose(new["mean"], flat.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(new["variance"], flat.var(axis=0), atol=1e-14)
    shrunk = flat.var(axis=0) / (flat.var(axis=0) + affine.epsilon)
    flat = np.asarray(z).reshape(-1, z.shape[-1])
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(flat.var(axis=0), shrunk, atol=1e-14)
    for name in ("scale", "shift"):
        np.testing.assert_array_equal(averaged[name], params[name])
    for name in ("mean", "variance"):
        assert not np.asarray(gradient[name]).any()
        np.testing.assert_allclose(averaged[name], 0.9 * params[name] + 0.1 * new[name], atol=1e-14)


@pytest.mark.parametrize(
    ("affine", "shape"),
    [
        (Dense(3, gain=2.0, orthogonal=True), (2, 2)),
        (Dense(4, gain=0.5, orthogonal=True), (3,)),
        (Convolution(3, (2, 2), gain=2.0, orthogonal=True), (4, 4, 2)),
        (Pointwise(3, gain=2.0, orthogonal=True), (5, 4)),
        (TransposedDense(3, gain=2.0, orthogonal=True), (4,)),
        (TransposedDense(4, gain=2.0, orthogonal=True), (2,)),
    ],
)
def test_orthogonal_weights(affine, shape: tuple[int, ...]) -> None:
    r"""$W^\top W = \mathrm{gain}^2 I$ or $WW^\top = \mathrm{gain}^2 I$."""
    weight = np.asarray(affine.init(jax.random.key(0), shape, dtype=jnp.float64)["weight"])
    matrix = weight if isinstance(affine, TransposedDense) else weight.reshape(-1, affine.features)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(tall.T @ tall, affine.gain**2 * np.eye(tall.shape[1]), atol=1e-12)


@pytest.mark.parametrize(
    ("affine", "shape"),
    [
        (Dense(40, gain=2.0), (50,)),
        (TransposedDense(40, gain=2.0), (50,)),
        (Pointwise(40, gain=2.0), (3, 50)),
        (Convolution(40, gain=2.0), (4, 4, 6)),
        (TransposedConvolution(4, (4, 4), (2, 2), gain=2.0), (4, 4, 40)),
    ],
)
def test_initial_weights_keep_the_second_moment(affine: AbstractAffine, shape) -> None:
    """Times gain squared, at an output that sees no border."""

    @compiled
    def run(u):
        return affine.apply(affine.init(jax.random.key(0), shape, dtype=jnp.float64), u)

    z = np.asarray(run(np.random.default_rng(0).normal(size=(100, *shape))))
    inner = z if z.ndim < 4 else z[:, 1:-1, 1:-1]
    np.testing.assert_allclose(np.mean(np.square(inner)), 4, rtol=0.15)
