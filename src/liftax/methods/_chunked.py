"""A batch in pieces."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax._iterate import scan
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    import optax


class Chunked(AbstractGradientMethod):
    """A gradient method that works on equal chunks of the batch, one after another.

    Only the activations of one chunk exist at a time; the gradient is the mean over the chunks,
    which is that of the whole batch for every method whose gradient is a mean over samples
    (`OneSweep`, `BackPropagation` and `Contrastive` with the Euclidean metric; batch statistics
    are those of the whole batch). An `Implicit` metric sees a chunk at a time.

    Attributes:
        method: such as ``OneSweep(optax.adam(1e-3))``.
        chunks: how many; divides the batch size.

    Raises:
        ValueError: for fewer than one chunk, or a batch that they do not divide.
    """

    method: AbstractGradientMethod
    chunks: int

    def __init__(self, method: AbstractGradientMethod, chunks: int):
        """See the class."""
        if chunks < 1:
            raise ValueError(f"chunks must be at least 1, got {chunks}; 4 is usual")
        self.method, self.chunks = method, chunks

    @property
    def optimiser(self) -> "optax.GradientTransformation":
        """That of the method."""
        return self.method.optimiser

    @property
    def proximal_step(self) -> float | None:
        return self.method.proximal_step

    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        x, y = (self._pieces(a)[0] for a in (x, y))
        return self.method.prepare(energy, params, x, y, key)

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        def piece(carry: tuple[Any, Any], rows: tuple[Array, Array]) -> tuple[Any, Array]:
            sums, memory = carry
            found = self.method.evaluate(energy, params, memory, *rows)
            sums = jax.tree.map(jnp.add, sums, (found.gradient, found.loss))
            return (sums, found.memory), found.output

        rows = self._pieces(x), self._pieces(y)
        first = (rows[0][0], rows[1][0])
        like = jax.eval_shape(lambda *r: self.method.evaluate(energy, params, memory, *r), *first)
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), (like.gradient, like.loss))
        (sums, memory), output = scan(piece, (zero, memory), rows)
        gradient, loss = jax.tree.map(lambda a: a / self.chunks, sums)
        return Evaluation(gradient, loss, output.reshape(len(x), *output.shape[2:]), memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        return self.method.states(energy, params, state, x, y)

    def _pieces(self, a: Array) -> Array:
        if len(a) % self.chunks:
            raise ValueError(
                f"chunks: {self.chunks} do not divide the batch of {len(a)} samples; "
                "choose another number or batch size"
            )
        return a.reshape(self.chunks, -1, *a.shape[1:])
