"""Laws of the affine maps: affinity, adjoints; convolutions against XLA's own gradients."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    AbstractAffine,
    Convolution,
    Dense,
    Identity,
    Mix,
    Residual,
    Scores,
    Sum,
    TransposedConvolution,
    TransposedDense,
    adjoint,
    parameter_adjoint,
)

MAPS: dict[str, tuple[AbstractAffine, tuple[tuple[int, ...], ...]]] = {
    "dense": (Dense(4), ((5,),)),
    "dense on pictures": (Dense(3, use_bias=False), ((3, 2, 2),)),
    "convolution": (Convolution(3), ((5, 6, 2),)),
    "convolution strided": (Convolution(2, (3, 2), (2, 3)), ((7, 8, 2),)),
    "convolution valid": (Convolution(2, (2, 3), (1, 2), "valid"), ((5, 7, 1),)),
    "identity": (Identity(), ((4,),)),
    "transposed dense": (TransposedDense(4), ((3, 2),)),
    "transposed convolution": (TransposedConvolution(2, (3, 2), (2, 3)), ((3, 2, 2),)),
    "transposed convolution to a shape": (
        TransposedConvolution(1, stride=(2, 2), use_bias=False, shape=(5, 6)),
        ((3, 3, 2),),
    ),
    "transposed convolution valid": (
        TransposedConvolution(2, (2, 3), (1, 2), "valid"),
        ((3, 2, 2),),
    ),
    "transposed convolution valid to a shape": (
        TransposedConvolution(1, (2, 2), (3, 2), "valid", shape=(7, 5)),
        ((2, 2, 2),),
    ),
    "residual": (Residual(Dense(4)), ((4,), (5,))),
    "residual of a convolution": (
        Residual(TransposedConvolution(2, stride=(2, 2))),
        ((4, 4, 2), (2, 2, 3)),
    ),
    "scores": (Scores(), ((3, 2), (4, 2))),
    "scores of heads": (Scores(2), ((3, 4), (2, 4))),
    "mix": (Mix(), ((1, 3, 4), (4, 2))),
    "mix of heads": (Mix(2), ((2, 3, 2), (2, 4))),
    "sum": (Sum((Dense(4), Identity(), Dense(4, use_bias=False))), ((5,), (4,), (3,))),
}

WITH_PARAMETERS = [
    name
    for name, (affine, shapes) in MAPS.items()
    if affine.init(jax.random.key(0), *shapes, dtype=jnp.float32)
]


def instance(name: str, samples: int = 3):
    affine, shapes = MAPS[name]
    keys = jax.random.split(jax.random.key(0), 2 + 2 * len(shapes))
    params = affine.init(keys[0], *shapes, dtype=jnp.float64)
    params = jax.tree.map(lambda p: p + 0.1, params)
    inputs = [jax.random.normal(k, (samples, *s)) for k, s in zip(keys[2:], shapes, strict=False)]
    r = jax.random.normal(keys[1], (samples, *affine.out_shape(*shapes)))
    return affine, params, tuple(inputs), r


def design(affine: AbstractAffine, params, inputs):
    """The matrix of the derivative in the parameters."""
    theta, back = jax.flatten_util.ravel_pytree(params)
    matrix = jax.jacrev(lambda theta: affine.apply(back(theta), *inputs))(theta)
    return matrix.reshape(-1, theta.size)


@pytest.mark.parametrize("name", MAPS)
def test_laws(name: str) -> None:
    affine, params, inputs, r = instance(name)

    @jax.jit
    def laws(params, inputs, r):
        z = affine.apply(params, *inputs)
        errors = {}
        for p, u in enumerate(inputs):
            others = list(inputs)

            def slot(v, p=p, others=others):
                return affine.apply(params, *others[:p], v, *others[p + 1 :])

            errors[f"affine in parent {p}"] = slot(2 * u) - 2 * slot(u) + slot(0 * u)
            pulled = adjoint(affine, params, inputs, p, r)
            dot = jnp.vdot(slot(u) - slot(0 * u), r) - jnp.vdot(u, pulled)
            errors[f"adjoint of parent {p}"] = dot
        gradient = parameter_adjoint(affine, params, inputs, r)
        zero = jax.tree.map(jnp.zeros_like, params)
        dots = jax.tree.map(jnp.vdot, params, gradient)
        paired = sum(jax.tree.leaves(dots), start=jnp.zeros(()))
        errors["parameter adjoint"] = jnp.vdot(z - affine.apply(zero, *inputs), r) - paired
        return z, errors

    z, errors = laws(params, inputs, r)
    assert z.shape == r.shape
    for law, error in errors.items():
        assert jnp.max(jnp.abs(error)) < 1e-11, law


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_thin_maps_have_the_norm_of_the_whole(name: str) -> None:
    r"""$\|\partial f/\partial\theta\|$ equals that of the thin map, which is linear in $\theta$."""
    affine, params, inputs, _ = instance(name)
    thin, shapes = affine.thin(), MAPS[name][1]

    @jax.jit
    def designs(params, inputs):
        theta = thin.init(jax.random.key(1), *shapes, dtype=jnp.float64)
        nothing = thin.apply(jax.tree.map(jnp.zeros_like, theta), *inputs)
        return design(affine, params, inputs), design(thin, theta, inputs), nothing

    whole, slim, nothing = designs(params, inputs)
    np.testing.assert_allclose(np.linalg.norm(slim, 2), np.linalg.norm(whole, 2), rtol=1e-12)
    assert jnp.all(nothing == 0)
    assert nothing.shape[1:] == thin.out_shape(*shapes)


@pytest.mark.parametrize("name", MAPS)
def test_dtype_is_kept(name: str) -> None:
    affine, shapes = MAPS[name]
    inputs = [jax.ShapeDtypeStruct((2, *s), jnp.float32) for s in shapes]

    def run(*inputs):
        params = affine.init(jax.random.key(0), *shapes, dtype=jnp.float32)
        return params, affine.apply(params, *inputs)

    with jax.numpy_dtype_promotion("strict"):
        found = jax.eval_shape(run, *inputs)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))
    assert found[1].shape[1:] == affine.out_shape(*shapes)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        Dense(0)
    with pytest.raises(ValueError, match="takes one parent, got 2"):
        Dense(3).out_shape((2,), (2,))
    with pytest.raises(ValueError, match="padding must be 'same' or 'valid', got 'full'"):
        Convolution(2, padding="full")
    with pytest.raises(ValueError, match=r"of shape \(height, width, channels\)"):
        Convolution(2).out_shape((5, 5))
    with pytest.raises(ValueError, match="does not fit an input"):
        Convolution(2, (7, 7), padding="valid").out_shape((5, 5, 1))
    with pytest.raises(ValueError, match="different shapes"):
        Sum((Dense(3), Identity())).out_shape((4,), (4,))
    with pytest.raises(ValueError, match="got 1 parents"):
        Sum((Dense(3), Identity())).out_shape((4,))
    with pytest.raises(ValueError, match="maps is empty"):
        Sum(())


def test_misuse_of_adjoints_and_bilinear_maps_is_named() -> None:
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        TransposedDense(0)
    with pytest.raises(ValueError, match="TransposedDense takes one parent, got 2"):
        TransposedDense(3).out_shape((2,), (2,))
    with pytest.raises(ValueError, match="padding must be 'same' or 'valid'"):
        TransposedConvolution(2, padding="full")
    with pytest.raises(ValueError, match=r"of shape \(height, width, channels\)"):
        TransposedConvolution(2).out_shape((5, 5))
    with pytest.raises(ValueError, match=r"maps \(7, 7\) to \(4, 4\), not to the input's \(3, 3\)"):
        TransposedConvolution(2, stride=(2, 2), shape=(7, 7)).out_shape((3, 3, 1))
    with pytest.raises(ValueError, match="Residual takes two parents, got 1"):
        Residual(Dense(3)).out_shape((3,))
    with pytest.raises(ValueError, match=r"first parent of shape \(4,\)"):
        Residual(Dense(3)).out_shape((4,), (4,))
    with pytest.raises(ValueError, match="map: a Residual adds a map of one parent"):
        Residual(Scores())
    with pytest.raises(ValueError, match="map queries and keys to the same d"):
        Scores().out_shape((3, 2), (3, 4))
    with pytest.raises(ValueError, match="heads must divide the width 4, got 3"):
        Scores(3).out_shape((3, 4), (3, 4))
    with pytest.raises(ValueError, match="give the weights first"):
        Mix().out_shape((3, 4), (1, 3, 3))
    with pytest.raises(ValueError, match="heads must be the first parent's 2"):
        Mix(1).out_shape((2, 3, 3), (3, 4))
    for bilinear in (Scores, Mix):
        with pytest.raises(ValueError, match="heads must be at least 1, got 0"):
            bilinear(0)
