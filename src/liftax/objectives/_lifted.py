"""The lifted energy."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._kinds import check_kind
from liftax.networks import (
    INPUT,
    Copy,
    Network,
    Node,
    Params,
    Stacking,
    States,
    stack,
    unfold,
)
from liftax.penalties import AbstractLoss, AbstractPenalty, Bregman
from liftax.potentials import AbstractPotential, AbstractRegulariser, SoftThreshold

Weight = float | Float[Array, ""]


class LiftedEnergy(eqx.Module):
    r"""The lifted energy of a network.

    $$E(U,\Theta) = \frac1s\sum_i\Big[\sum_j w_j\,C_j(u_j^i, z_j^i) + \sum_j s_j(u_j^i)\Big]
      + \sum_j r_j(W_j).$$

    The output node is clamped to the target, $u_J = y$, and its penalty `loss` is the training
    loss: with the Bregman penalty, cross-entropy behind a softmax and $\frac12\|\cdot\|^2$ behind
    the identity. All hidden nodes share `penalty`. The batch is averaged, an example is summed.
    The weights of a layer as a matrix, for $r_j$, have its inputs in the rows and its features in
    the columns (of a convolution's kernel all axes but the last make the rows).

    Attributes:
        network: the graph.
        penalty: penalty of the hidden nodes.
        loss: penalty of the clamped output node.
        weights: $w_j$ by node name, 1 where none is given.
        activity: $s_j$ by node name: `SoftThreshold(alpha)` adds $\alpha\|u_j\|_1$ (sparse codes).
        regularisers: $r_j$ by node name, on the node's weights without its bias: a potential such
            as `ElasticNet`, `GroupSoftThreshold`, `Ball`, `SpectralBall`, or `Orthogonal`.
        nudge: β, set by `nudged`.
        offsets: $p_j$, set by `offset`.

    Raises:
        ValueError: for an unknown node, a weight that is not positive, or an activity term on a
            node whose activation does not map 0 to 0 (the prox of the sum has no closed form
            there).

    Source: arXiv 2510.09796, section 3.
    """

    network: Network
    penalty: AbstractPenalty
    loss: AbstractLoss
    weights: dict[str, Weight]
    activity: dict[str, SoftThreshold]
    regularisers: dict[str, AbstractRegulariser]
    nudge: Weight
    offsets: States

    def __init__(
        self,
        network: Network,
        penalty: AbstractPenalty | None = None,
        loss: AbstractLoss | None = None,
        weights: Mapping[str, float] | None = None,
        activity: Mapping[str, SoftThreshold] | None = None,
        regularisers: Mapping[str, AbstractRegulariser] | None = None,
    ):
        self.network = network
        self.penalty = Bregman() if penalty is None else penalty
        self.loss = Bregman() if loss is None else loss
        self.weights = dict(weights or {})
        self.activity = dict(activity or {})
        self.regularisers = dict(regularisers or {})
        self.nudge, self.offsets = 1.0, {}

    def __check_init__(self) -> None:
        check_kind(self.network, Network, "network", "a Network such as mlp([64, 32, 10])")
        check_kind(self.penalty, AbstractPenalty, "penalty", "a penalty such as Quadratic()")
        check_kind(self.loss, AbstractLoss, "loss", "a loss such as Bregman()")
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
        for name, term in self.regularisers.items():
            if not isinstance(term, AbstractRegulariser):
                raise ValueError(
                    f"regularisers[{name!r}] must be a potential or another AbstractRegulariser, "
                    f"got {type(term).__name__}"
                )
            self._check_weights(name)

    def loss_at(self, name: str) -> AbstractLoss:
        """What a node pays: `loss` at the output, `penalty` elsewhere."""
        return self.loss if name == self.network.output else self.penalty

    def weight(self, name: str) -> Weight:
        """$w_j$; the output's is multiplied by the nudge."""
        weight = self.weights.get(name, 1.0)
        return weight * self.nudge if name == self.network.output else weight

    def nudged(self, factor: Weight) -> "LiftedEnergy":
        """The same energy with the loss and the activity terms multiplied by `factor`."""
        activity = {n: SoftThreshold(factor * s.threshold) for n, s in self.activity.items()}
        return self._with(nudge=factor * self.nudge, activity=activity)

    def weighted(self, weights: Mapping[str, Any]) -> "LiftedEnergy":
        """The same energy with other weights, which may be traced."""
        return self._with(weights={**self.weights, **weights})

    def offset(self, offsets: States) -> "LiftedEnergy":
        """The same energy with $z_j - p_j$ in place of $z_j$: scaled multipliers."""
        return self._with(offsets=dict(offsets))

    def at(self, params: Params) -> "LiftedEnergy":
        """The same energy with the hyper-parameters put in that potentials learn."""
        network = self.network.at(params)
        return self if network is self.network else self._with(network=network)

    def on_stages(self, stages: Mapping[str, int]) -> "LiftedEnergy":
        """The same energy of the network with its nodes on these stages, by name."""
        return self._with(network=self.network.on_stages(stages))

    def stacked(self, stages: int = 1) -> tuple["LiftedEnergy", Stacking] | None:
        """The same energy of the network with its equal layers as stacks, and the stacking.

        Layers are equal if their weights and activity terms are too, and none has a regulariser.
        None if none repeat often enough; for `stages` see `networks.stack`.
        """

        def alike(name: str) -> Any:
            term = self.activity.get(name)
            own = object() if name in self.regularisers else None
            return self.weights.get(name, 1.0), None if term is None else term.threshold, own

        found = stack(self.network, alike=alike, stages=stages)
        if found is None:
            return None
        names = found.network.shapes
        kept = {
            field: {name: term for name, term in terms.items() if name in names}
            for field, terms in (("weights", self.weights), ("activity", self.activity))
        }
        return self._with(network=found.network, **kept), found

    def unfolded(self) -> "LiftedEnergy | None":
        """The same energy with four nodes in the place of every stack; see `networks.unfold`.

        Offsets are left out.
        """
        network = unfold(self.network)
        if network is None:
            return None
        names = {
            node.name: [copy.of(node.name) for copy in Copy] if node.copies else None
            for node in self.network.nodes
        }

        def spread(terms: dict[str, Any]) -> dict[str, Any]:
            return {own: term for k, term in terms.items() for own in names[k] or (k,)}

        terms = {"weights": spread(self.weights), "activity": spread(self.activity)}
        return self._with(network=network, offsets={}, **terms)

    def _with(self, **changes: Any) -> "LiftedEnergy":
        # What the library changes needs no check, and may be traced.
        new = object.__new__(LiftedEnergy)
        for field in dataclasses.fields(self):
            object.__setattr__(new, field.name, changes.get(field.name, getattr(self, field.name)))
        return new

    def preactivation(self, params: Params, states: States, name: str) -> Array:
        """$z_j$ of a node, less its multiplier."""
        z = self.network.preactivation(params, states, name)
        return z - self.offsets[name] if name in self.offsets else z

    def preactivations(self, params: Params, states: States) -> States:
        """$z_j$ of all nodes."""
        return {n.name: self.preactivation(params, states, n.name) for n in self.network.nodes}

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
            node.name: jnp.sum(self._costs(node, states, z)) / len(states[node.name])
            for node in self.network.nodes
        }

    def parts(self, states: States, z: dict[str, Array]) -> dict[str, Float[Array, "..."]]:
        r"""$w_j\frac1s\sum_i C_j(u_j^i, z_j^i)$ by node name; of stacks for each copy."""
        found = {}
        for node in self.network.nodes:
            mean = jnp.mean(self._costs(node, states, z), axis=0)
            found[node.name] = scaled(self.weight(node.name), mean)
        return found

    def value(self, params: Params, states: States) -> Float[Array, ""]:
        r"""$E(U, \Theta)$; `states` holds the input and the clamped output too."""
        energy = self.at(params)
        return energy.total(
            energy.terms(states, energy.preactivations(params, states)), states, params
        )

    def total(
        self, terms: dict[str, Float[Array, ""]], states: States, params: Params
    ) -> Float[Array, ""]:
        """The energy, from its penalty terms by node name."""
        penalties = [scaled(self.weight(name), term) for name, term in terms.items()]
        of_weights = [
            term.value(_matrix(_weight(params, name))) for name, term in self.regularisers.items()
        ]
        return sum([*penalties, *of_weights], start=self.activity_value(states))

    def regularise(self, params: Params, steps: Mapping[str, Any]) -> Params:
        r"""$\mathrm{prox}_{\gamma_j r_j}$ on the weights in `params` that have a regulariser.

        A step is a number, or in the form of the node's parameters, one number an entry.

        Raises:
            ValueError: for steps of entries, if the regulariser is not separable.
        """
        moved = {}
        for name, term in self.regularisers.items():
            if name not in params:
                continue
            weight, step = _weight(params, name), steps[name]
            if isinstance(step, dict):
                if not (isinstance(term, AbstractPotential) and term.separable):
                    raise ValueError(
                        f"regularisers[{name!r}], {type(term).__name__}, is not separable: a step "
                        "for every entry (Adam) has no prox there; use Plain() or Nesterov()"
                    )
                step = _matrix(step["weight"])
            new = term.prox(_matrix(weight), step).reshape(weight.shape)
            moved[name] = {**params[name], "weight": new}
        return {**params, **moved}

    def activity_value(self, states: States) -> Float[Array, ""]:
        r"""$\frac1s\sum_i\sum_j s_j(u_j^i)$."""
        dtype = states[INPUT].dtype
        means = [jnp.mean(jax.vmap(s.value)(states[name])) for name, s in self.activity.items()]
        return sum(means, start=jnp.zeros((), dtype))

    def loss_value(self, z: Array, y: Array) -> Float[Array, ""]:
        """Mean training loss of the output's pre-activation against the target."""
        return jnp.mean(self.network.nodes[-1].over(self.loss.value)(y, z))

    def residual(self, states: States, z: dict[str, Array], name: str) -> Array:
        r"""$w_j\nabla_z C_j(u_j, z_j)$ for every sample."""
        residual = self.network.node(name).over(self.loss_at(name).residual)
        return scaled(self.weight(name), residual(states[name], z[name]))

    def gaps(self, states: States, z: dict[str, Array]) -> dict[str, Float[Array, "..."]]:
        r"""Root mean square over entries of $u_j - \sigma_j(z_j)$, for every hidden node.

        For each of its copies if the node is a stack.
        """
        gaps = {}
        for name in self.network.hidden:
            node = self.network.node(name)
            difference = states[name] - node.activated(z[name])
            axes = tuple(k for k in range(difference.ndim) if k != 1) if node.copies else None
            gaps[name] = jnp.sqrt(jnp.mean(difference**2, axes))
        return gaps

    def _costs(self, node: Node, states: States, z: States) -> Float[Array, "samples *copies"]:
        return node.over(self.loss_at(node.name).value)(states[node.name], z[node.name])

    def _check_weights(self, name: str) -> None:
        node = self.network.node(name)
        if node.tied_to is not None:
            raise ValueError(
                f"regularisers[{name!r}]: the node uses the weights of {node.tied_to!r}; name that"
            )
        given = [self.network.shapes[p] for p in node.parents]
        theta = jax.eval_shape(
            lambda key: node.affine.init(key, *given, dtype=jnp.float32), jax.random.key(0)
        )
        if not isinstance(theta, dict) or "weight" not in theta:
            raise ValueError(
                f"regularisers[{name!r}]: the map {type(node.affine).__name__} has no weights; "
                "name a dense or convolutional node"
            )


def scaled(weight: Weight, array: Array) -> Array:
    """The product, in the array's precision; nothing for the weight 1."""
    if isinstance(weight, int | float):
        return array if weight == 1 else weight * array
    return weight.astype(array.dtype) * array


def _weight(params: Params, name: str) -> Array:
    return params[name]["weight"]


def _matrix(weight: Array) -> Array:
    return weight.reshape(-1, weight.shape[-1])


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
