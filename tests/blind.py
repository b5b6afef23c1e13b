"""A ReLU whose derivative raises."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from liftax.potentials import AbstractPotential, ReLU


@jax.custom_jvp
def _relu(z):
    return jnp.maximum(z, 0)


@_relu.defjvp
def _relu_jvp(primals, tangents):
    raise AssertionError("the activation was differentiated")


class Blind(AbstractPotential):
    """The potential of ReLU, with an activation that must not be differentiated."""

    separable: ClassVar[bool] = True

    def value(self, u):
        return ReLU().value(u)

    def prox(self, v, tau):
        return _relu(v)

    def conjugate(self, s):
        return ReLU().conjugate(s)

    def activation(self, z):
        return _relu(z)

    def phi_conjugate(self, z):
        return 0.5 * jnp.sum(_relu(z) ** 2)
