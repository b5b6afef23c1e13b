"""What the estimators share: hyper-parameters, and how they train a network."""

import abc
import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from liftax._solution import Reason
from liftax.estimators._names import named_method, named_penalty
from liftax.estimators._samples import Draws, Samples
from liftax.methods import AbstractMethod
from liftax.networks import Network, Params
from liftax.objectives import LiftedEnergy
from liftax.penalties import AbstractPenalty
from liftax.potentials import AbstractPotential, ElasticNet
from liftax.training import Best, EarlyStopping, Result, fit

# Rows that the network computes at a time. Always as many, with zeros where there are fewer: there
# is one program, and a row's output does not depend on the rows beside it.
_ROWS = 256
_COPIES = 8  # of a held-out sample, on average, where weights are no whole numbers


@dataclasses.dataclass(eq=False, repr=False)
class AbstractLifted(BaseEstimator, abc.ABC):
    """Hyper-parameters of all estimators, and the training that they share."""

    hidden_layer_sizes: Sequence[int] | int = (100,)
    activation: AbstractPotential | str = "relu"
    penalty: AbstractPenalty | str = "bregman"
    algorithm: AbstractMethod | str = "one-sweep"
    solver: Any = "adam"
    alpha: float = 0.0
    batch_size: int = 32
    learning_rate_init: float | Callable[[Any], Any] = 1e-3
    max_iter: int = 200
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    random_state: Any = None
    verbose: bool = False

    @abc.abstractmethod
    def _network(self, inputs: int, outputs: int) -> Network:
        """The network for that many features of the data and of the targets."""

    @property
    def network_(self) -> Network:
        """The trained network."""
        check_is_fitted(self)
        return self.result_.energy.network

    @property
    def params_(self) -> Params:
        """Its parameters."""
        check_is_fitted(self)
        return self.result_.params

    def _widths(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        given = [sizes] if isinstance(sizes, int | np.integer) else list(sizes)
        if any(not isinstance(n, int | np.integer) or n < 1 for n in given):
            raise ValueError(
                f"hidden_layer_sizes must be numbers of at least 1, got {sizes!r}; give one a layer"
            )
        return [int(n) for n in given]

    def _train(self, samples: Samples, outputs: int, labels: bool = False) -> None:
        """Train a new network, on all samples or on all but the validation fraction."""
        self._check()
        energy, data = self._energy(samples.x.shape[1], outputs), samples.sorted()
        validation, kept = None, None
        callbacks: list[Any] = []
        if self.early_stopping:
            data, held = self._halves(data, labels)
            validation, kept = self._held(held), Best("validation_loss")
            callbacks = [kept]
        column = "validation_loss" if self.early_stopping else "loss"
        if math.isfinite(self.tol):
            callbacks.append(EarlyStopping(column, self.n_iter_no_change, max(self.tol, 0.0)))
        result = self._fitted(energy, data, self._seed(), self.max_iter, validation, callbacks)
        if result.reason is Reason.COMPLETED and callbacks and self.max_iter > 1:
            warnings.warn(
                f"max_iter={self.max_iter} epochs were run and the loss still fell by more than "
                f"tol={self.tol}; allow more",
                ConvergenceWarning,
                stacklevel=3,
            )
        params = kept.params if kept is not None else None
        self._keep(result if params is None else dataclasses.replace(result, params=params))

    def _go_on(self, samples: Samples, outputs: int, first: bool) -> None:
        """One more epoch on these samples, from where the last one ended."""
        self._check()
        before = None if first else self.result_
        energy = self._energy(samples.x.shape[1], outputs) if before is None else before.energy
        count, data = 0 if before is None else self.n_iter_, samples.sorted()
        result = self._fitted(energy, data, (self._seed() + count) % 2**31, 1, None, [], before)
        self._keep(result, count)

    def _fitted(
        self,
        energy: LiftedEnergy,
        data: Samples,
        seed: int,
        epochs: int,
        validation: tuple[Any, Any] | None,
        callbacks: Sequence[Any],
        before: Result | None = None,
    ) -> Result:
        method = named_method(self.algorithm, self.solver, self.learning_rate_init, self.alpha)
        if not data.whole and method.full_batch:
            raise ValueError(
                f"sample_weight: {self.algorithm} takes all samples at once, as often as whole "
                "weights say (10 times on average at most); round yours, or take another algorithm"
            )
        result = fit(
            energy,
            data.repeated()[:2] if data.whole else Draws(data, self.batch_size, seed),
            method,
            epochs=epochs,
            batch_size=self.batch_size,
            validation=validation,
            seed=seed,
            params=before,
            progress=bool(self.verbose),
            callback=callbacks,
        )
        if result.reason is Reason.NOT_FINITE:
            raise ValueError(f"{result.reason}: lower learning_rate_init, or scale the data")
        return result

    def _keep(self, result: Result, count: int = 0) -> None:
        self.result_ = result
        losses = [float(value) for value in result.history["loss"][1:]]
        self.n_iter_ = count + len(losses)
        self.loss_curve_ = [*(self.loss_curve_ if count else []), *losses]
        self.loss_ = losses[-1]

    def _energy(self, inputs: int, outputs: int) -> LiftedEnergy:
        network = self._network(inputs, outputs)
        decay = {n.name: ElasticNet(0.0, float(self.alpha)) for n in network.nodes}
        penalty = named_penalty(self.penalty)
        return LiftedEnergy(network, penalty, regularisers=decay if self.alpha > 0 else None)

    def _halves(self, samples: Samples, labels: bool) -> tuple[Samples, Samples]:
        """What is trained on and what is held out, with as many of every label."""
        train, held = train_test_split(
            np.arange(len(samples.x)),
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state),
            stratify=samples.y if labels else None,
        )
        return samples.taken(np.asarray(train)), samples.taken(np.asarray(held))

    def _held(self, samples: Samples) -> tuple[Any, Any]:
        """Arrays whose mean loss is the weighted one, up to rounding of the weights."""
        if samples.whole:
            return samples.repeated()[:2]
        rows = samples.drawn(_COPIES * len(samples.x), np.random.default_rng(0))
        return samples.taken(rows)[:2]

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _check(self) -> None:
        numbers = {
            "batch_size": self.batch_size,
            "max_iter": self.max_iter,
            "n_iter_no_change": self.n_iter_no_change,
        }
        for name, number in numbers.items():
            if not isinstance(number, int | np.integer) or number < 1:
                raise ValueError(f"{name} must be a number of at least 1, got {number!r}")
        if not self.alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {self.alpha!r}; 0 leaves it out")

    def _validated(self, *data: Any, reset: bool, **options: Any) -> Any:
        """Features in single precision, and targets if there are any; remembers how many."""
        return validate_data(self, *data, dtype=np.float32, reset=reset, **options)

    def _checked(self, x: Any) -> np.ndarray:
        """Features in single precision, as many as in training."""
        check_is_fitted(self)
        return self._validated(x, reset=False)

    def _outputs(self, network: Network, x: np.ndarray) -> np.ndarray:
        """The outputs of a network for rows of features, in blocks of one size."""
        program, params = eqx.filter_jit(network), self.params_
        blocks = []
        for begin in range(0, len(x), _ROWS):
            rows = x[begin : begin + _ROWS]
            block = np.zeros((_ROWS, x.shape[1]), np.float32)
            block[: len(rows)] = rows
            block = jnp.asarray(block.reshape(_ROWS, *network.input_shape))
            blocks.append(np.asarray(program(params, block))[: len(rows)])
        return np.concatenate(blocks)
