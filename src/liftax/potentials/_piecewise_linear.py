"""Activations of straight pieces."""

import abc

from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential

Number = float | Float[Array, "..."]
Pieces = tuple[tuple[Number, Number, Number, Number], ...]


class AbstractPiecewiseLinear(AbstractPotential):
    r"""A separable potential with piecewise linear σ, and so piecewise quadratic $\varphi^*$, Ψ."""

    @abc.abstractmethod
    def pieces(self) -> Pieces:
        r"""$(l, h, a, b)$ from left to right: $\sigma(z) = az + b$ for $l \le z \le h$.

        The first starts at $-\infty$, the last ends at $+\infty$, neighbours share an end; numbers,
        or arrays that broadcast against the example.
        """
