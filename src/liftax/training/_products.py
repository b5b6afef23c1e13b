"""The precision of products in compiled code."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.extend as jex
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike

from liftax._kinds import check_floating

Result = TypeVar("Result")


def rounded_products(
    function: Callable[..., Result], dtype: DTypeLike = jnp.bfloat16
) -> Callable[..., Result]:
    r"""The same function with the factors of its matrix products rounded.

    Every product $AB$ of two single-precision matrices is computed as
    $\mathrm{rd}(A)\,\mathrm{rd}(B)$, summed in single precision, so that its entries have an error
    of at most $(2\epsilon+\epsilon^2)\,|A||B|$, with $\epsilon = 2^{-8}$ for bfloat16, beside
    the rounding of the sum. What is no product of matrices (activations, proximal operators,
    energies, norms, optimisers) stays as it was, and so do double precision, products with
    ``precision="highest"`` and, on a CPU, convolutions, which gain nothing there.

    Apply it last, around what is to be compiled: derivatives that are taken inside have rounded
    products too. The rounded function is not to be differentiated itself.

    A quotient of a difference, as in `Contrastive` with a small β, multiplies the error by 1/β.

    Args:
        function: of any trees of arrays, to a tree of arrays.
        dtype: of the factors: `jnp.bfloat16` (fast on GPUs and TPUs, and on CPUs with AMX) or
            `jnp.float16`, whose range is small.

    Returns:
        A function of the same arguments.

    Raises:
        ValueError: for a type that is no floating-point type shorter than float32.

    Source: mixed-precision training with single-precision weights, Micikevicius et al. (2018).
    """
    if check_floating(dtype, "dtype (products of fit)").itemsize >= 4:
        raise ValueError(
            "dtype (products of fit): factors are rounded to a shorter type such as bfloat16, "
            f"got {dtype}"
        )

    def rounded(*args: Any) -> Result:
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        flat = _evaluate(jaxpr, dtype, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), flat)

    return rounded


def _evaluate(closed: Any, dtype: DTypeLike, *args: Any) -> list[Any]:
    """The outputs of a jaxpr, with products rounded, also in those within its equations."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(jaxpr.invars, args, strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, jex.core.Literal) else values[var]

    turned = _turned(jaxpr)
    for equation in jaxpr.eqns:
        operands = [read(var) for var in equation.invars]
        (first, *_), params = (equation.outvars or [None]), equation.params
        if _is_product(equation):
            values[first] = _product(operands, params, dtype, first in turned)
        elif equation.primitive.name == "transpose" and equation.invars[0] in turned:
            values[first] = operands[0]
        else:
            params = {name: _inner(value, dtype) for name, value in params.items()}
            bound = equation.primitive.get_bind_params(params)
            out = equation.primitive.bind(*operands, **bound)
            several = equation.primitive.multiple_results
            values |= dict(zip(equation.outvars, out if several else [out], strict=True))
    return [read(var) for var in jaxpr.outvars]


def _inner(value: Any, dtype: DTypeLike) -> Any:
    """A parameter of an equation; its jaxprs, as those of loops and branches, are rewritten."""
    if type(value) in (tuple, list):
        return type(value)(_inner(v, dtype) for v in value)
    if isinstance(value, jex.core.ClosedJaxpr):
        avals = [var.aval for var in value.jaxpr.invars]
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
        return jax.make_jaxpr(lambda *args: _evaluate(value, dtype, *args))(*shapes)
    if isinstance(value, jex.core.Jaxpr) and not value.constvars:
        return _inner(jex.core.ClosedJaxpr(value, ()), dtype).jaxpr
    return value


def _is_product(equation: Any) -> bool:
    """Whether it is a product of two single-precision matrices."""
    name = equation.primitive.name
    if name not in ("dot_general", "conv_general_dilated"):
        return False
    shapes: list[Any] = [factor.aval for factor in equation.invars]
    if equation.params["precision"] == (jax.lax.Precision.HIGHEST,) * 2:
        return False
    if any(a.dtype != jnp.float32 for a in shapes):
        return False
    if name == "conv_general_dilated":
        return jax.default_backend() != "cpu"
    contracted, batch = equation.params["dimension_numbers"]
    axes = zip(shapes, contracted, batch, strict=True)
    return all(len(a.shape) > len(c) + len(b) for a, c, b in axes)


def _turned(jaxpr: Any) -> set[Any]:
    """Products of two plain matrices whose transpose alone is used."""
    uses = Counter(v for e in jaxpr.eqns for v in e.invars if not isinstance(v, jex.core.Literal))
    uses += Counter(v for v in jaxpr.outvars if not isinstance(v, jex.core.Literal))
    products = {
        e.outvars[0] for e in jaxpr.eqns if _is_product(e) and _is_plain(e.invars, e.params)
    }
    swapped = (e for e in jaxpr.eqns if e.primitive.name == "transpose")
    found = {e.invars[0] for e in swapped if tuple(e.params["permutation"]) == (1, 0)}
    return {v for v in found & products if uses[v] == 1}


def _is_plain(factors: Any, params: dict[str, Any]) -> bool:
    """Whether the product is one of matrices, without further axes."""
    shapes = [getattr(f, "aval", f).shape for f in factors]
    return "dimension_numbers" in params and [len(s) for s in shapes] == [2, 2]


def _product(factors: list[Array], params: dict[str, Any], dtype: DTypeLike, turn: bool) -> Array:
    """The product of rounded factors, transposed with `turn`."""
    a, b = (factor.astype(dtype) for factor in factors)
    wide: dict[str, Any] = {"preferred_element_type": jnp.dtype(jnp.float32)}
    if "window_strides" in params:
        return jax.lax.conv_general_dilated_p.bind(a, b, **{**params, **wide})
    (left, right), batch = params["dimension_numbers"]
    if turn:
        a, b, left, right = b, a, right, left
    if jax.default_backend() != "cpu":
        return jax.lax.dot_general(a, b, ((left, right), batch), **wide)
    if left == (0,) and _is_plain((a, b), params):
        a, left = _transpose(a), (1,)
    return jax.lax.dot_general(a, b, ((left, right), batch), **wide) + _zero(a)


# XLA's fast products for bfloat16 on a CPU take a first factor with its rows in order only; and a
# transpose that is simplified into one of them afterwards is an error when the program runs. Two
# forms that it does not see through avoid both: a transpose in two halves, a zero that is added.


def _transpose(a: Array) -> Array:
    half = a.shape[0] // 2
    return jnp.concatenate([a[:half].T, a[half:].T], axis=1)


def _zero(a: Array) -> Array:
    return jnp.minimum(jnp.abs(a[(0,) * a.ndim]), 0).astype(jnp.float32)
