"""Laws of the affine maps: affinity, adjoints, the norm of the thin map."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    AbstractAffine,
    AveragePooling,
    Concatenation,
    Convolution,
    Dense,
    Fixed,
    Identity,
    Mean,
    Mix,
    Normalisation,
    Patches,
    Pointwise,
    Positions,
    Reshape,
    Residual,
    Scale,
    Scaled,
    Scores,
    Selection,
    Sum,
    TransposedConvolution,
    TransposedDense,
    adjoint,
    parameter_adjoint,
)
from liftax.imaging import Adjoint, Blur, DataStep, Mask, Multiple, Radon, Resolvent
from tests.helpers import compiled, quick

BLUR = Blur((4, 5, 1), np.arange(9.0).reshape(3, 3) / 36, "periodic")
RESOLVENT = Resolvent(BLUR, 3.0)

MAPS: dict[str, tuple[AbstractAffine, tuple[tuple[int, ...], ...]]] = {
    "dense": (Dense(4), ((5,),)),
    "dense on pictures": (Dense(3, use_bias=False), ((3, 2, 2),)),
    "convolution": (Convolution(3), ((5, 6, 2),)),
    "convolution strided": (Convolution(2, (3, 2), (2, 3)), ((7, 8, 2),)),
    "convolution valid": (Convolution(2, (2, 3), (1, 2), "valid"), ((5, 7, 1),)),
    "convolution padded": (Convolution(2, (3, 2), (2, 1), ((1, 1), (0, 2))), ((6, 4, 2),)),
    "convolution of one channel": (Convolution(4, (3, 2)), ((5, 6, 1),)),
    "convolution of one channel, valid": (Convolution(5, (2, 3), padding="valid"), ((4, 6, 1),)),
    "convolution of one channel to many": (Convolution(12, (3, 2)), ((4, 5, 1),)),
    "transposed convolution to one channel": (TransposedConvolution(1, (3, 2)), ((4, 5, 4),)),
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
    "transposed convolution padded": (
        TransposedConvolution(2, (3, 4), (2, 2), ((1, 1), (0, 1)), shape=(6, 7)),
        ((3, 3, 2),),
    ),
    "concatenation": (Concatenation(), ((2, 3, 1), (2, 3, 2))),
    "reshape": (Reshape((6,)), ((3, 2),)),
    "reshape of channels": (Reshape((2, 3, 2), (2, 2, 3), (1, 2, 0)), ((12,),)),
    "scale": (Scale(), ((3, 2),)),
    "residual": (Residual(Dense(4)), ((4,), (5,))),
    "residual of a convolution": (
        Residual(TransposedConvolution(2, stride=(2, 2))),
        ((4, 4, 2), (2, 2, 3)),
    ),
    "residual with numbers": (
        Residual(Convolution(2), (0.5, 0.0, -1.0), (0.0, 2.0, 0.0), -0.7, bound=0.1),
        ((3, 4, 2), (3, 4, 1), (3, 4, 2)),
    ),
    "residual of a combination": (
        Residual(Dense(3, use_bias=False), (0.0, 1.0, 0.0), (1.5, 0.0, -0.5)),
        ((2,), (3,), (2,)),
    ),
    "residual with operators": (
        Residual(
            TransposedConvolution(1, use_bias=False),
            (Multiple(RESOLVENT, 2.0), DataStep(BLUR, 0.7), 0.0),
            (0.0, 0.0, 1.0),
            Multiple(RESOLVENT, -1.0),
            bound=0.5,
        ),
        ((4, 5, 1), (4, 5, 1), (4, 5, 2)),
    ),
    "residual of a mask": (
        Residual(Convolution(2), (0.0,), (Adjoint(Mask(np.eye(4)[:, :3])),)),
        ((4, 3, 1),),
    ),
    "fixed": (Fixed(Radon((3, 4, 1), (0.0, 40.0), 5)), ((3, 4, 1),)),
    "scores": (Scores(), ((3, 2), (4, 2))),
    "scores of heads": (Scores(2), ((3, 4), (2, 4))),
    "mix": (Mix(), ((1, 3, 4), (4, 2))),
    "mix of heads": (Mix(2), ((2, 3, 2), (2, 4))),
    "pooling": (AveragePooling(2), ((4, 5, 2),)),
    "pooling with overlap": (AveragePooling((3, 2), (2, 1)), ((6, 4, 2),)),
    "selection": (Selection((2, 0), (1, 3, 3)), ((3, 4, 2),)),
    "differences": (Selection((0, 2), (1, 2), ((1, 2), (0, 3))), ((3, 4, 2),)),
    "mean of pictures": (Mean(), ((2, 3, 2),)),
    "mean of tokens": (Mean(), ((3, 2),)),
    "pointwise": (Pointwise(3), ((4, 2),)),
    "pointwise on pictures": (Pointwise(2, use_bias=False), ((2, 2, 3),)),
    "scaled": (Scaled(Dense(3), -0.3), ((2,),)),
    "scaled residual": (Scaled(Residual(Pointwise(2)), 0.5), ((3, 2), (3, 4))),
    "positions": (Positions(), ((3, 2),)),
    "patches": (Patches(2), ((4, 6, 3),)),
    "normalisation": (Normalisation(), ((3, 2),)),
    "normalisation of vectors": (Normalisation(epsilon=0.1), ((3,),)),
    "sum of blocks": (
        Sum((Convolution(2, stride=(2, 2)), AveragePooling(2), Pointwise(2))),
        ((4, 4, 1), (4, 4, 2), (2, 2, 3)),
    ),
    "sum": (Sum((Dense(4), Identity(), Dense(4, use_bias=False))), ((5,), (4,), (3,))),
}

FIXED = ("mean", "variance")  # entries of the parameters that a map is not affine in


def parameters(affine: AbstractAffine, shapes: tuple[tuple[int, ...], ...]):
    """Positive entries (one of them may be a variance), without compiling what draws them."""
    rng = np.random.default_rng(1)
    init = functools.partial(affine.init, dtype=jnp.float64)
    drawn = jax.eval_shape(lambda: init(jax.random.key(0), *shapes))
    return jax.tree.map(lambda p: rng.uniform(0.2, 1.2, p.shape), drawn)


def instance(name: str, samples: int = 3):
    affine, shapes = MAPS[name]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: p * rng.choice((1, -1), p.shape), parameters(affine, shapes))
    if isinstance(affine, Normalisation):
        params = params | {"variance": np.abs(params["variance"])}
    inputs = tuple(rng.normal(size=(samples, *shape)) for shape in shapes)
    r = rng.normal(size=(samples, *affine.out_shape(*shapes)))
    return affine, *jax.device_put((params, inputs, r))


def multiple(c: float, params):
    """The multiple of the trained parameters."""
    if isinstance(params, dict):
        return {name: p if name in FIXED else c * p for name, p in params.items()}
    return jax.tree.map(lambda p: c * p, params)


def design(affine: AbstractAffine, params, inputs):
    """The matrix of the derivative in the parameters."""
    theta, back = jax.flatten_util.ravel_pytree(params)
    matrix = jax.jacrev(lambda theta: affine.apply(back(theta), *inputs))(theta)
    return matrix.reshape(-1, theta.size)


# Maps that share their code with another.
SLOW = (
    *("dense on pictures", "convolution of one channel", "transposed convolution to one channel"),
    *("transposed convolution valid", "transposed convolution valid to a shape"),
    *("residual of a convolution", "residual of a combination", "scaled residual"),
    *("pointwise on pictures", "normalisation of vectors", "mean of tokens"),
)
QUICK = tuple(name for name in MAPS if name not in SLOW)


@pytest.mark.parametrize("name", quick(MAPS, *QUICK))
def test_laws(name: str) -> None:
    """Affine in every parent and in the trained parameters, with the adjoints of the derivatives.

    Maps act sample by sample, so 0, u and 2u go through in one batch.
    """
    affine, params, inputs, r = instance(name)

    @compiled
    def laws(params, inputs, r):
        errors = {}
        for p, u in enumerate(inputs):
            thrice = [jnp.concatenate([v, v, v]) for v in inputs]
            thrice[p] = jnp.concatenate([0 * u, u, 2 * u])
            zero, one, two = jnp.split(affine.apply(params, *thrice), 3)
            errors[f"affine in parent {p}"] = two - 2 * one + zero
            pulled = adjoint(affine, params, inputs, p, r)
            errors[f"adjoint of parent {p}"] = jnp.vdot(one - zero, r) - jnp.vdot(u, pulled)
        zero, one, two = (affine.apply(multiple(c, params), *inputs) for c in (0.0, 1.0, 2.0))
        errors["affine in the parameters"] = two - 2 * one + zero
        gradient = parameter_adjoint(affine, params, inputs, r)
        dots = jax.tree.map(jnp.vdot, params, gradient)
        paired = sum(jax.tree.leaves(dots), start=jnp.zeros(()))
        errors["parameter adjoint"] = jnp.vdot(one - zero, r) - paired
        return one, errors

    z, errors = laws(params, inputs, r)
    assert z.shape == r.shape
    for law, error in errors.items():
        assert jnp.max(jnp.abs(error)) < 1e-11, law


WITH_PARAMETERS = [name for name, row in MAPS.items() if jax.tree.leaves(parameters(*row))]


@pytest.mark.parametrize("name", quick(WITH_PARAMETERS, *QUICK))
def test_thin_maps_have_the_norm_of_the_whole(name: str) -> None:
    r"""$\|\partial f/\partial\theta\|$ equals that of the thin map, which is linear in $\theta$."""
    affine, params, inputs, _ = instance(name)
    thin, shapes = affine.thin(), MAPS[name][1]

    @compiled
    def designs(params, theta, inputs):
        if isinstance(affine, Normalisation):
            params = affine.statistics(params, *inputs)
        nothing = thin.apply(multiple(0.0, theta), *inputs)
        return design(affine, params, inputs), design(thin, theta, inputs), nothing

    whole, slim, nothing = designs(params, parameters(thin, shapes), inputs)
    np.testing.assert_allclose(np.linalg.norm(slim, 2), np.linalg.norm(whole, 2), rtol=1e-12)
    assert np.all(np.asarray(nothing) == 0)
    assert nothing.shape[1:] == thin.out_shape(*shapes)


@pytest.mark.parametrize("name", [name for name in MAPS if name not in WITH_PARAMETERS])
def test_thin_maps_without_parameters_are_zero(name: str) -> None:
    """In the shape of a one-channel output, so that a sum with thin maps is one too."""
    affine, shapes = MAPS[name]
    thin, (_, _, inputs, _) = affine.thin(), instance(name)
    found = np.asarray(thin.apply({}, *inputs))
    assert found.shape[1:] == (*affine.out_shape(*shapes)[:-1], 1) == thin.out_shape(*shapes)
    assert not found.any()


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
    with pytest.raises(ValueError, match=r"padding must be 'same' or 'valid', or .*, got 'full'"):
        Convolution(2, padding="full")
    with pytest.raises(ValueError, match=r"at least 0, got \(\(0, -1\), \(0, 0\)\)"):
        Convolution(2, padding=((0, -1), (0, 0)))
    with pytest.raises(ValueError, match="leaves nothing of the output"):
        TransposedConvolution(2, padding=((2, 2), (0, 0))).out_shape((1, 1, 1))
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
    with pytest.raises(ValueError, match="Residual takes 2 parents, got 1"):
        Residual(Dense(3)).out_shape((3,))
    with pytest.raises(ValueError, match=r"adds a parent of shape \(4,\)"):
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


def test_misuse_of_maps_of_positions_is_named() -> None:
    with pytest.raises(ValueError, match=r"at least 1, got \(2, 0\), None"):
        AveragePooling((2, 0))
    with pytest.raises(ValueError, match=r"of shape \(height, width, channels\)"):
        AveragePooling(2).out_shape((4, 4))
    with pytest.raises(ValueError, match=r"window \(3, 3\) does not fit"):
        AveragePooling(3).out_shape((2, 4, 1))
    with pytest.raises(ValueError, match="Mean takes one parent with positions"):
        Mean().out_shape((4,))
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        Pointwise(0)
    for affine in (Pointwise(2), Positions(), Normalisation()):
        with pytest.raises(ValueError, match="takes one parent with channels last, got"):
            affine.out_shape((2,), (2,))
    with pytest.raises(ValueError, match="map: a Scaled map states no norms"):
        Scaled(Scores(), 2.0)
    with pytest.raises(ValueError, match="Scale takes one parent with channels last, got"):
        Scale().out_shape(())
    with pytest.raises(ValueError, match="differ in the last axis only"):
        Concatenation().out_shape((2, 3), (3, 3))
    with pytest.raises(ValueError, match=r"one parent of 6 entries, got \(\(5,\),\)"):
        Reshape((2, 3)).out_shape((5,))
    with pytest.raises(ValueError, match="axes must name every axis of split"):
        Reshape((2, 3), (2, 3), (0, 0))
    with pytest.raises(ValueError, match="sizes of at least 1"):
        Reshape((2, -3))
    with pytest.raises(ValueError, match="rows and columns must be numbers of at least 0, got"):
        Selection((0,), ())
    with pytest.raises(ValueError, match="less must have 1 rows and 2 columns"):
        Selection((0,), (0, 1), ((0,), (0,)))
    with pytest.raises(ValueError, match="a place is outside"):
        Selection((0,), (4,)).out_shape((2, 4, 1))
    with pytest.raises(ValueError, match=r"Selection takes one parent of shape \(height"):
        Selection((0,), (0,)).out_shape((4,))
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Patches(0)
    with pytest.raises(ValueError, match=r"of shape \(height, width, channels\)"):
        Patches(2).out_shape((4, 4))
    with pytest.raises(
        ValueError, match="size must divide the input's height 4 and width 5, got 2"
    ):
        Patches(2).out_shape((4, 5, 1))
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\], got 1.5"):
        Normalisation(momentum=1.5)
    with pytest.raises(ValueError, match="epsilon must be positive, got 0"):
        Normalisation(epsilon=0.0)
