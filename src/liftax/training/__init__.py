"""Training: `fit`, its result, checkpoints."""

from liftax.training._fit import Checkpoints as Checkpoints
from liftax.training._fit import Result as Result
from liftax.training._fit import fit as fit
from liftax.training._history import History as History
