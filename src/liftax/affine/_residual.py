"""A map with shortcuts."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._bilinear import AbstractBilinear
from liftax.affine._norm_bound import norm_bound
from liftax.imaging import AbstractOperator

Coefficient = float | AbstractOperator


class Residual(AbstractAffine):
    r"""$z = \sum_ia_iu_i + c\,f(\sum_ib_iu_i;\theta)$: residual blocks, and steps of algorithms.

    With the defaults $z = u_1 + f(u_2;\theta)$. A step of Chambolle and Pock's algorithm from the
    parents $u_k, x_k, x_{k-1}$ has $a = (1, 0, 0)$, $b = (0, 2, -1)$. The coefficients may be fixed
    linear operators of `liftax.imaging` in place of numbers, as in steps on a data term
    $\frac12\|Ax - y\|^2$. The parameters are those of $f$ and nothing else, so that they can be
    those of another node (a `Sum` would put them into a tuple).

    Attributes:
        map: $f$.
        shortcut: $a$, one coefficient a parent.
        argument: $b$, one coefficient a parent.
        factor: $c$.
        bound: if given, `admissible` scales the weights down to $\|\partial f/\partial u\|\le$
            bound, and initial weights are scaled up or down to equality.
    """

    map: AbstractAffine
    shortcut: tuple[Coefficient, ...] = (1.0, 0.0)
    argument: tuple[Coefficient, ...] = (0.0, 1.0)
    factor: Coefficient = 1.0
    bound: float | None = None

    def __check_init__(self) -> None:
        if isinstance(self.map, AbstractBilinear):
            raise ValueError(
                "map: a Residual adds a map of one parent, got a bilinear one; "
                "give it a node of its own"
            )
        if len(self.shortcut) != len(self.argument) or not any(map(_there, self.argument)):
            raise ValueError(
                "shortcut and argument need one number a parent, and argument one that is not 0; "
                f"got {self.shortcut} and {self.argument}"
            )
        if self.bound is not None and not self.bound > 0:
            raise ValueError(f"bound must be positive, got {self.bound}; 1.0 is usual")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != len(self.shortcut):
            raise ValueError(
                f"Residual takes {len(self.shortcut)} parents, got {len(shapes)}; add more with "
                "affine.Sum, or give it more numbers"
            )
        inner = set(self._inner(shapes))
        if len(inner) > 1:
            raise ValueError(f"argument: Residual adds parents of different shapes {sorted(inner)}")
        out = _image(self.factor, self.map.out_shape(*inner))
        for shape, a in zip(shapes, self.shortcut, strict=True):
            if _there(a) and _image(a, shape) != out:
                raise ValueError(
                    f"Residual adds a parent of shape {shape} to its map's output of shape {out}; "
                    "make them equal"
                )
        return out

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        params = self.map.init(key, self._inner(shapes)[0], dtype=dtype)
        if self.bound is None:
            return params
        return _scaled(params, jnp.asarray(self.bound, dtype) / norm_bound(self.map, params))

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        z = _times(self.factor, self.map.apply(params, self.combined(inputs)))
        return z + _combined(self.shortcut, inputs) if any(map(_there, self.shortcut)) else z

    def combined(self, inputs: tuple[Array, ...]) -> Array:
        r"""The argument of the map, $\sum_ib_iu_i$."""
        return _combined(self.argument, inputs)

    def admissible(self, params: Params) -> Params:
        """The parameters with the weights scaled down to the bound, if they exceed it."""
        if self.bound is None:
            return params
        norm = norm_bound(self.map, params)
        bound = jnp.asarray(self.bound, norm.dtype)
        return _scaled(params, jnp.where(norm > bound, bound / norm, jnp.ones_like(norm)))

    def thin(self) -> "Residual":
        nothing = (0.0,) * len(self.shortcut)
        # An operator need not act on channels one by one.
        slim = self.map if isinstance(self.factor, AbstractOperator) else self.map.thin()
        return Residual(slim, nothing, self.argument, self.factor)

    def _inner(self, shapes: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the terms of the argument."""
        terms = zip(self.argument, shapes, strict=True)
        return [_image(b, s) for b, s in terms if _there(b)]


def _scaled(params: Params, factor: Array) -> Params:
    return {**params, "weight": factor * params["weight"]}


def _combined(coefficients: tuple[Coefficient, ...], inputs: tuple[Array, ...]) -> Array:
    terms = [_times(b, u) for b, u in zip(coefficients, inputs, strict=True) if _there(b)]
    return sum(terms[1:], start=terms[0])


def _there(coefficient: Coefficient) -> bool:
    return isinstance(coefficient, AbstractOperator) or coefficient != 0


def _image(coefficient: Coefficient, shape: Shape) -> Shape:
    """The shape of the product with an example."""
    if not isinstance(coefficient, AbstractOperator):
        return shape
    if coefficient.in_shape != shape:
        raise ValueError(
            f"a coefficient of Residual is an operator on {coefficient.in_shape}, its argument has "
            f"the shape {shape}; build the operator for that shape"
        )
    return coefficient.out_shape


def _times(coefficient: Coefficient, u: Array) -> Array:
    if isinstance(coefficient, AbstractOperator):
        return jax.vmap(coefficient.apply)(u)
    if coefficient == 1:
        return u
    return jnp.asarray(coefficient, u.dtype) * u
