"""Laws of the affine maps: affinity, adjoints; convolutions against XLA's own gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    AbstractAffine,
    Convolution,
    Dense,
    Identity,
    Sum,
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
    "sum": (Sum((Dense(4), Identity(), Dense(4, use_bias=False))), ((5,), (4,), (3,))),
}


def instance(name: str, samples: int = 3):
    affine, shapes = MAPS[name]
    keys = jax.random.split(jax.random.key(0), 2 + 2 * len(shapes))
    params = affine.init(keys[0], *shapes, dtype=jnp.float64)
    params = jax.tree.map(lambda p: p + 0.1, params)
    inputs = [jax.random.normal(k, (samples, *s)) for k, s in zip(keys[2:], shapes, strict=False)]
    r = jax.random.normal(keys[1], (samples, *affine.out_shape(*shapes)))
    return affine, params, tuple(inputs), r


@pytest.mark.parametrize("name", MAPS)
def test_laws(name: str) -> None:
    affine, params, inputs, r = instance(name)

    @jax.jit
    def laws(params, inputs, r):
        z = affine.apply(params, *inputs)
        nothing = affine.apply(params, *(0 * u for u in inputs))
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
        return z, nothing, errors

    z, _, errors = laws(params, inputs, r)
    assert z.shape == r.shape
    for law, error in errors.items():
        assert jnp.max(jnp.abs(error)) < 1e-11, law


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
