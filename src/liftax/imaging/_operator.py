"""Linear operators of inverse problems."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from liftax._iterate import repeat
from liftax._pixels import check_finite, check_numbers

Shape = tuple[int, ...]
# What rounding leaves, generously.
_TOLERANCE = 1e-3


class AbstractOperator(eqx.Module):
    r"""A real-linear map $A$ of one image; batches by `jax.vmap`.

    Complex values are stored as real arrays with a last axis of 2 (real part, imaginary part).
    Adjoints come from `adjoint`; a map whose automatic adjoint is slow states its own in `apply`.
    `A(x)` is `A.apply(x)`, `A.T` is `Adjoint(A)`. Own operators are subclasses, which
    `check_linear` checks, or `FromFunction`.

    Attributes:
        in_shape: of an image, (height, width, channels).
    """

    in_shape: eqx.AbstractVar[Shape]

    @abc.abstractmethod
    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """$Ax$, in the precision of x.

        Raises:
            ValueError: for another shape than `in_shape`.
        """

    @abc.abstractmethod
    def norm(self) -> Float[Array, ""]:
        r"""$\|A\|$, the largest singular value: exact, or by `power_norm`, as each class states."""

    @property
    def out_shape(self) -> Shape:
        """Shape of $Ax$."""
        x = jax.ShapeDtypeStruct(self.in_shape, jnp.float32)
        return jax.eval_shape(self.apply, x).shape

    @property
    def T(self) -> "Adjoint":
        r"""$A^\top$."""
        return Adjoint(self)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """$Ax$, as `apply`."""
        return self.apply(x)


class Adjoint(AbstractOperator):
    r"""$A^\top$, with the norm of $A$."""

    in_shape: Shape = eqx.field(static=True)
    operator: AbstractOperator

    def __init__(self, operator: AbstractOperator):
        """See the class."""
        check_operator(operator)
        self.operator, self.in_shape = operator, operator.out_shape

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return adjoint(self.operator, x)

    def norm(self) -> Float[Array, ""]:
        return self.operator.norm()


def adjoint(operator: AbstractOperator, y: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$A^\top y$, exact up to rounding.

    Raises:
        ValueError: for another shape than the operator's `out_shape`, and for no operator.
    """
    check_operator(operator)
    if y.shape != operator.out_shape:
        raise ValueError(
            f"y has the shape {y.shape}, the operator maps to {operator.out_shape}; "
            "use jax.vmap for batches"
        )
    return jax.vjp(operator.apply, jnp.zeros(operator.in_shape, y.dtype))[1](y)[0]


def power_norm(operator: AbstractOperator, steps: int = 300) -> Float[Array, ""]:
    r"""$\|A\|$ by power iterations of $A^\top A$ from a fixed random start: a lower bound.

    It exceeds the mean gain of the start after few steps and is within a few tenths of a percent
    after 300, unless many singular values crowd at the largest one, which makes it slower.
    """
    start = jax.random.normal(jax.random.key(0), operator.in_shape)

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        x = state[0] / jnp.linalg.norm(state[0])
        image = adjoint(operator, operator.apply(x))
        return image, jnp.sqrt(jnp.sum(image * x))

    return repeat(step, (start, jnp.zeros((), start.dtype)), steps)[1]


def check_shape(x: Array, shape: Shape, kind: str) -> None:
    """Raise a ValueError unless x has the shape."""
    if x.shape != shape:
        raise ValueError(
            f"x has the shape {x.shape}, this {kind} takes {shape}; use jax.vmap for batches"
        )


def check_operator(operator: AbstractOperator) -> None:
    """Raise a ValueError unless it is an operator."""
    if not isinstance(operator, AbstractOperator):
        raise ValueError(
            f"operator must be an operator of liftax.imaging, got {type(operator).__name__}; make "
            "one of a linear function by FromFunction(function, in_shape)"
        )


def check_linear(operator: AbstractOperator, norm: ArrayLike | None = None) -> None:
    r"""Is it linear, is its adjoint that of it, and does `norm` bound it?

    At random x, z, w, up to a thousandth: $A(x - 2z) = Ax - 2Az$,
    $\langle Ax, w\rangle = \langle x, A^\top w\rangle$, and eight iterations of `power_norm`, a
    lower bound of $\|A\|$, give at most a hundredth more than the norm. Under a transformation of
    JAX, where no number is known, nothing is checked.

    Args:
        operator: $A$.
        norm: positive; None to check linearity and adjoint only.

    Raises:
        ValueError: for no operator, and one that fails; it says where.
    """
    check_operator(operator)
    defect, transposed, gain = _defects(operator, norm is not None)
    if isinstance(defect, Tracer) or isinstance(norm, Tracer):
        return
    kind = type(operator).__name__
    if not float(defect) < _TOLERANCE:
        raise ValueError(
            f"operator: {kind} is not linear, A(x - 2z) differs from Ax - 2Az by "
            f"{float(defect):.2g} of its norm; of an affine map Ax + b take A, and y - b"
        )
    if not float(transposed) < _TOLERANCE:
        raise ValueError(
            f"operator: the adjoint of {kind} is not that of its apply, <Ax, w> differs from "
            f"<x, A'w> by {float(transposed):.2g}; leave it to JAX, or mend the custom derivative"
        )
    if norm is not None and not 0 < float(jnp.asarray(norm)) >= float(gain) / 1.01:
        raise ValueError(
            f"operator: norm() of {kind} is {float(jnp.asarray(norm)):.4g}, but A makes an image "
            f"{float(gain):.4g} times as large; return power_norm(self), the largest singular value"
        )


@eqx.filter_jit
def _defects(operator: AbstractOperator, bounded: bool) -> tuple[Array, Array, Array]:
    first, second, third = jax.random.split(jax.random.key(1), 3)
    x, z = (jax.random.normal(key, operator.in_shape) for key in (first, second))
    image, other = operator.apply(x), operator.apply(z)
    w = jax.random.normal(third, image.shape, image.dtype)
    size = jnp.linalg.norm(image.ravel()) + 2 * jnp.linalg.norm(other.ravel())
    defect = jnp.linalg.norm((operator.apply(x - 2 * z) - image + 2 * other).ravel())
    back = adjoint(operator, w)
    products = jnp.abs(jnp.sum(image * w) - jnp.sum(x * back))
    scale = jnp.linalg.norm(image.ravel()) * jnp.linalg.norm(w.ravel())
    tiny = jnp.finfo(size.dtype).tiny
    gain = jnp.where(size > 0, power_norm(operator, 8), 0) if bounded else jnp.zeros(())
    return defect / jnp.maximum(size, tiny), products / jnp.maximum(scale, tiny), gain


def measured(operator: AbstractOperator, y: ArrayLike) -> Array:
    """Measurements as an array; raise a ValueError for integers, another shape, and NaN."""
    check_operator(operator)
    data = jnp.asarray(y)
    check_numbers(data, "y")
    check_finite(data, "y")
    if data.shape != operator.out_shape:
        raise ValueError(
            f"y has the shape {data.shape}, the operator maps to {operator.out_shape}; "
            "use jax.vmap for batches"
        )
    return data
