"""Operators made of another one: multiple, steps on a data term, and first guesses."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.imaging._blur import Blur, gaussian_kernel, transfer
from liftax.imaging._operator import AbstractOperator, Adjoint, Shape, check_shape, power_norm
from liftax.imaging._radon import FILTERS, Radon, filtered_back_projection
from liftax.imaging._simple import Mask


class Multiple(AbstractOperator):
    r"""$cA$ for a number $c$ (`factor`)."""

    in_shape: Shape = eqx.field(static=True)
    operator: AbstractOperator
    factor: float = eqx.field(static=True)

    def __init__(self, operator: AbstractOperator, factor: float):
        """See the class."""
        self.operator, self.factor, self.in_shape = operator, factor, operator.in_shape

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        image = self.operator.apply(x)
        return jnp.asarray(self.factor, image.dtype) * image

    def norm(self) -> Float[Array, ""]:
        return abs(self.factor) * self.operator.norm()


class DataStep(AbstractOperator):
    r"""$I - tBA$; with $B = A^\top$ a gradient step of length $t$ on $\frac12\|Ax\|^2$.

    The norm is that of `power_norm`, for $B = A^\top$ at most 1 if $t\le2/\|A\|^2$.

    Attributes:
        operator: $A$.
        step: $t$.
        back: $B$, such as `FilteredBackProjection`; by default $A^\top$.
    """

    in_shape: Shape = eqx.field(static=True)
    operator: AbstractOperator
    step: float = eqx.field(static=True)
    back: AbstractOperator

    def __init__(
        self, operator: AbstractOperator, step: float, back: AbstractOperator | None = None
    ):
        """See the class."""
        self.operator, self.step, self.in_shape = operator, step, operator.in_shape
        self.back = Adjoint(operator) if back is None else back

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        slope = self.back.apply(self.operator.apply(x))
        return x - jnp.asarray(self.step, x.dtype) * slope

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)


class Resolvent(AbstractOperator):
    r"""$(I + tA^\top A)^{-1}$: the linear part of the proximal map of $\frac t2\|Ax - y\|^2$.

    That map is $v\mapsto(I + tA^\top A)^{-1}(v + tA^\top y)$. Masks and periodic blurs only, which
    are diagonal in pixels or in frequencies. The norm is at most 1; it is that of `power_norm`.

    Raises:
        ValueError: for another operator, or a step that is not positive.
    """

    in_shape: Shape = eqx.field(static=True)
    operator: Mask | Blur
    step: float = eqx.field(static=True)

    def __init__(self, operator: AbstractOperator, step: float):
        """See the class."""
        if not (
            isinstance(operator, Mask)
            or (isinstance(operator, Blur) and operator.boundary == "periodic")
        ):
            raise ValueError(
                f"operator: {type(operator).__name__} has no diagonal form; Resolvent takes a Mask "
                "or a periodic Blur, DataStep takes all operators"
            )
        if not step > 0:
            raise ValueError(f"step must be positive, got {step}")
        self.operator, self.step, self.in_shape = operator, step, operator.in_shape

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        check_shape(x, self.in_shape, "Resolvent")
        step = jnp.asarray(self.step, x.dtype)
        if isinstance(self.operator, Mask):
            return x / (1 + step * jnp.square(self.operator.mask.astype(x.dtype)))
        gain = jnp.square(jnp.abs(transfer(self.operator.kernel.astype(x.dtype), x.shape)))
        spectrum = jnp.fft.rfft2(x, axes=(0, 1))
        spectrum = spectrum * (1 / (1 + step * gain)).astype(spectrum.dtype)[..., None]
        return jnp.fft.irfft2(spectrum, s=x.shape[:2], axes=(0, 1))

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)


class Fill(AbstractOperator):
    r"""$m\odot y + (1 - m)\odot\frac{k * (m\odot y)}{k * m}$: missing pixels by those around them.

    A first guess for inpainting. k is a Gaussian kernel, mirrored at the edges; where it meets
    no pixel that is seen, the image is 0. The norm is that of `power_norm`.

    Attributes:
        mask: $m$, 1 where a pixel is seen, else 0.
        width: standard deviation of k in pixels.

    Source: Knutsson & Westin (1993), normalised convolution.
    """

    in_shape: Shape = eqx.field(static=True)
    mask: Mask
    width: float = eqx.field(static=True)
    blur: Blur
    weight: Float[Array, "h w c"]

    def __init__(self, mask: Mask, width: float = 0.9):
        """See the class."""
        self.mask, self.width, self.in_shape = mask, width, mask.in_shape
        self.blur = Blur(mask.in_shape, gaussian_kernel(width, max(1, round(3 * width))))
        seen = mask.apply(jnp.ones(mask.in_shape, jnp.result_type(float)))
        near = self.blur.apply(seen)
        self.weight = jnp.where(near > 0, (1 - seen) / jnp.where(near > 0, near, 1), 0)

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        check_shape(x, self.in_shape, "Fill")
        seen = self.mask.apply(x)
        return seen + self.weight.astype(x.dtype) * self.blur.apply(seen)

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)


class FilteredBackProjection(AbstractOperator):
    r"""`filtered_back_projection` of a Radon transform, from (detectors, angles) to images.

    The norm is that of `power_norm`.

    Attributes:
        radon: the transform.
        window: of the filter.

    Raises:
        ValueError: for another window.
    """

    in_shape: Shape = eqx.field(static=True)
    radon: Radon
    window: str = eqx.field(static=True)

    def __init__(self, radon: Radon, window: str = "ramp"):
        """See the class."""
        if window not in FILTERS:
            raise ValueError(f"window must be one of {FILTERS}, got {window!r}")
        self.radon, self.window, self.in_shape = radon, window, radon.out_shape

    def apply(self, x: Float[Array, "detectors angles"]) -> Float[Array, "h w 1"]:
        check_shape(x, self.in_shape, "FilteredBackProjection")
        return filtered_back_projection(self.radon, x, self.window)

    def norm(self) -> Float[Array, ""]:
        return power_norm(self)
