"""The parameters as a block."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax import _tree
from liftax._solution import NoClosedForm
from liftax.affine import parameter_adjoint
from liftax.blocks._block import WARM_UP, AbstractBlock, Constants, Probes, Steps, Variables
from liftax.blocks._curvature import parameter_curvature, parameter_probes
from liftax.blocks._hyper import hyper_curvature, hyper_gradient
from liftax.blocks._solve import newton_step
from liftax.networks import INPUT, Params, States, potential_key
from liftax.objectives import LiftedEnergy, scaled

Anchor = tuple[Params, Any]


class ParameterBlock(AbstractBlock):
    r"""All $\theta_j$, which given $U$ do not interact, for the mean energy over the samples.

    $$f(\Theta) = \frac1s\sum_i\sum_j w_j C_j(u_j^i, f_j(u^i;\theta_j)),\qquad
      h(\Theta) = \sum_j r_j(W_j) + \frac1{2\tau}\|\Theta - \Theta^k\|^2,$$

    the last term with an `anchor` $(\Theta^k, \tau)$ only. What potentials learn is a part of Θ.
    `names` restricts the block to the parameters of these nodes.
    """

    x: Variables
    energy: LiftedEnergy
    params: Params
    states: States
    z: States
    anchor: Anchor | None

    def __init__(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        z: States,
        anchor: Anchor | None = None,
        names: tuple[str, ...] | None = None,
    ):
        free = params if names is None else _of_nodes(energy, params, names)
        self.x = {name: theta for name, theta in free.items() if jax.tree.leaves(theta)}
        self.energy, self.params, self.states, self.z = energy, params, states, z
        self.anchor = anchor

    @property
    def steady(self) -> bool:
        return False

    def value(self, x: Variables) -> Float[Array, ""]:
        energy, z = self._at(x)
        terms = energy.terms(self.states, z)
        weighted = [scaled(energy.weight(name), term) for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])

    def gradient(self, x: Variables) -> Variables:
        energy, z = self._at(x)
        signals = {n.name: energy.residual(self.states, z, n.name) for n in energy.network.nodes}
        new = parameter_gradient(energy, {**self.params, **x}, self.states, signals)
        hyper = hyper_gradient(energy, {**self.params, **x}, self.states, z)
        return {name: {**new, **hyper}[name] for name in x}

    def prox(self, v: Variables, steps: Steps) -> Variables:
        if self.anchor is not None:
            centre, tau = self.anchor[0], self._tau()
            pulls = {name: jax.tree.map(lambda s: s / tau, steps[name]) for name in v}
            v = {name: _pulled(v[name], centre[name], pulls[name]) for name in v}
            steps = {name: _shortened(steps[name], pulls[name]) for name in v}
        new = self.energy.regularise(v, steps)
        return self._admissible(new)

    def probes(self, key: PRNGKeyArray) -> Probes:
        network, dtype = self.energy.network, self.states[INPUT].dtype
        probes = parameter_probes(network, key, dtype)
        own = {name: p for name, p in probes.items() if network.node(name).owner in self.x}
        return self.curvature(own, WARM_UP)[1]

    def curvature(self, probes: Probes, iterations: int) -> tuple[Constants, Probes]:
        found, probes = parameter_curvature(self.energy, self.states, probes, iterations)
        for name, constants in found.items():
            if constants.ndim:  # one for every copy in a stack
                found[name] = jax.tree.map(
                    lambda leaf, c=constants: c.reshape(-1, *(1,) * (leaf.ndim - 1)), self.x[name]
                )
        return {**found, **self._hyper_curvature()}, probes

    def solve(self, proximal: dict[str, float]) -> Variables:
        if self.energy.regularisers:
            raise NoClosedForm(
                "regularisers have no closed form in the metric of a solved parameter step; use "
                "parameter_step=ProximalGradient()"
            )
        gradient, damping = self.gradient(self.x), proximal
        if self.anchor is not None:
            centre, tau = self.anchor[0], self._tau()
            pull = {name: _tree.minus(self.x[name], centre[name]) for name in self.x}
            gradient = jax.tree.map(lambda g, p: g + p / tau, gradient, pull)
            damping = {name: a + 1 / tau for name, a in proximal.items()}
        curvature = self._hyper_curvature()
        of_maps = {name: g for name, g in gradient.items() if name not in curvature}
        step = newton_step(self.energy, self.params, self.states, of_maps, damping)
        for name, size in curvature.items():
            step[name] = jax.tree.map(lambda g, c=size + damping[name]: g / c, gradient[name])
        return self._admissible(_tree.minus(self.x, step))

    def _tau(self) -> Array:
        # Schedules may compute in another precision than the parameters have.
        assert self.anchor is not None
        return jnp.asarray(self.anchor[1], jax.tree.leaves(self.x)[0].dtype)

    def _hyper_curvature(self) -> Constants:
        found = hyper_curvature(self.energy, self.params, self.z)
        return {name: size for name, size in found.items() if name in self.x}

    def _admissible(self, x: Variables) -> Variables:
        whole = self.energy.network.admissible({**self.params, **x})
        return {name: whole[name] for name in x}

    def _at(self, x: Variables) -> tuple[LiftedEnergy, States]:
        if x is self.x:
            return self.energy, self.z
        params = {**self.params, **x}
        energy = self.energy.at(params)
        return energy, energy.preactivations(params, self.states)


def parameter_gradient(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    signals: States,
) -> Params:
    r"""$G_j = \frac1s\sum_i(\partial f_j/\partial\theta_j)^\top r_j^i$.

    Parameters that several nodes use collect the gradients of all of them; nodes without a signal
    take no part.
    """
    scale = 1 / states[INPUT].shape[0]
    gradients: Params = {}
    for node in energy.network.nodes:
        if node.name not in signals:
            continue
        inputs = tuple(states[p] for p in node.parents)
        theta, signal = params[node.owner], signals[node.name]
        # What has fewer numbers is scaled.
        if sum(leaf.size for leaf in jax.tree.leaves(theta)) < signal.size:
            new = parameter_adjoint(node.affine, theta, inputs, signal)
            new = jax.tree.map(lambda g: scale * g, new)
        else:
            new = parameter_adjoint(node.affine, theta, inputs, scale * signal)
        known = gradients.get(node.owner)
        gradients[node.owner] = new if known is None else jax.tree.map(jnp.add, known, new)
    return gradients


def _of_nodes(energy: LiftedEnergy, params: Params, names: tuple[str, ...]) -> Params:
    keys = [key for name in names for key in (name, potential_key(name)) if key in params]
    return {key: params[key] for key in keys}


def _pulled(v: Any, centre: Any, pull: Any) -> Any:
    """(v + c a)/(1 + c), the first part of the prox of h."""
    if jax.tree.structure(pull) != jax.tree.structure(v):
        pull = jax.tree.map(lambda _: pull, v)
    return jax.tree.map(
        lambda v, a, c: jnp.asarray((v + c * a) / (1 + c), v.dtype), v, centre, pull
    )


def _shortened(step: Any, pull: Any) -> Array | Any:
    return jax.tree.map(lambda s, c: s / (1 + c), step, pull)
