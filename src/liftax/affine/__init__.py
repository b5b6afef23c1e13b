"""Affine maps between the nodes of a network."""

from liftax.affine._affine import AbstractAffine as AbstractAffine
from liftax.affine._affine import adjoint as adjoint
from liftax.affine._affine import parameter_adjoint as parameter_adjoint
from liftax.affine._convolution import Convolution as Convolution
from liftax.affine._dense import Dense as Dense
from liftax.affine._identity import Identity as Identity
from liftax.affine._sum import Sum as Sum
