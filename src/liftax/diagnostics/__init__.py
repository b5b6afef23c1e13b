"""How well conditioned the blocks of a lifted energy are."""

from liftax.diagnostics._conditioning import gauss_newton_spectrum as gauss_newton_spectrum
from liftax.diagnostics._conditioning import hessian_spectrum as hessian_spectrum
from liftax.diagnostics._spectrum import Spectrum as Spectrum
