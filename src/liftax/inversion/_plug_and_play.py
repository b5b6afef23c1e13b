"""A denoiser in the place of a regulariser."""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.inversion._regulariser import AbstractPrior, Shape, Term
from liftax.inversion._reshaped import image_shape
from liftax.potentials import AbstractPotential

Denoise = Callable[[Array, Array], Array]


class PlugAndPlay(AbstractPrior):
    r"""A denoiser $D_t$, such as a trained proximal network, where $\mathrm{prox}_{tJ}$ stands.

    No J need be known, and there may be none: energy and gap of an inversion are NaN. What is
    found is a fixed point, for one layer
    $$x = D_{\tau\alpha}\big(x - \tau W^\top(\sigma(Wx + b) - y)\big),$$
    and the iterations end when they move by less than the tolerance. If $D_t$ is a proximal map it
    is the minimiser, and does not depend on τ. In general it does, and it exists and is reached

    - by `PrimalDual(data_step=GradientData())` and by `BlockDescent` without inertia on one layer,
      with $\tau = 1/\|W\|^2$, if $D_{\tau\alpha}$ is averaged: $D = (1-r)I + rT$ with $r < 1$ and T
      of Lipschitz constant 1;
    - by `PrimalDual()` if it is firmly non-expansive, $2D - I$ has the Lipschitz constant 1: then
      it is the resolvent of a monotone operator, of which α τ is the length.

    `imaging.lipschitz_estimate` bounds these constants from below. Trained networks keep them near
    their data at best, so that nothing is promised for them: see how the iterations end. Further
    regularisers, such as `Box`, are added by `Sum`.

    Attributes:
        denoiser: (x, t) → $D_t(x)$, functions of JAX that keep shape and dtype, such as
            ``liftax.restoration.load_denoiser().prox``.
        step: a t at which it is good; `PrimalDual()` uses it there, by $\tau = t/\alpha$.
        image: (height, width, channels) of the image that x is, where x has another shape.

    Raises:
        ValueError: for a step that is not positive.

    Source: Venkatakrishnan, Bouman & Wohlberg (2013); Combettes & Pesquet (2020) for operators that
    are no gradients.
    """

    denoiser: Denoise
    step: float = 0.01
    image: Shape | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        step = self.step
        if isinstance(step, int | float) and not (step > 0 and math.isfinite(step)):
            raise ValueError(f"step must be positive, got {step}; 0.01 is a noise of a tenth")

    @property
    def auxiliary(self) -> int:
        return 0

    def terms(self, shape: Shape) -> tuple[Term, ...]:
        image = None if self.image is None else image_shape(shape, self.image, "PlugAndPlay")
        return (Term(None, _Unknown(self.denoiser, image), trusted=self.step),)


class _Unknown(AbstractPotential):
    """A function of which nothing but the prox is known: its values are NaN."""

    separable: ClassVar[bool] = False
    denoiser: Denoise
    image: Shape | None = eqx.field(static=True)

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.full((), jnp.nan, u.dtype)

    def prox(self, v: Float[Array, "..."], tau: float | Array) -> Float[Array, "..."]:
        picture = v if self.image is None else v.reshape(self.image)
        return self.denoiser(picture, jnp.asarray(tau, v.dtype)).reshape(v.shape)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        return self.value(s)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return self.value(z)
