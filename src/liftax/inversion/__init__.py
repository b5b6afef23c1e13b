"""Inversion: the input of a trained network from its noisy output, with certificates."""

from liftax.inversion._bounds import bregman_distance as bregman_distance
from liftax.inversion._bounds import error_bound as error_bound
from liftax.inversion._choice import Chosen as Chosen
from liftax.inversion._choice import a_priori as a_priori
from liftax.inversion._choice import discrepancy as discrepancy
from liftax.inversion._constraints import Box as Box
from liftax.inversion._constraints import NonNegative as NonNegative
from liftax.inversion._data import DataTerm as DataTerm
from liftax.inversion._data import data_term as data_term
from liftax.inversion._data_step import AbstractDataStep as AbstractDataStep
from liftax.inversion._data_step import GradientData as GradientData
from liftax.inversion._data_step import ProximalData as ProximalData
from liftax.inversion._data_step import Steps as Steps
from liftax.inversion._generalised_variation import TGV as TGV
from liftax.inversion._invert import Inverse as Inverse
from liftax.inversion._invert import invert as invert
from liftax.inversion._primal_dual import Point as Point
from liftax.inversion._primal_dual import PrimalDual as PrimalDual
from liftax.inversion._primal_dual import Solved as Solved
from liftax.inversion._regulariser import AbstractPrior as AbstractPrior
from liftax.inversion._regulariser import Term as Term
from liftax.inversion._sparsity import L1 as L1
from liftax.inversion._sum import Sum as Sum
from liftax.inversion._tikhonov import Tikhonov as Tikhonov
from liftax.inversion._total_variation import TotalVariation as TotalVariation
from liftax.inversion._wavelets import WaveletL1 as WaveletL1
