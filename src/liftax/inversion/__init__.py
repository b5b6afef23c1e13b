"""Inversion: the input of a trained network from its noisy output, with certificates."""

from liftax.inversion._constraints import Box as Box
from liftax.inversion._constraints import NonNegative as NonNegative
from liftax.inversion._regulariser import AbstractPrior as AbstractPrior
from liftax.inversion._regulariser import Term as Term
from liftax.inversion._sparsity import L1 as L1
from liftax.inversion._sum import Sum as Sum
from liftax.inversion._tikhonov import Tikhonov as Tikhonov
from liftax.inversion._total_variation import TotalVariation as TotalVariation
