"""The lifted energy."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.networks import INPUT, Network, Params, States
from liftax.penalties import AbstractPenalty, Bregman
from liftax.potentials import SoftThreshold


class LiftedEnergy(eqx.Module):
    r"""$E(U,\Theta) = \frac1s\sum_i\big[\sum_j w_j\,C_j(u_j^i, z_j^i) + \sum_j s_j(u_j^i)\big]$.

    The output node is clamped to the target, $u_J = y$, and its penalty `loss` is the training
    loss: with the Bregman penalty, cross-entropy behind a softmax and $\frac12\|\cdot\|^2$ behind
    the identity. All hidden nodes share `penalty`. The batch is averaged, an example is summed.

    Attributes:
        network: the graph.
        penalty: penalty of the hidden nodes.
        loss: penalty of the clamped output node.
        weights: $w_j$ by node name, 1 where none is given.
        activity: $s_j$ by node name: `SoftThreshold(alpha)` adds $\alpha\|u_j\|_1$ (sparse codes).

    Raises:
        ValueError: for an unknown node, a weight that is not positive, or an activity term on a
            node whose activation does not map 0 to 0 (the prox of the sum has no closed form
            there).

    Source: arXiv 2510.09796, section 3.
    """

    network: Network
    penalty: AbstractPenalty
    loss: AbstractPenalty
    weights: dict[str, float]
    activity: dict[str, SoftThreshold]

    def __init__(
        self,
        network: Network,
        penalty: AbstractPenalty | None = None,
        loss: AbstractPenalty | None = None,
        weights: Mapping[str, float] | None = None,
        activity: Mapping[str, SoftThreshold] | None = None,
    ):
        self.network = network
        self.penalty = Bregman() if penalty is None else penalty
        self.loss = Bregman() if loss is None else loss
        self.weights = dict(weights or {})
        self.activity = dict(activity or {})

    def __check_init__(self) -> None:
        for name, weight in self.weights.items():
            self.network.node(name)
            if not weight > 0:
                raise ValueError(f"weights[{name!r}] must be positive, got {weight}")
        for name, term in self.activity.items():
            if name not in self.network.hidden:
                raise ValueError(
                    f"activity names {name!r}, which is no hidden node "
                    f"(hidden: {', '.join(self.network.hidden)})"
                )
            if not isinstance(term, SoftThreshold):
                raise ValueError(
                    f"activity[{name!r}] must be SoftThreshold(alpha), got {type(term).__name__}"
                )
            _check_fixes_zero(self.network, name)

    def penalty_at(self, name: str) -> AbstractPenalty:
        """The penalty of a node: `loss` at the output, `penalty` elsewhere."""
        return self.loss if name == self.network.output else self.penalty

    def weight(self, name: str) -> float:
        """$w_j$."""
        return self.weights.get(name, 1.0)

    def nudged(self, factor: float) -> "LiftedEnergy":
        """The same energy with the loss and the activity terms multiplied by `factor`."""
        output = self.network.output
        weights = {**self.weights, output: factor * self.weight(output)}
        activity = {n: SoftThreshold(factor * s.threshold) for n, s in self.activity.items()}
        return LiftedEnergy(self.network, self.penalty, self.loss, weights, activity)

    def clamp(self, x: Array, y: Array, params: Params) -> tuple[States, dict[str, Array], Array]:
        r"""Feasible states: a forward pass with the output replaced by the target.

        Returns:
            The states, the pre-activations, and the network's output (before it was replaced).
        """
        states, z = self.network.forward(params, x)
        output = states[self.network.output]
        return {**states, self.network.output: y}, z, output

    def terms(self, states: States, z: dict[str, Array]) -> dict[str, Float[Array, ""]]:
        r"""$\frac1s\sum_i C_j(u_j^i, z_j^i)$ by node name, without the weights."""
        return {
            node.name: jnp.mean(
                jax.vmap(lambda u, z, node=node: self._cost(node.name, u, z))(
                    states[node.name], z[node.name]
                )
            )
            for node in self.network.nodes
        }

    def value(self, params: Params, states: States) -> Float[Array, ""]:
        r"""$E(U, \Theta)$; `states` holds the input and the clamped output too."""
        z = {n.name: self.network.preactivation(params, states, n.name) for n in self.network.nodes}
        terms = self.terms(states, z)
        total = sum(self.weight(name) * term for name, term in terms.items())
        return total + self.activity_value(states)

    def activity_value(self, states: States) -> Float[Array, ""]:
        r"""$\frac1s\sum_i\sum_j s_j(u_j^i)$."""
        dtype = states[INPUT].dtype
        means = [jnp.mean(jax.vmap(s.value)(states[name])) for name, s in self.activity.items()]
        return sum(means, start=jnp.zeros((), dtype))

    def loss_value(self, z: Array, y: Array) -> Float[Array, ""]:
        """Mean training loss of the output's pre-activation against the target."""
        output = self.network.output
        return jnp.mean(jax.vmap(lambda u, z: self._cost(output, u, z))(y, z))

    def residual(self, states: States, z: dict[str, Array], name: str) -> Array:
        r"""$w_j\nabla_z C_j(u_j, z_j)$ for every sample."""
        potential, penalty = self.network.node(name).potential, self.penalty_at(name)
        r = jax.vmap(lambda u, z: penalty.residual(potential, u, z))(states[name], z[name])
        return self.weight(name) * r

    def gaps(self, states: States, z: dict[str, Array]) -> dict[str, Float[Array, ""]]:
        r"""Root mean square over entries of $u_j - \sigma_j(z_j)$, for every hidden node."""
        return {
            name: jnp.sqrt(
                jnp.mean(
                    (states[name] - jax.vmap(self.network.node(name).potential.activation)(z[name]))
                    ** 2
                )
            )
            for name in self.network.hidden
        }

    def _cost(self, name: str, u: Array, z: Array) -> Float[Array, ""]:
        return self.penalty_at(name).value(self.network.node(name).potential, u, z)


def _check_fixes_zero(network: Network, name: str) -> None:
    potential = network.node(name).potential
    # Energies are also built while a program is traced; the check itself needs numbers.
    with jax.ensure_compile_time_eval():
        moved = bool(jnp.any(potential.activation(jnp.zeros(network.shapes[name])) != 0))
    if moved or not potential.separable:
        raise ValueError(
            f"activity[{name!r}] sits on the activation {type(potential).__name__}, which does not "
            "map 0 to 0 entry by entry; put the sparse term on a node with ReLU, soft-threshold, "
            "identity or tanh"
        )
