"""Linear systems of the block updates: Cholesky's method where small, else conjugate gradients."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._solution import NoClosedForm
from liftax.affine import Dense, Identity, parameter_adjoint
from liftax.blocks._design import design, inner_gram, split, stacked
from liftax.networks import INPUT, Node, Params, States
from liftax.objectives import LiftedEnergy, scaled
from liftax.penalties import AbstractPenalty

Damping = float | Float[Array, ""]

# Larger systems are not worth their matrix.
LARGEST = 4096
CG_STEPS = 30


def newton_step(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    gradient: Params,
    damping: Mapping[str, Damping],
    weighted: bool = True,
) -> Params:
    r"""$(w_j J_j^\top J_j/s + \lambda_j I)^{-1} G_j$ with $J_j = \partial f_j/\partial\theta_j$.

    Without damping a multiple of the identity of the size of rounding stands in for it. $w_j$
    includes the loss's smoothness; it is left out unless `weighted`.
    """
    users: dict[str, list[Node]] = {}
    for node in energy.network.nodes:
        users.setdefault(node.owner, []).append(node)
    steps = {}
    for owner, g in gradient.items():
        factors = [
            energy.weight(n.name) * energy.loss_at(n.name).smoothness if weighted else 1.0
            for n in users[owner]
        ]
        steps[owner] = _newton(params[owner], users[owner], factors, states, g, damping[owner])
    return steps


def _newton(
    theta: Params,
    nodes: list[Node],
    factors: list[Any],
    states: States,
    gradient: Params,
    damping: Damping,
) -> Params:
    samples = states[INPUT].shape[0]
    if len(nodes) == 1:
        node = nodes[0]
        inputs = tuple(states[p] for p in node.parents)
        gram, rows = inner_gram(node.affine, inputs), design(node.affine, inputs)
        if rows is not None and min(rows.shape) <= LARGEST:
            scale = jnp.asarray(factors[0], rows.dtype) / samples
            return split(_regression(gram, rows, scale, damping, stacked(gradient)), theta)

    def apply(v: Params) -> Params:
        total = jax.tree.map(lambda a: jnp.asarray(damping, a.dtype) * a, v)
        for node, factor in zip(nodes, factors, strict=True):
            inputs = tuple(states[p] for p in node.parents)

            def back(r: Array, node: Node = node, inputs: tuple = inputs) -> Params:
                return parameter_adjoint(node.affine, theta, inputs, r)

            # The derivative as the adjoint of the adjoint: parameters may hold fixed statistics.
            like = jax.eval_shape(node.affine.apply, theta, *inputs)
            forth = jax.linear_transpose(back, like)
            image = forth(v)[0]
            total = jax.tree.map(jnp.add, total, back(scaled(factor, image) / samples))
        return total

    return conjugate_gradients(apply, gradient)


def _regression(gram: Array | None, rows: Array, scale: Array, damping: Damping, g: Array) -> Array:
    """(c AᵀA + λ I)⁻¹ g, by the smaller of the two Gram matrices, which is given if it is AᵀA."""
    count, columns = rows.shape
    damping = jnp.asarray(damping, rows.dtype)
    tiny = float(jnp.finfo(rows.dtype).eps)
    if gram is not None:
        gram = scale * gram
        damping = jnp.maximum(damping, tiny * jnp.trace(gram) / columns)
        return cholesky_solve(gram, damping, g)
    gram = scale * (rows @ rows.T)
    damping = jnp.maximum(damping, jnp.sqrt(tiny) * jnp.trace(gram) / count)
    return (g - scale * rows.T @ cholesky_solve(gram, damping, rows @ g)) / damping


def cholesky_solve(gram: Array, damping: Any, right: Array) -> Array:
    r"""$(K + \lambda I)^{-1} B = V^\top(VB)$ for a positive semi-definite $K$, $V = L^{-1}$."""
    matrix = gram + jnp.asarray(damping, gram.dtype) * jnp.eye(len(gram), dtype=gram.dtype)
    inverse = inverse_factor(matrix)
    return exact(inverse.T, exact(inverse, right))


# Never of rounded factors, which a small damping does not forgive.
exact = functools.partial(jnp.matmul, precision="highest")


def inverse_factor(matrix: Array, smallest: int = 32) -> Array:
    r"""$V = L^{-1}$ of Cholesky's $L$, by halves.

    Nearly all of its work is products, several times faster than back-substitution on matrices of
    a hundred rows. Parts with at most `smallest` rows, or an eighth of all, are factorised.
    """
    size = len(matrix)
    if size <= smallest:
        lower = jax.lax.linalg.cholesky(matrix, symmetrize_input=False)
        unit = jnp.eye(size, dtype=matrix.dtype)
        return jax.lax.linalg.triangular_solve(lower, unit, left_side=True, lower=True)
    smallest, half = max(smallest, -(-size // 8)), size // 2
    first = inverse_factor(matrix[:half, :half], smallest)
    below = exact(matrix[half:, :half], first.T)
    last = inverse_factor(matrix[half:, half:] - exact(below, below.T), smallest)
    corner = -exact(last, exact(below, first))
    return jnp.block([[first, jnp.zeros_like(corner.T)], [corner, last]])


def conjugate_gradients(apply: Callable[[Any], Any], right: Any) -> Any:
    """An approximate solution of a positive definite system, from at most `CG_STEPS` products."""
    import lineax

    like = jax.eval_shape(lambda: right)
    operator = lineax.FunctionLinearOperator(apply, like, lineax.positive_semidefinite_tag)
    solver = lineax.CG(rtol=1e-5, atol=1e-12, max_steps=CG_STEPS)
    return lineax.linear_solve(operator, right, solver, throw=False).value


def solve_states(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    z: States,
    group: tuple[str, ...],
    proximal: Mapping[str, float],
    gradient: States,
) -> States:
    r"""Minimisers over single activations, with $\gamma = w_j + \alpha_j$, α being `proximal`.

    A node with $\kappa_j = \frac12\|\cdot\|^2$ (identity, or MAC-QP) whose only child copies it
    (an activation without weights) has the prox of the child's penalty in $z$ as its block. With
    other children it is the system $\gamma I + \sum_c w_c A_c^\top A_c$ with the maps $A_c$ of the
    children, exact where their penalties are quadratic in $z$.

    Raises:
        ValueError: for a node whose own penalty is not quadratic, or with an activity term; for
            nodes that interact.
    """
    new = {}
    for name in group:
        node = energy.network.node(name)
        children, alpha = energy.network.children(name), proximal[name]
        if not energy.penalty.quadratic(node.potential) or name in energy.activity:
            raise NoClosedForm(
                f"node {name!r} with the activation {type(node.potential).__name__} has no closed "
                "form: its own penalty is not quadratic; use ProximalGradient(), or "
                "Solve(otherwise=ProximalGradient())"
            )
        met = {p for c, _ in children for p in (c.name, *c.parents)} - {name}
        if met.intersection(group):
            raise NoClosedForm(
                f"node {name!r} moves together with a node that it interacts with: closed forms "
                "need GaussSeidel() or RedBlack()"
            )
        if len(children) == 1 and isinstance(children[0][0].affine, Identity):
            new[name] = _solve_copy(energy, states[name], z[name], states, name, alpha)
        else:
            new[name] = _solve_linear(energy, params, states, name, alpha, gradient[name])
    return new


def _solve_copy(
    energy: LiftedEnergy, u: Array, z: Array, states: States, name: str, proximal: float
) -> Array:
    ((child, _),) = energy.network.children(name)
    potential, cost = energy.network.node(name).potential, energy.loss_at(child.name)
    centre = jax.vmap(lambda z: energy.penalty.linear(potential, z))(z)
    weight = jnp.asarray(energy.weight(name), u.dtype)
    total = weight + proximal
    shift = energy.offsets.get(child.name, jnp.zeros((), u.dtype))
    middle = (weight * centre + proximal * u) / total - shift
    tau = jnp.asarray(energy.weight(child.name), u.dtype) / total
    if not isinstance(cost, AbstractPenalty):
        raise NoClosedForm(
            f"node {name!r} has no closed form: the loss {type(cost).__name__} states no prox in "
            "z; use ProximalGradient(), or Solve(otherwise=ProximalGradient())"
        )
    found = jax.vmap(lambda t, v: cost.prox_z(child.potential, t, v, tau))(
        states[child.name], middle
    )
    return found + shift


def _solve_linear(
    energy: LiftedEnergy,
    params: Params,
    states: States,
    name: str,
    proximal: float,
    gradient: Array,
) -> Array:
    u = states[name]
    weight = jnp.asarray(energy.weight(name), u.dtype)
    right = gradient + weight * u
    children = list({c.name: c for c, _ in energy.network.children(name)}.values())
    dense = all(isinstance(c.affine, Dense) for c in children)
    factors = [energy.weight(c.name) * energy.loss_at(c.name).smoothness for c in children]
    if dense and u[0].size <= LARGEST:
        gram = jnp.zeros((u[0].size,) * 2, u.dtype)
        for child, factor in zip(children, factors, strict=True):
            w = params[child.owner]["weight"]
            gram = gram + scaled(factor, w @ w.T)
        flat = right.reshape(len(u), -1)
        step = cholesky_solve(gram, weight + proximal, flat.T).T
        return u - step.reshape(u.shape)

    def apply(v: Array) -> Array:
        total = (weight + proximal) * v
        for child, factor in zip(children, factors, strict=True):

            def at(v: Array, child: Node = child) -> Array:
                inputs = (v if p == name else states[p] for p in child.parents)
                return child.affine.apply(params[child.owner], *inputs)

            zero, pull = jax.vjp(at, jnp.zeros_like(v))
            total = total + pull(scaled(factor, at(v) - zero))[0]
        return total

    return u - conjugate_gradients(apply, right)
