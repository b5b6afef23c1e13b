"""An operator of a function."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging._operator import AbstractOperator, Shape, check_linear, check_shape, power_norm


class FromFunction(AbstractOperator):
    r"""$Ax = f(x)$ for a linear function f of JAX; its adjoint is automatic.

    That it is linear is checked by `check_linear` when the operator is made. The norm is that of
    `power_norm`.

    Attributes:
        function: f, of one image, in the precision of the image; compiled programs take a
            `jax.tree_util.Partial` or an `eqx.Module` with other arrays again.

    Raises:
        ValueError: for a function that JAX cannot trace, whose values are not an array of real
            floating point numbers, or that is not linear.
    """

    in_shape: Shape = eqx.field(static=True)
    function: Callable[[Array], Array]

    def __init__(self, function: Callable[[Array], Array], in_shape: Shape):
        """See the class."""
        if not callable(function):
            raise ValueError(f"function must be a function of one image, got {function!r}")
        self.function = function
        if not isinstance(function, eqx.Module | jax.tree_util.Partial):
            self.function = jax.tree_util.Partial(function)
        self.in_shape = tuple(in_shape)

    def __check_init__(self) -> None:
        image = jax.ShapeDtypeStruct(self.in_shape, jnp.result_type(float))
        try:
            out = jax.eval_shape(self.function, image)
        except Exception as error:  # whatever a user's function raises
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(
                f"function must be one of JAX (jax.numpy) of an image {self.in_shape}: {reason}"
            ) from error
        single = isinstance(out, jax.ShapeDtypeStruct)
        if not (single and jnp.issubdtype(out.dtype, jnp.floating)):
            raise ValueError(
                f"function must give one array of real floating point numbers, gives {out}; stack "
                "real and imaginary part along a last axis"
            )
        check_linear(self)

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        check_shape(x, self.in_shape, "FromFunction")
        return self.function(x)

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)
