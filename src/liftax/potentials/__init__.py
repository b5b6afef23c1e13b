"""Convex potentials and the activations that are their proximal maps."""

from liftax.potentials._clip import Clip as Clip
from liftax.potentials._identity import Identity as Identity
from liftax.potentials._leaky_relu import LeakyReLU as LeakyReLU
from liftax.potentials._names import potential as potential
from liftax.potentials._orthogonal import Orthogonal as Orthogonal
from liftax.potentials._piecewise_linear import (
    AbstractPiecewiseLinear as AbstractPiecewiseLinear,
)
from liftax.potentials._potential import AbstractPotential as AbstractPotential
from liftax.potentials._potential import AbstractRegulariser as AbstractRegulariser
from liftax.potentials._relu import ReLU as ReLU
from liftax.potentials._sigmoid import Sigmoid as Sigmoid
from liftax.potentials._soft_threshold import SoftThreshold as SoftThreshold
from liftax.potentials._softmax import Softmax as Softmax
from liftax.potentials._tanh import Tanh as Tanh
