"""Objectives over activations and parameters."""

from liftax.objectives._lifted import LiftedEnergy as LiftedEnergy
