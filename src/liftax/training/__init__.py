"""Training: `fit`, its result, checkpoints, model files."""

from liftax.training._asynchronous import Asynchronous as Asynchronous
from liftax.training._asynchronous import fit_asynchronously as fit_asynchronously
from liftax.training._asynchronous import piag_step as piag_step
from liftax.training._callbacks import Best as Best
from liftax.training._callbacks import EarlyStopping as EarlyStopping
from liftax.training._fit import fit as fit
from liftax.training._history import History as History
from liftax.training._measure import measure as measure
from liftax.training._memory import Memory as Memory
from liftax.training._memory import step_memory as step_memory
from liftax.training._model_file import as_params as as_params
from liftax.training._model_file import load_model as load_model
from liftax.training._model_file import save_model as save_model
from liftax.training._products import rounded_products as rounded_products
from liftax.training._result import Result as Result
from liftax.training._run import Checkpoints as Checkpoints
from liftax.training._seconds import step_seconds as step_seconds
from liftax.training._tensorboard import TensorBoard as TensorBoard
from liftax.training._traffic import Traffic as Traffic
from liftax.training._traffic import step_traffic as step_traffic
