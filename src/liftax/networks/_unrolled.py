"""Unrolled algorithms for images behind a linear operator."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from liftax.affine import AbstractAffine, Fixed, Residual, Sum
from liftax.imaging import AbstractOperator, Adjoint, DataStep, Identity, Multiple, Resolvent
from liftax.networks._network import INPUT, Network
from liftax.networks._node import Node
from liftax.networks._proximal import (
    Interval,
    constraint,
    dual_potential,
    learnt,
    operators,
    positive,
)
from liftax.potentials import Identity as Copy


class Prior(NamedTuple):
    r"""The learnt part of an unrolled algorithm, $\lambda g(Dx) + \iota_C(x)$.

    Attributes:
        features: number of filters of $D$.
        kernel: side of the filters.
        tied: $V_k = D_k^\top$ instead of a second learnt operator.
        group: g is the sum of the Euclidean norms over the features of each pixel; else the ℓ1
            norm.
        threshold: λ times the step, at first; learnt, one number an iteration (the two ends of the
            interval separately).
        interval: C, the values that pixels may have; None for all.
        layers: dual forward-backward steps of one denoising, as in `ddfb`, each with filters of its
            own. For `proximal_gradient` and `half_quadratic_network`; the two primal-dual
            algorithms take one step an iteration.
    """

    features: int
    kernel: int = 3
    tied: bool = False
    group: bool = False
    threshold: float = 0.02
    interval: Interval = (0.0, 1.0)
    layers: int = 1


class _Term(NamedTuple):
    r"""What a step on the data term does to $x$, to $A^\top y$ and to $Vu$."""

    step: AbstractOperator
    target: float | AbstractOperator
    dual: float | AbstractOperator


def proximal_gradient(
    operator: AbstractOperator,
    prior: Prior,
    iterations: int,
    *,
    step: float | None = None,
    start: AbstractOperator | None = None,
    back: AbstractOperator | None = None,
) -> Network:
    r"""Unrolled gradient steps on $\frac12\|Ax - y\|^2$ and denoising by turns.

    $$x_{k+1} = P_C(v_k - tA^\top(Av_k - y)),\qquad u_k = \sigma_k(1.9\,D_kx_k),\qquad
      v_k = x_k - V_ku_k$$
    from $v_0 = Sy$; the output is $P_C(v_K)$. $v_k$ is one dual forward-backward step of the
    proximal map of $\lambda g(D\cdot)$, $\|D_k\|,\|V_k\|\le1$, or `Prior.layers` of them. Its input
    is y. Nodes are named ``start``, ``data`` ($A^\top y$), ``x1``, ``u1``, ..., ``out``; with
    several layers ``x1``, ``u1_1``, ``v1_1``, ``u1_2``, ..., ``x2``, ....

    Args:
        operator: $A$.
        prior: the learnt part.
        iterations: K.
        step: t, at most $2/\|A\|^2$; None for $1/(1.02\|A\|^2)$.
        start: $S$; None for $A^\top$.
        back: $B$ in place of $A^\top$ everywhere, such as `FilteredBackProjection`: few steps then
            do what takes many. t has no limit then, and None stands for 1.

    Raises:
        ValueError: for no iterations, or a step beyond the limit.

    Source: Combettes & Wajs (2005); Gregor & LeCun (2010) for unrolling.
    """
    free = 1.0 if step is None else step
    t = _gradient_step(operator, step) if back is None else free
    ahead = DataStep(operator, t, back)
    term = _Term(ahead, t, Multiple(ahead, -1.0))
    return _splitting(operator, prior, [term] * positive(iterations), start, back)


def half_quadratic_network(
    operator: AbstractOperator,
    prior: Prior,
    steps: Sequence[float],
    *,
    start: AbstractOperator | None = None,
) -> Network:
    r"""`proximal_gradient` with the whole data term in place of a gradient step.

    $$x_{k+1} = P_C\left((I + t_kA^\top A)^{-1}(v_k + t_kA^\top y)\right),$$
    the minimiser of $\frac{t_k}2\|Ax - y\|^2 + \frac12\|x - v_k\|^2$, for masks and periodic blurs.
    A few iterations do what takes gradient steps hundreds. No step is too long; steps that fall
    trust the denoised image more and more, as $\rho_k = 1/t_k$ of `liftax.imaging.half_quadratic`
    grows.

    Args:
        operator: $A$, a `Mask` or a periodic `Blur`.
        prior: the learnt part.
        steps: $t_0, \dots, t_{K-1}$, positive. Noise of the standard deviation ν in y has one of up
            to $\nu\sqrt{t}$ in $x$ where $A$ sees nothing.
        start: $S$; None for $A^\top$.

    Raises:
        ValueError: for no steps, one that is not positive, or another operator.

    Source: Geman & Yang (1995); Zhang et al. (2021).
    """
    positive(len(steps))
    return _splitting(operator, prior, [_whole(operator, t) for t in steps], start)


def condat_vu(
    operator: AbstractOperator,
    prior: Prior,
    iterations: int,
    *,
    step: float | None = None,
    start: AbstractOperator | None = None,
) -> Network:
    r"""Condat and Vũ's primal-dual iterations.

    $$u_k = \sigma_k(u_{k-1} + s\,D_k(2x_k - x_{k-1})),\qquad
      x_{k+1} = P_C(x_k - tA^\top(Ax_k - y) - V_ku_k)$$
    from $x_0 = Sy$, $u_0 = 0$, with $\|D_k\|\le1$ and
    $s = 0.99(1 - t\|A\|^2/2)$ from their condition
    $\frac1t - \frac{s}{t} \ge\frac12\|A\|^2$ ($u$ is the dual variable times t). The output is
    $x_{K+1}$. Arguments, names and errors are those of `proximal_gradient`, t being less than
    $2/\|A\|^2$.

    Source: Condat (2013), Vũ (2013).
    """
    t = _gradient_step(operator, step)
    dual = 0.99 * (1 - t * _square(operator) / 2)
    term = _Term(DataStep(operator, t), t, -1.0)
    return _primal_dual(operator, prior, (term, dual), positive(iterations), start)


def chambolle_pock(
    operator: AbstractOperator,
    prior: Prior,
    iterations: int,
    step: float,
    *,
    start: AbstractOperator | None = None,
) -> Network:
    r"""`condat_vu` with the whole data term, for masks and periodic blurs.

    $$x_{k+1} = P_C\left((I + tA^\top A)^{-1}(x_k + tA^\top y - V_ku_k)\right),\qquad s = 0.99.$$
    Without C these are Chambolle and Pock's iterations; C follows the data term's proximal map.

    Args:
        operator: $A$, a `Mask` or a periodic `Blur`.
        prior: the learnt part.
        iterations: K.
        step: t, positive.
        start: $S$; None for $A^\top$.

    Raises:
        ValueError: for no iterations, a step that is not positive, or another operator.

    Source: Chambolle & Pock (2011).
    """
    term = _whole(operator, step)
    return _primal_dual(operator, prior, (term, 0.99), positive(iterations), start)


def _splitting(
    operator: AbstractOperator,
    prior: Prior,
    terms: list[_Term],
    start: AbstractOperator | None,
    behind: AbstractOperator | None = None,
) -> Network:
    inside = constraint(prior.interval)
    _, back = _filters(operator, prior)
    nodes = _beginning(operator, prior, terms[0], start, behind)
    bound = None if prior.tied else 1.0
    for k in range(1, len(terms) + 1):
        x = f"x{k}"
        steps, u = _denoising(operator, prior, k)
        nodes += steps
        tie = u if prior.tied else None
        if k == len(terms):
            outward = Residual(back, (1.0, 0.0), (0.0, 1.0), -1.0, bound)
            nodes.append(Node("out", outward, inside, (x, u), tie))
        else:
            outward = _data_step(back, terms[k], bound)
            nodes.append(Node(f"x{k + 1}", outward, inside, ("data", x, u), tie))
    return Network(tuple(nodes), operator.out_shape)


def _denoising(operator: AbstractOperator, prior: Prior, k: int) -> tuple[list[Node], str]:
    """Dual steps from the node x of iteration k, and the name of the last dual variable."""
    sigma, inside = dual_potential(prior.group, prior.threshold), constraint(prior.interval)
    forth, back = _filters(operator, prior)
    x, last = f"x{k}", positive(prior.layers)
    names = [f"u{k}" if last == 1 else f"u{k}_{i}" for i in range(1, last + 1)]
    nodes = [learnt(names[0], Residual(forth, (0.0,), (1.0,), 1.9, bound=1.0), sigma, (x,))]
    outward = Residual(back, (1.0, 0.0), (0.0, 1.0), -1.0, None if prior.tied else 1.0)
    inward = Residual(forth, (1.0, 0.0), (0.0, 1.0), 1.9, bound=1.0)
    for i, (u, new) in enumerate(itertools.pairwise(names), start=1):
        v = f"v{k}_{i}"
        nodes.append(Node(v, outward, inside, (x, u), u if prior.tied else None))
        nodes.append(learnt(new, inward, sigma, (u, v)))
    return nodes, names[-1]


def _primal_dual(
    operator: AbstractOperator,
    prior: Prior,
    data: tuple[_Term, float],
    iterations: int,
    start: AbstractOperator | None,
) -> Network:
    sigma, inside = dual_potential(prior.group, prior.threshold), constraint(prior.interval)
    forth, back = _filters(operator, prior)
    term, dual = data
    nodes = _beginning(operator, prior, term, start)
    bound, older = (None if prior.tied else 1.0), "start"
    for k in range(1, iterations + 1):
        x, u, new = f"x{k}", f"u{k}", "out" if k == iterations else f"x{k + 1}"
        if k == 1:
            inward, parents = Residual(forth, (0.0, 0.0), (2.0, -1.0), dual, 1.0), (x, older)
        else:
            numbers = (1.0, 0.0, 0.0), (0.0, 2.0, -1.0)
            inward, parents = Residual(forth, *numbers, dual, 1.0), (f"u{k - 1}", x, older)
        nodes.append(learnt(u, inward, sigma, parents))
        outward = _data_step(back, term, bound)
        nodes.append(Node(new, outward, inside, ("data", x, u), u if prior.tied else None))
        older = x
    return Network(tuple(nodes), operator.out_shape)


def _beginning(
    operator: AbstractOperator,
    prior: Prior,
    term: _Term,
    start: AbstractOperator | None,
    behind: AbstractOperator | None = None,
) -> list[Node]:
    r"""Nodes for $Sy$, $A^\top y$ (or $By$) and a first step on the data term."""
    back = Adjoint(operator) if behind is None else behind
    target = term.target
    if not isinstance(target, AbstractOperator):
        target = Multiple(Identity(operator.in_shape), target)
    first = Sum((Fixed(term.step), Fixed(target)))
    return [
        Node("start", Fixed(back if start is None else start), Copy(), INPUT),
        Node("data", Fixed(back), Copy(), INPUT),
        Node("x1", first, constraint(prior.interval), ("start", "data")),
    ]


def _filters(operator: AbstractOperator, prior: Prior) -> tuple[AbstractAffine, AbstractAffine]:
    height, width, channels = tuple(operator.in_shape)
    return operators((height, width, channels), prior.features, prior.kernel)


def _data_step(back: AbstractAffine, term: _Term, bound: float | None) -> Residual:
    """The step from the parents ``data``, x, u."""
    shortcut = (term.target, term.step, 0.0)
    return Residual(back, shortcut, (0.0, 0.0, 1.0), term.dual, bound)


def _whole(operator: AbstractOperator, t: float) -> _Term:
    resolvent = Resolvent(operator, t)
    return _Term(resolvent, Multiple(resolvent, t), Multiple(resolvent, -1.0))


def _square(operator: AbstractOperator) -> float:
    r"""$\|A\|^2$, 2 % larger: norms by power iteration are lower bounds."""
    return 1.02 * float(operator.norm()) ** 2


def _gradient_step(operator: AbstractOperator, step: float | None) -> float:
    square = _square(operator)
    t = 1 / square if step is None else step
    if not 0 < t < 2 / square:
        raise ValueError(
            f"step must lie between 0 and 2/|A|² = {2 / square:.4g}, got {step}; None chooses one"
        )
    return t
