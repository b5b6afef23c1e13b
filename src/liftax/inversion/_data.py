"""The data term of a network of one layer."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import repeat
from liftax.affine import (
    AbstractAffine,
    Convolution,
    Dense,
    Pointwise,
    TransposedConvolution,
    TransposedDense,
    adjoint,
    norm_bound,
)
from liftax.networks import INPUT, Network, Params, check_params
from liftax.penalties import Bregman
from liftax.potentials import AbstractPotential

_BOUNDED = (Dense, TransposedDense, Pointwise, Convolution, TransposedConvolution)


class DataTerm(eqx.Module):
    r"""$x\mapsto B_\Psi(y, f(x))$ with an affine $f(x) = Wx + b$: convex, $\|W\|^2$-smooth.

    The gradient $W^\top(\sigma(Wx + b) - y)$ contains no derivative of σ.

    Attributes:
        affine: $f$.
        params: of it.
        potential: Ψ.

    Source: Wang & Benning (2023); arXiv 2510.09796, section 5.
    """

    affine: AbstractAffine
    params: Any
    potential: AbstractPotential

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """$z = Wx + b$."""
        return self.affine.apply(self.params, x[None])[0]

    def value(self, y: Float[Array, "..."], z: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$B_\Psi(y, z)$."""
        return misfit(self.potential, y, z)

    def residual(self, y: Float[Array, "..."], z: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""$\sigma(z) - y$."""
        return self.potential.activation(z) - y

    def adjoint(self, x: Float[Array, "..."], r: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""$W^\top r$; x says which shape the result has."""
        return adjoint(self.affine, self.params, (x[None],), 0, r[None])[0]

    def lipschitz(self, shape: tuple[int, ...], dtype: Any) -> Float[Array, ""]:
        r"""An upper bound of $\|W\|^2$; from 200 power iterations where none is known."""
        if isinstance(self.affine, _BOUNDED):
            return jnp.asarray(norm_bound(self.affine, self.params), dtype) ** 2
        origin = jnp.zeros(shape, dtype)
        shift = self.forward(origin)

        def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
            x = state[0] / jnp.linalg.norm(state[0])
            image = self.adjoint(x, self.forward(x) - shift)
            return image, jnp.linalg.norm(image)

        start = jax.random.normal(jax.random.key(0), shape, dtype)
        return 1.05 * repeat(step, (start, jnp.zeros((), dtype)), 200)[1]


def misfit(
    potential: AbstractPotential, u: Float[Array, "..."], z: Float[Array, "..."]
) -> Float[Array, ""]:
    r"""$B_\Psi(u, z)$ without a difference of large numbers where Ψ is a constraint:

    $\varphi(u) - \varphi(s) - \langle z, u - s\rangle$ with $s = \sigma(z)$.
    """
    s = potential.activation(z)
    own = potential.value(s)
    stable = 0.5 * jnp.sum((u - s) ** 2) + potential.value(u) - own
    stable = stable - jnp.sum((z - s) * (u - s))
    return jnp.where(jnp.isfinite(own), stable, Bregman().value(potential, u, z))


def data_term(network: Network, params: Params) -> DataTerm:
    """The data term of a network of one layer.

    Raises:
        ValueError: for a network with more nodes, or with one that takes the input twice, and for
            parameters of another network.
    """
    if len(network.nodes) != 1 or network.nodes[0].parents != (INPUT,):
        raise ValueError(
            f"network: the convex solver takes one node with the input as its parent, got "
            f"{len(network.nodes)} nodes; cut the network after its first node, "
            "Network(network.nodes[:1], network.input_shape)"
        )
    check_params(network, params)
    (node,) = network.at(params).nodes
    return DataTerm(node.affine, params[node.owner], node.potential)
