"""Maps that are linear in each of two parents."""

import abc

from jaxtyping import Array, Float

from liftax.affine._affine import AbstractAffine


class AbstractBilinear(AbstractAffine):
    r"""$z = f(u_1, u_2)$, linear in $u_1$ and in $u_2$, without parameters.

    The norm in one parent depends on the other one, sample by sample.
    """

    @abc.abstractmethod
    def norms(self, inputs: tuple[Array, Array], parent: int) -> Float[Array, " samples"]:
        r"""An upper bound of $\|\partial f/\partial u_p\|$ for the parent number `parent`."""
