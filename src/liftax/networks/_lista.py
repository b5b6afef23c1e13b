"""Learnt iterative soft-thresholding."""

from liftax.affine import Dense, Residual, TransposedDense
from liftax.networks._network import INPUT, Network
from liftax.networks._node import Node
from liftax.networks._proximal import learnt, positive
from liftax.potentials import Identity, SoftThreshold


def lista(
    inputs: int, codes: int, iterations: int, *, tied: bool = True, threshold: float = 0.1
) -> Network:
    r"""Sparse codes of vectors by unrolled soft-thresholding iterations.

    $$r_k = W_ku_k - y,\qquad u_{k+1} = \mathrm{soft}(u_k - \tau V_kr_k, \rho_k),\qquad
      u_1 = \mathrm{soft}(\tau V_0y, \rho_0)$$
    with $V_k = W_k^\top$ if tied, $\|W_k\|,\|V_k\|\le1$ and τ = 1, below the limit 2. With one $W$
    for all and $V_k = W^\top$ this is ISTA for $\frac12\|Wu - y\|^2 + \rho\|u\|_1$. Nodes are named
    ``u1``, ``r1``, ``u2``, ...; the output is $u_K$.

    Args:
        inputs: length of y.
        codes: length of u.
        iterations: K.
        tied: else $V_k$ is learnt by itself.
        threshold: ρ at first; learnt, one number an iteration.

    Raises:
        ValueError: for no iterations or a negative threshold.

    Source: Gregor & LeCun (2010).
    """
    soft = SoftThreshold(threshold)
    first = Residual(Dense(codes, use_bias=False), (0.0,), (1.0,), bound=1.0)
    nodes = [learnt("u1", first, soft, (INPUT,))]
    for k in range(1, positive(iterations)):
        u, r = f"u{k}", f"r{k}"
        forth = Residual(Dense(inputs, use_bias=False), (-1.0, 0.0), (0.0, 1.0), bound=1.0)
        nodes.append(Node(r, forth, Identity(), (INPUT, u)))
        back = (TransposedDense if tied else Dense)(codes, use_bias=False)
        inward = Residual(back, (1.0, 0.0), (0.0, 1.0), -1.0, None if tied else 1.0)
        nodes.append(learnt(f"u{k + 1}", inward, soft, (u, r), r if tied else None))
    return Network(tuple(nodes), (inputs,))
