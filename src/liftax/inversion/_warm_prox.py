"""The proximal map of a regulariser from where its dual variables stood before."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import repeat
from liftax.inversion._regulariser import Term


class Arranged(NamedTuple):
    """Terms of a regulariser: the one whose prox is taken, if there is one, and the others."""

    first: Term | None
    dual: tuple[Term, ...]

    def square(self, dtype: jnp.dtype) -> Float[Array, ""]:
        r"""$\sum_i\|K_i\|^2$ of the others."""
        norms = [jnp.asarray(term.norm(), dtype) for term in self.dual]
        return sum((norm**2 for norm in norms), jnp.zeros((), dtype))

    def start(self, joint: Float[Array, "..."]) -> tuple[Array, ...]:
        """Dual variables 0."""
        return tuple(jnp.zeros_like(term.forward(joint)) for term in self.dual)

    def primal(
        self, v: Float[Array, "..."], t: Float[Array, ""], q: tuple[Array, ...]
    ) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{th_0}(v - t\sum_iK_i^\top q_i)$: the prox, if q is optimal."""
        pulls = [t * term.adjoint(u) for term, u in zip(self.dual, q, strict=True)]
        moved = sum((-pull for pull in pulls), v)
        return moved if self.first is None else self.first.direct_prox(moved, t)


def arranged(terms: tuple[Term, ...]) -> Arranged:
    """First comes a term that is known by its prox only, or else one that gives an exact gap."""
    direct = [t for t in terms if t.direct]
    wanted = [t for t in direct if t.trusted is not None] + [t for t in direct if t.coercive]
    first = next(iter(wanted + direct), None)
    return Arranged(first, tuple(t for t in terms if t is not first))


def warm_prox(
    terms: Arranged,
    v: Float[Array, "..."],
    t: Float[Array, ""],
    q: tuple[Array, ...],
    steps: int,
) -> tuple[Float[Array, "..."], tuple[Array, ...]]:
    r"""$\mathrm{prox}_{tJ}(v)$ for $J = \sum_ih_i(K_i\cdot)$, and dual variables for the next time.

    Projected gradients on the dual problem, from q,
    $$q_i^+ = \mathrm{prox}_{sh_i^*}\big(q_i + sK_ix(q)\big),\quad
      x(q) = \mathrm{prox}_{th_0}\big(v - t\sum_iK_i^\top q_i\big),\quad
      s = 1/(t\sum_i\|K_i\|^2).$$
    Exact at once without terms other than $h_0$.

    Source: Chambolle (2004); Chen, Huang & Zhang (2016) for one step within a gradient step.
    """
    if not terms.dual:
        return terms.primal(v, t, q), q
    s = 1 / (t * terms.square(v.dtype))

    def step(q: tuple[Array, ...]) -> tuple[Array, ...]:
        x = terms.primal(v, t, q)
        pairs = zip(terms.dual, q, strict=True)
        return tuple(term.dual_prox(u + s * term.forward(x), s) for term, u in pairs)

    q = repeat(step, q, steps)
    return terms.primal(v, t, q), q
