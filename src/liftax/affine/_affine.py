"""Maps that are affine in each parent and in their parameters."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

Params = Any
Shape = tuple[int, ...]


class AbstractAffine(eqx.Module):
    r"""$z = f(u_1, \dots, u_m; \theta)$, affine in every $u_p$ separately and in $\theta$.

    Arrays carry one leading sample axis; shapes in the methods below leave it out. Adjoints come
    from `jax.vjp` of `apply`; a map whose automatic adjoint is slow states its own inside `apply`.
    """

    @abc.abstractmethod
    def out_shape(self, *shapes: Shape) -> Shape:
        """Shape of one output example for parents of the given shapes.

        Raises:
            ValueError: if the map does not accept such parents.
        """

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        r"""Random parameters $\theta$ for parents of the given shapes."""

    @abc.abstractmethod
    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        r"""$f(u_1, \dots, u_m; \theta)$ for a batch."""

    @abc.abstractmethod
    def thin(self) -> "AbstractAffine":
        r"""The same map with one output channel.

        $\partial f/\partial\theta$ is a direct sum of copies of the thin map's, so both have the
        same norm, and the thin one is cheap to iterate on.
        """


def adjoint(
    affine: AbstractAffine, params: Params, inputs: tuple[Array, ...], parent: int, r: Array
) -> Array:
    r"""$(\partial f/\partial u_p)^\top r$ for the parent number `parent`."""

    def slot(u: Array) -> Array:
        return affine.apply(params, *inputs[:parent], u, *inputs[parent + 1 :])

    return jax.vjp(slot, inputs[parent])[1](r)[0]


def parameter_adjoint(
    affine: AbstractAffine, params: Params, inputs: tuple[Array, ...], r: Array
) -> Params:
    r"""$(\partial f/\partial\theta)^\top r$, summed over the samples."""
    return jax.vjp(lambda theta: affine.apply(theta, *inputs), params)[1](r)[0]
