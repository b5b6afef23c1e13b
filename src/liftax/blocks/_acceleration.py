"""Where a proximal gradient step starts from, and along which direction it goes."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from liftax import _tree
from liftax.blocks._block import Variables

Memory = Any


class Direction(NamedTuple):
    """A direction, the factor of the step size (None: 1) and what to remember."""

    d: Variables
    factor: Any
    memory: Memory


class AbstractAcceleration(eqx.Module):
    """Extrapolation and preconditioning of proximal gradient steps."""

    @abc.abstractmethod
    def init(self, x: Variables) -> Memory:
        """What is remembered at the start."""

    @abc.abstractmethod
    def points(self, memory: Memory, x: Variables) -> tuple[Variables, Variables]:
        """Where the prox step starts, and where the gradient is taken."""

    @abc.abstractmethod
    def direction(self, memory: Memory, gradient: Variables) -> Direction:
        """The direction that replaces the gradient."""

    @abc.abstractmethod
    def after(self, memory: Memory, x: Variables, start: Variables, new: Variables) -> Memory:
        """What is remembered of a step from `x` by way of `start` to `new`."""


class Plain(AbstractAcceleration):
    """The proximal gradient step itself: descends with Lipschitz steps."""

    def init(self, x: Variables) -> Memory:
        return ()

    def points(self, memory: Memory, x: Variables) -> tuple[Variables, Variables]:
        return x, x

    def direction(self, memory: Memory, gradient: Variables) -> Direction:
        return Direction(gradient, None, memory)

    def after(self, memory: Memory, x: Variables, start: Variables, new: Variables) -> Memory:
        return memory


class _Extrapolated(NamedTuple):
    """The variables before, and the number t of Nesterov's sequence."""

    x: Variables
    t: Array


class Nesterov(AbstractAcceleration):
    r"""Steps from $y = x^k + \frac{t_k - 1}{t_{k+1}}(x^k - x^{k-1})$, with adaptive restart.

    $t_{k+1} = \frac12(1 + \sqrt{1 + 4t_k^2})$; back to $t = 1$ when
    $\langle y - x^{k+1}, x^{k+1} - x^k\rangle > 0$. In block-coordinate descent each block has a
    sequence of its own; the energy may rise in between.

    Attributes:
        each: whether every example, along the first axis, has a sequence and restarts of its own,
            so that a batch is its members; for activations. Else there is one for all.

    Source: Nesterov (1983), Beck & Teboulle (2009); restart by O'Donoghue & Candès (2015).
    """

    each: bool = eqx.field(static=True, default=False)

    def init(self, x: Variables) -> Memory:
        first = jax.tree.leaves(x)[0]
        return _Extrapolated(x, jnp.ones(first.shape[:1] if self.each else (), first.dtype))

    def points(self, memory: Memory, x: Variables) -> tuple[Variables, Variables]:
        pull = (memory.t - 1) / _next(memory.t)

        def ahead(new: Array, old: Array) -> Array:
            return new + pull.reshape(pull.shape + (1,) * (new.ndim - pull.ndim)) * (new - old)

        y = jax.tree.map(ahead, x, memory.x)
        return y, y

    def direction(self, memory: Memory, gradient: Variables) -> Direction:
        return Direction(gradient, None, memory)

    def after(self, memory: Memory, x: Variables, start: Variables, new: Variables) -> Memory:
        back, forth = _tree.minus(start, new), _tree.minus(new, x)
        turned = (jax.vmap(_tree.inner) if self.each else _tree.inner)(back, forth) > 0
        t = _next(memory.t)
        return _Extrapolated(x, jnp.where(turned, jnp.ones_like(t), t))


def _next(t: Array) -> Array:
    return 0.5 * (1 + jnp.sqrt(1 + 4 * t * t))


class HeavyBall(AbstractAcceleration):
    r"""iPALM: prox step from $x + \alpha(x - x^-)$, gradient at $x + \beta(x - x^-)$.

    The step size is $\min(1, \frac{2(1-\alpha)}{1+2\beta})$ times the one without inertia, the
    bound for convex blocks.

    Attributes:
        inertia: α in [0, 1).
        lookahead: β ≥ 0; None takes α.

    Raises:
        ValueError: for values outside these ranges.

    Source: Polyak (1964); Pock & Sabach (2016).
    """

    inertia: float = 0.4
    lookahead: float | None = None

    def __check_init__(self) -> None:
        if not 0 <= self.inertia < 1 or (self.lookahead is not None and self.lookahead < 0):
            raise ValueError(
                "inertia must lie in [0, 1) and lookahead be at least 0, got "
                f"{self.inertia} and {self.lookahead}"
            )

    def init(self, x: Variables) -> Memory:
        return x

    def points(self, memory: Memory, x: Variables) -> tuple[Variables, Variables]:
        def ahead(factor: float) -> Variables:
            return jax.tree.map(lambda new, old: new + factor * (new - old), x, memory)

        return ahead(self.inertia), ahead(self._beta)

    def direction(self, memory: Memory, gradient: Variables) -> Direction:
        return Direction(gradient, min(1.0, 2 * (1 - self.inertia) / (1 + 2 * self._beta)), memory)

    def after(self, memory: Memory, x: Variables, start: Variables, new: Variables) -> Memory:
        return x

    @property
    def _beta(self) -> float:
        return self.inertia if self.lookahead is None else self.lookahead


class _Moments(NamedTuple):
    first: Variables
    second: Variables
    count: Array


class Adam(AbstractAcceleration):
    r"""Adam on the smooth part: direction $\hat m$, steps divided by $\sqrt{\hat v} + \varepsilon$.

    Every entry has a step of its own, in which the prox is taken too: the block's $h$ must be
    separable. With `Fixed` steps, and without any promise of descent.

    Raises:
        ValueError: for decay rates outside [0, 1).

    Source: Kingma & Ba (2015); the prox in the metric: Melchior et al. (2020).
    """

    decay: float = 0.9
    decay_square: float = 0.999
    epsilon: float = 1e-8

    def __check_init__(self) -> None:
        if not (0 <= self.decay < 1 and 0 <= self.decay_square < 1):
            raise ValueError(
                f"decay and decay_square must lie in [0, 1), got {self.decay}, {self.decay_square}"
            )

    def init(self, x: Variables) -> Memory:
        zero = jax.tree.map(jnp.zeros_like, x)
        return _Moments(zero, zero, jnp.zeros((), jax.tree.leaves(x)[0].dtype))

    def points(self, memory: Memory, x: Variables) -> tuple[Variables, Variables]:
        return x, x

    def direction(self, memory: Memory, gradient: Variables) -> Direction:
        a, b = self.decay, self.decay_square
        first = jax.tree.map(lambda m, g: a * m + (1 - a) * g, memory.first, gradient)
        second = jax.tree.map(lambda v, g: b * v + (1 - b) * g * g, memory.second, gradient)
        count = memory.count + 1
        d = jax.tree.map(lambda m: m / (1 - a**count), first)
        factor = jax.tree.map(lambda v: 1 / (jnp.sqrt(v / (1 - b**count)) + self.epsilon), second)
        return Direction(d, factor, _Moments(first, second, count))

    def after(self, memory: Memory, x: Variables, start: Variables, new: Variables) -> Memory:
        return memory
