"""Objectives over activations and parameters."""

from liftax.objectives._lifted import LiftedEnergy as LiftedEnergy
from liftax.objectives._lifted import scaled as scaled
