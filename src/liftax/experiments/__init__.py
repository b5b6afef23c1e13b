"""Experiments behind ``liftax reproduce``."""

from liftax.experiments._classification import CLASSIFICATION as CLASSIFICATION
from liftax.experiments._demo import DEMO as DEMO
from liftax.experiments._experiment import Experiment as Experiment
from liftax.experiments._experiment import Record as Record
from liftax.experiments._experiment import reproduce as reproduce
from liftax.experiments._names import EXPERIMENTS as EXPERIMENTS
from liftax.experiments._names import experiment as experiment
from liftax.experiments._sparse_autoencoder import SPARSE_AUTOENCODER as SPARSE_AUTOENCODER
from liftax.experiments._step_size import STEP_SIZE as STEP_SIZE
