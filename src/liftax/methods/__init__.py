"""Training methods: block-coordinate descent, implicit SGD, one sweep, and back-propagation."""

from liftax.methods._backpropagation import BackPropagation as BackPropagation
from liftax.methods._block_coordinate_descent import (
    BlockCoordinateDescent as BlockCoordinateDescent,
)
from liftax.methods._implicit_sgd import ImplicitSGD as ImplicitSGD
from liftax.methods._method import AbstractMethod as AbstractMethod
from liftax.methods._method import Step as Step
from liftax.methods._one_sweep import OneSweep as OneSweep
