"""The parameters as a block whose sums over samples were made elsewhere."""

from typing import Any, ClassVar

from jaxtyping import Array, Float, PRNGKeyArray

from liftax import _tree
from liftax._solution import NoClosedForm
from liftax.blocks._block import WARM_UP, AbstractBlock, Constants, Probes, Steps, Variables
from liftax.blocks._parameter_block import ParameterBlock
from liftax.networks import Params
from liftax.objectives import LiftedEnergy, scaled


class SummedBlock(AbstractBlock):
    """A `ParameterBlock` that knows the mean gradient and its probes' images, and no samples.

    Both are means over samples, so that parts of these can be gone through one after another.

    Attributes:
        x: the parameters by node name.
        energy: of the network.
        params: the parameters, all of them.
        mean: of the gradients, at the point where the step takes it.
        images: of the probes, by one power iteration of `ParameterBlock.curvature`.
    """

    x: Variables
    energy: LiftedEnergy
    params: Params
    mean: Variables
    images: Probes
    warm_up: ClassVar[int] = WARM_UP

    @property
    def steady(self) -> bool:
        return False

    def value(self, x: Variables) -> Float[Array, ""]:
        raise ValueError("a SummedBlock has no samples to take a value of; use Lipschitz() steps")

    def gradient(self, x: Variables) -> Variables:
        return self.mean

    def prox(self, v: Variables, steps: Steps) -> Variables:
        return ParameterBlock(self.energy, self.params, {}, {}).prox(v, steps)

    def probes(self, key: PRNGKeyArray) -> Probes:
        return self.images

    def curvature(self, probes: Probes, iterations: int) -> tuple[Constants, Probes]:
        constants: Constants = {}
        for name, image in self.images.items():
            node = self.energy.network.node(name)
            factor = self.energy.weight(name) * self.energy.loss_at(name).smoothness
            own = scaled(factor, _tree.norm(image))
            constants[node.owner] = constants[node.owner] + own if node.owner in constants else own
        return constants, self.images

    def solve(self, proximal: dict[str, Any]) -> Variables:
        raise NoClosedForm("a SummedBlock has no samples to solve for; use ProximalGradient()")
