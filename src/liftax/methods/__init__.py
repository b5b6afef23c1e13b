"""Training methods: records of hyper-parameters with `init` and `step`."""

from liftax.methods._aggregated import PIAG as PIAG
from liftax.methods._aggregated import SAG as SAG
from liftax.methods._aggregated import SAGA as SAGA
from liftax.methods._backpropagation import BackPropagation as BackPropagation
from liftax.methods._block_coordinate_descent import (
    BlockCoordinateDescent as BlockCoordinateDescent,
)
from liftax.methods._chunked import Chunked as Chunked
from liftax.methods._contrastive import Contrastive as Contrastive
from liftax.methods._gradient_method import AbstractGradientMethod as AbstractGradientMethod
from liftax.methods._gradient_method import Evaluation as Evaluation
from liftax.methods._implicit_sgd import ImplicitSGD as ImplicitSGD
from liftax.methods._method import AbstractMethod as AbstractMethod
from liftax.methods._method import Step as Step
from liftax.methods._multipliers import ADMM as ADMM
from liftax.methods._multipliers import AbstractMultipliers as AbstractMultipliers
from liftax.methods._multipliers import Constant as Constant
from liftax.methods._multipliers import Continuation as Continuation
from liftax.methods._multipliers import DualAscent as DualAscent
from liftax.methods._one_sweep import OneSweep as OneSweep
