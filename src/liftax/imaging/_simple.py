"""Masks, subsampling, and operators made of others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from liftax.imaging._operator import AbstractOperator, Shape, adjoint, check_shape, power_norm


class Identity(AbstractOperator):
    """$x$ itself: denoising."""

    in_shape: Shape = eqx.field(static=True)

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        check_shape(x, self.in_shape, "Identity")
        return x

    def norm(self) -> Float[Array, ""]:
        return jnp.ones(())


class Mask(AbstractOperator):
    r"""$m\odot x$: inpainting.

    Attributes:
        mask: $m$, (height, width) or (height, width, channels).
    """

    in_shape: Shape = eqx.field(static=True)
    mask: Float[Array, "..."]

    def __init__(self, mask: ArrayLike, channels: int = 1):
        """A mask without channels is the same for all of them."""
        values = jnp.asarray(mask)
        values = values[..., None] if values.ndim == 2 else values
        if values.ndim != 3:
            raise ValueError(
                f"mask must be (height, width) or (height, width, channels), got {values.shape}"
            )
        values = values.astype(jnp.result_type(float)) if values.dtype == bool else values
        self.mask = values
        self.in_shape = (*values.shape[:2], max(channels, values.shape[2]))

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        check_shape(x, self.in_shape, "Mask")
        return self.mask.astype(x.dtype) * x

    def norm(self) -> Float[Array, ""]:
        return jnp.max(jnp.abs(self.mask))


def random_mask(key: PRNGKeyArray, shape: tuple[int, int], share: float) -> Float[Array, "h w"]:
    """1 with the probability `share`, else 0, every pixel by itself.

    Raises:
        ValueError: unless the share lies in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}; it is what remains visible")
    return jax.random.bernoulli(key, share, shape).astype(jnp.result_type(float))


class Downsample(AbstractOperator):
    """Means of factor x factor pixels, or every factor-th pixel (`average` False)."""

    in_shape: Shape = eqx.field(static=True)
    factor: int = 2
    average: bool = True

    def __check_init__(self) -> None:
        height, width = self.in_shape[:2]
        if self.factor < 1 or height % self.factor or width % self.factor:
            raise ValueError(
                f"factor must divide height and width, got {self.factor} for {self.in_shape}; "
                "crop the image"
            )

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "..."]:
        check_shape(x, self.in_shape, "Downsample")
        height, width, channels = x.shape
        f = self.factor
        blocks = x.reshape(height // f, f, width // f, f, channels)
        return jnp.mean(blocks, axis=(1, 3)) if self.average else blocks[:, 0, :, 0]

    def norm(self) -> Float[Array, ""]:
        return jnp.asarray(1 / self.factor if self.average else 1.0)


class FiniteDifferences(AbstractOperator):
    r"""Forward differences along height and width, (h, w, c) to (h, w, c, 2).

    $(\nabla x)_{ij} = (x_{i+1,j} - x_{ij},\ x_{i,j+1} - x_{ij})$, with zeros in the last row and
    column respectively (Neumann boundary). $\|\nabla\|^2 = 4\cos^2(\pi/2h) + 4\cos^2(\pi/2w) < 8$,
    exactly.
    """

    in_shape: Shape = eqx.field(static=True)

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c 2"]:
        check_shape(x, self.in_shape, "FiniteDifferences")
        down = jnp.pad(x[1:] - x[:-1], ((0, 1), (0, 0), (0, 0)))
        right = jnp.pad(x[:, 1:] - x[:, :-1], ((0, 0), (0, 1), (0, 0)))
        return jnp.stack([down, right], axis=-1)

    def norm(self) -> Float[Array, ""]:
        squares = [4 * np.cos(np.pi / (2 * n)) ** 2 for n in self.in_shape[:2]]
        return jnp.asarray(np.sqrt(sum(squares)))


class Compose(AbstractOperator):
    r"""$A_1A_2$: `inner` first. The norm is that of `power_norm`, a lower bound."""

    in_shape: Shape = eqx.field(static=True)
    outer: AbstractOperator
    inner: AbstractOperator

    def __init__(self, outer: AbstractOperator, inner: AbstractOperator):
        """See the class."""
        self.outer, self.inner, self.in_shape = outer, inner, inner.in_shape

    def __check_init__(self) -> None:
        if self.outer.in_shape != self.inner.out_shape:
            raise ValueError(
                f"outer takes {self.outer.in_shape}, inner gives {self.inner.out_shape}; "
                "make them agree"
            )

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.outer.apply(self.inner.apply(x))

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)


class Normal(AbstractOperator):
    r"""$A^\top A$, whose norm is the square of that of $A$."""

    in_shape: Shape = eqx.field(static=True)
    operator: AbstractOperator

    def __init__(self, operator: AbstractOperator):
        """See the class."""
        self.operator, self.in_shape = operator, operator.in_shape

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return adjoint(self.operator, self.operator.apply(x))

    def norm(self) -> Float[Array, ""]:
        return self.operator.norm() ** 2
