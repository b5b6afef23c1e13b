"""Convex potentials and the activations that are their proximal maps."""

from liftax.potentials._arctan import Arctan as Arctan
from liftax.potentials._ball import Ball as Ball
from liftax.potentials._clip import Clip as Clip
from liftax.potentials._elastic_net import ElasticNet as ElasticNet
from liftax.potentials._elu import ELU as ELU
from liftax.potentials._from_activation import FromActivation as FromActivation
from liftax.potentials._group_soft_threshold import GroupSoftThreshold as GroupSoftThreshold
from liftax.potentials._half_space import HalfSpace as HalfSpace
from liftax.potentials._hard_sigmoid import HardSigmoid as HardSigmoid
from liftax.potentials._huber import Huber as Huber
from liftax.potentials._identity import Identity as Identity
from liftax.potentials._isru import ISRU as ISRU
from liftax.potentials._leaky_relu import LeakyReLU as LeakyReLU
from liftax.potentials._max_affine import MaxAffine as MaxAffine
from liftax.potentials._names import potential as potential
from liftax.potentials._non_negative_soft_threshold import (
    NonNegativeSoftThreshold as NonNegativeSoftThreshold,
)
from liftax.potentials._nuclear_norm import NuclearNorm as NuclearNorm
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
from liftax.potentials._softplus import Softplus as Softplus
from liftax.potentials._softsign import Softsign as Softsign
from liftax.potentials._sparsemax import Sparsemax as Sparsemax
from liftax.potentials._spectral_ball import SpectralBall as SpectralBall
from liftax.potentials._tanh import Tanh as Tanh
