"""Affine maps between the nodes of a network."""

from liftax.affine._affine import AbstractAffine as AbstractAffine
from liftax.affine._affine import adjoint as adjoint
from liftax.affine._affine import parameter_adjoint as parameter_adjoint
from liftax.affine._bilinear import AbstractBilinear as AbstractBilinear
from liftax.affine._concatenation import Concatenation as Concatenation
from liftax.affine._convolution import Convolution as Convolution
from liftax.affine._dense import Dense as Dense
from liftax.affine._fixed import Fixed as Fixed
from liftax.affine._identity import Identity as Identity
from liftax.affine._mean import Mean as Mean
from liftax.affine._mix import Mix as Mix
from liftax.affine._norm_bound import norm_bound as norm_bound
from liftax.affine._normalisation import Normalisation as Normalisation
from liftax.affine._patches import Patches as Patches
from liftax.affine._pointwise import Pointwise as Pointwise
from liftax.affine._pooling import AveragePooling as AveragePooling
from liftax.affine._positions import Positions as Positions
from liftax.affine._reshape import Reshape as Reshape
from liftax.affine._residual import Residual as Residual
from liftax.affine._scale import Scale as Scale
from liftax.affine._scaled import Scaled as Scaled
from liftax.affine._scores import Scores as Scores
from liftax.affine._selection import Selection as Selection
from liftax.affine._sum import Sum as Sum
from liftax.affine._transposed_convolution import TransposedConvolution as TransposedConvolution
from liftax.affine._transposed_dense import TransposedDense as TransposedDense
