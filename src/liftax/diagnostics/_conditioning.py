"""Condition numbers of the blocks of a lifted energy."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from liftax.diagnostics._lanczos import lanczos
from liftax.diagnostics._matrix import Product, gauss_newton, hessian
from liftax.diagnostics._spectrum import Spectrum, spectrum
from liftax.diagnostics._variable import Variable, names, variable
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy

Matrix = Callable[[LiftedEnergy, States, Variable], Product]


def gauss_newton_spectrum(
    energy: LiftedEnergy,
    params: Params,
    x: ArrayLike,
    y: ArrayLike,
    *,
    states: States | None = None,
    blocks: Sequence[str] | None = None,
    steps: int = 100,
    key: PRNGKeyArray,
) -> dict[str, Spectrum]:
    r"""Extreme eigenvalues of every block's Gauss-Newton matrix.

    For the parameters of a node it is
    $$\frac1s\sum_i J_i^\top D_iJ_i,\qquad J = \partial f_j/\partial\theta_j,\qquad
      D = w_j\nabla_z^2C_j(\sigma_j(z), z),$$
    $D/w_j$ being $\sigma'(z)$ for Bregman, $I$ for lifted and $\sigma'(z)^\top\sigma'(z)$ for
    quadratic penalties; tied nodes are added up, and so are second derivatives of regularisers. A
    clamped output that pays another loss has its second derivative in $z$ at the target.
    For the activations $u_j$ it is $w_j\nabla_u^2C_j(u, z_j) + \sum_c J_c^\top D_cJ_c$ over
    the children, $J_c = \partial f_c/\partial u_j$, for the energy of one sample (the mean over $s$
    samples has $1/s$ times these eigenvalues), and the extremes are over all samples. Kinks count
    by JAX's derivative there.

    Blocks are named like nodes, ``"layer1"``, for their parameters (statistics of a normalisation
    and hyper-parameters of potentials left out), and ``"layer1.u"`` for their activations.
    No matrix is assembled: each block is one compiled program of Lanczos' method. Unlike training
    with Bregman penalties this differentiates activations.

    Args:
        energy: the lifted energy.
        params: where.
        x: inputs, samples first.
        y: targets, or integer labels.
        states: activations of hidden nodes; those of a forward pass for nodes left out.
        blocks: which ones, else all.
        steps: products with the matrix. The result is exact, up to rounding, if the block (for
            activations: of one sample) has no more dimensions; else `smallest` is an upper and
            `largest` a lower estimate. The memory is steps times the block.
        key: of the random start.

    Returns:
        A `Spectrum` by name of the block. Eigenvalues of at most $\epsilon\,n\,\lambda_{\max}$
        count as 0: a block with fewer samples than inputs, or with dead units, has the condition ∞.

    Raises:
        ValueError: for an unknown block, or less than one step.

    Source: Schraudolph (2002) for $D$.
    """
    return _spectra(gauss_newton, energy, params, (x, y, states), blocks, steps, key)


def hessian_spectrum(
    energy: LiftedEnergy,
    params: Params,
    x: ArrayLike,
    y: ArrayLike,
    *,
    states: States | None = None,
    blocks: Sequence[str] | None = None,
    steps: int = 100,
    key: PRNGKeyArray,
) -> dict[str, Spectrum]:
    r"""Extreme eigenvalues of every block's Hessian.

    Arguments, names and scaling as in `gauss_newton_spectrum`. With Bregman and lifted penalties
    both matrices agree, since $f$ is affine in each block. With quadratic ones the Hessian adds
    $\sigma''(z)^\top(\sigma(z) - u)$ to $D$, and can be indefinite: then the condition is ∞.

    Raises:
        ValueError: for an unknown block, or less than one step.
    """
    return _spectra(hessian, energy, params, (x, y, states), blocks, steps, key)


def _spectra(
    matrix: Matrix,
    energy: LiftedEnergy,
    params: Params,
    point: tuple[ArrayLike, ArrayLike, States | None],
    blocks: Sequence[str] | None,
    steps: int,
    key: PRNGKeyArray,
) -> dict[str, Spectrum]:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}; 100 is usual")
    known = names(energy.network, params)
    for name in blocks or ():
        if name not in known:
            raise ValueError(f"blocks: there is no {name!r}; choose among {', '.join(known)}")
    x, y, given = point
    states = _states(energy, params, jnp.asarray(x), jnp.asarray(y), given)
    return {
        name: _block(matrix, energy, params, states, name, steps, key)
        for name in (known if blocks is None else blocks)
    }


@eqx.filter_jit
def _block(
    matrix: Matrix,
    energy: LiftedEnergy,
    params: Params,
    states: States,
    name: str,
    steps: int,
    key: PRNGKeyArray,
) -> Spectrum:
    block = variable(energy.network, params, states, name)
    lows, highs = lanczos(matrix(energy, states, block), block.point, steps, key)
    return spectrum(jnp.min(lows), jnp.max(highs), block.point.shape[1])


@eqx.filter_jit
def _states(
    energy: LiftedEnergy, params: Params, x: Array, y: Array, given: States | None
) -> States:
    network, dtype = energy.network, jax.tree.leaves(params)[0].dtype
    if jnp.issubdtype(y.dtype, jnp.integer):
        y = jax.nn.one_hot(y, network.shapes[network.output][0], dtype=dtype)
    x = x.astype(dtype)
    states = {**network.forward(params, x)[0], **(given or {})}
    return {**states, INPUT: x, network.output: y.astype(dtype)}
