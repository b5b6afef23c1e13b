"""Proximal neural networks: unrolled algorithms for denoising."""

import math

from liftax.affine import AbstractAffine, Convolution, Residual, TransposedConvolution
from liftax.networks._network import INPUT, Network
from liftax.networks._node import Node
from liftax.potentials import AbstractPotential, Ball, Clip, Identity

Shape = tuple[int, int, int]
Interval = tuple[float, float] | None


def ddfb(
    shape: Shape,
    features: int,
    iterations: int,
    *,
    kernel: int = 3,
    tied: bool = False,
    group: bool = False,
    threshold: float = 0.02,
    interval: Interval = (0.0, 1.0),
) -> Network:
    r"""Unrolled dual forward-backward iterations.

    They solve $\min_x\frac12\|x - y\|^2 + \lambda g(Dx) + \iota_C(x)$ by
    $$p_k = P_C(y - V_ku_k),\qquad u_{k+1} = \sigma_k(u_k + \tau D_kp_k),\qquad
      u_1 = \sigma_0(\tau D_0y),$$
    and the output $P_C(y - V_Ku_K)$. Nodes are named ``p1``, ``u1``, ..., ``out``. The
    dictionaries $D_k$ are convolutions with $\|D_k\|\le1$ (by `norm_bound`, kept by rescaling after
    every update), and τ = 1.9, below the algorithm's limit 2. Equal dictionaries would make it the
    algorithm; learnt ones differ from iteration to iteration.

    Args:
        shape: of an image, (height, width, channels).
        features: number of filters.
        iterations: K.
        kernel: side of the filters.
        tied: $V_k = D_k^\top$ instead of a second learnt operator.
        group: g is the sum of the Euclidean norms over the features of each pixel, and σ projects
            on balls; else g is the ℓ1 norm, and σ clips.
        threshold: λ at first; learnt, one number an iteration (the two ends of the interval
            separately).
        interval: C, the values that pixels may have; None for all.

    Raises:
        ValueError: for no iterations or a threshold that is not positive.

    Source: Le, Repetti & Pustelnik, arXiv 2308.03139 (there DDFB, LNO if tied, LFO if not).
    """
    return _dual(shape, features, iterations, kernel, tied, (group, threshold), interval, False)


def ddifb(
    shape: Shape,
    features: int,
    iterations: int,
    *,
    kernel: int = 3,
    tied: bool = False,
    group: bool = False,
    threshold: float = 0.02,
    interval: Interval = (0.0, 1.0),
) -> Network:
    r"""`ddfb` with inertia.

    $v_k = (1 + \rho_k)u_k - \rho_ku_{k-1}$ takes the place of $u_k$ in both formulas of an
    iteration, with $\rho_k = (t_k - 1)/t_{k+1}$, $t_{k+1} = (1 + \sqrt{1 + 4t_k^2})/2$, $t_1 = 1$,
    and τ = 1. The output is $P_C(y - V_Ku_K)$. Arguments and errors are those of `ddfb`.

    Source: Le, Repetti & Pustelnik, arXiv 2308.03139 (there DDiFB); Beck & Teboulle (2009).
    """
    return _dual(shape, features, iterations, kernel, tied, (group, threshold), interval, True)


def dcp(
    shape: Shape,
    features: int,
    iterations: int,
    *,
    kernel: int = 3,
    tied: bool = False,
    group: bool = False,
    threshold: float = 0.02,
    interval: Interval = (0.0, 1.0),
) -> Network:
    r"""Chambolle and Pock's iterations for the problem of `ddfb`.

    $$u_{k+1} = \sigma_k(u_k + s_kD_k(x_k + \alpha_k(x_k - x_{k-1}))),\qquad
      x_{k+1} = P_C\left(\frac{x_k + t_k(y - V_ku_{k+1})}{1 + t_k}\right),$$
    from $x_0 = y$, $u_0 = 0$, with $\alpha_k = 1$, $s_k = t_k = 0.99$ and $\|D_k\|\le1$. Nodes are
    named ``u1``, ``x1``, ..., the last one is ``out``. Arguments and errors are those of `ddfb`.

    Source: Le, Repetti & Pustelnik, arXiv 2308.03139 (there DCP); Chambolle & Pock (2011).
    """
    steps = [(1.0, 0.99, 0.99)] * iterations
    return _primal_dual(shape, features, steps, kernel, tied, (group, threshold), interval)


def dscp(
    shape: Shape,
    features: int,
    iterations: int,
    *,
    kernel: int = 3,
    tied: bool = False,
    group: bool = False,
    threshold: float = 0.02,
    interval: Interval = (0.0, 1.0),
) -> Network:
    r"""`dcp` accelerated for the strongly convex $\frac12\|x - y\|^2$.

    $\alpha_k = (1 + 2t_k)^{-1/2}$, $t_{k+1} = \alpha_kt_k$, $s_{k+1} = s_k/\alpha_k$ from
    $t_0 = s_0 = 0.99$. Arguments and errors are those of `ddfb`.

    Source: Le, Repetti & Pustelnik, arXiv 2308.03139 (there DScCP); Chambolle & Pock (2011).
    """
    primal, dual, alpha, steps = 0.99, 0.99, 1.0, []
    for _ in range(iterations):
        steps.append((alpha, dual, primal))
        alpha = 1 / math.sqrt(1 + 2 * primal)
        primal, dual = alpha * primal, dual / alpha
    return _primal_dual(shape, features, steps, kernel, tied, (group, threshold), interval)


def _dual(
    shape: Shape,
    features: int,
    iterations: int,
    kernel: int,
    tied: bool,
    prior: tuple[bool, float],
    interval: Interval,
    inertia: bool,
) -> Network:
    sigma, inside = dual_potential(*prior), constraint(interval)
    forth, back = operators(shape, features, kernel)
    tau = 1.0 if inertia else 1.9
    first = Residual(forth, (0.0,), (1.0,), tau, bound=1.0)
    nodes = [learnt("u1", first, sigma, (INPUT,))]
    t = 1.0
    for k in range(1, positive(iterations)):
        new = (1 + math.sqrt(1 + 4 * t * t)) / 2
        rho, t = ((t - 1) / new if inertia else 0.0), new
        p, u = f"p{k}", f"u{k + 1}"
        # With ρ = 0 the iterate before does not occur.
        past = (f"u{k}", f"u{k - 1}") if rho else (f"u{k}",)
        weights = (1 + rho, -rho) if rho else (1.0,)
        none = (0.0,) * len(past)
        outward = Residual(back, (1.0, *none), (0.0, *weights), -1.0, bound=1.0)
        nodes.append(Node(p, outward, inside, (INPUT, *past)))
        # Tied, the bound is the owner's business.
        inward = Residual(forth, (*weights, 0.0), (*none, 1.0), tau, None if tied else 1.0)
        nodes.append(learnt(u, inward, sigma, (*past, p), p if tied else None))
    last = Residual(back, (1.0, 0.0), (0.0, 1.0), -1.0, bound=1.0)
    nodes.append(Node("out", last, inside, (INPUT, f"u{iterations}")))
    return Network(tuple(nodes), shape)


def _primal_dual(
    shape: Shape,
    features: int,
    steps: list[tuple[float, float, float]],
    kernel: int,
    tied: bool,
    prior: tuple[bool, float],
    interval: Interval,
) -> Network:
    sigma, inside = dual_potential(*prior), constraint(interval)
    forth, back = operators(shape, features, kernel)
    last, nodes = positive(len(steps)), []
    x, older = INPUT, INPUT
    for k, (alpha, s, t) in enumerate(steps, start=1):
        u, new = f"u{k}", "out" if k == last else f"x{k}"
        if k == 1:
            inward = Residual(forth, (0.0,), (1.0,), s, bound=1.0)
            nodes.append(learnt(u, inward, sigma, (INPUT,)))
        else:
            inward = Residual(forth, (1.0, 0.0, 0.0), (0.0, 1 + alpha, -alpha), s, bound=1.0)
            nodes.append(learnt(u, inward, sigma, (f"u{k - 1}", x, older)))
        share = t / (1 + t)
        bound = None if tied else 1.0
        if k == 1:
            outward, parents = Residual(back, (1.0, 0.0), (0.0, 1.0), -share, bound), (INPUT, u)
        else:
            numbers = (share, 1 - share, 0.0), (0.0, 0.0, 1.0)
            outward, parents = Residual(back, *numbers, -share, bound), (INPUT, x, u)
        nodes.append(Node(new, outward, inside, parents, u if tied else None))
        x, older = new, x
    return Network(tuple(nodes), shape)


def positive(iterations: int) -> int:
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}; 5 to 20 are usual")
    return iterations


def operators(shape: Shape, features: int, kernel: int) -> tuple[AbstractAffine, AbstractAffine]:
    """A dictionary, and the form of its adjoint."""
    size = (kernel, kernel)
    forth = Convolution(features, size, use_bias=False)
    return forth, TransposedConvolution(shape[-1], size, use_bias=False)


def dual_potential(group: bool, threshold: float) -> AbstractPotential:
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold}; 0.02 is usual")
    return Ball(threshold, axes=-1) if group else Clip(-threshold, threshold)


def learnt(
    name: str,
    affine: AbstractAffine,
    sigma: AbstractPotential,
    parents: tuple[str, ...],
    tied_to: str | None = None,
) -> Node:
    return Node(name, affine, sigma, parents, tied_to, learn=tuple(sigma.learnable))


def constraint(interval: Interval) -> AbstractPotential:
    return Identity() if interval is None else Clip(*interval)
