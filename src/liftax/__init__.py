"""Lifted training and inversion of neural networks with proximal activations."""

from liftax import affine as affine
from liftax import blocks as blocks
from liftax import data as data
from liftax import methods as methods
from liftax import networks as networks
from liftax import objectives as objectives
from liftax import penalties as penalties
from liftax import potentials as potentials
from liftax import training as training
from liftax._solution import Reason as Reason
from liftax.methods import BackPropagation as BackPropagation
from liftax.methods import BlockCoordinateDescent as BlockCoordinateDescent
from liftax.methods import ImplicitSGD as ImplicitSGD
from liftax.methods import OneSweep as OneSweep
from liftax.networks import Network as Network
from liftax.networks import Node as Node
from liftax.networks import autoencoder as autoencoder
from liftax.networks import mlp as mlp
from liftax.objectives import LiftedEnergy as LiftedEnergy
from liftax.penalties import Bregman as Bregman
from liftax.penalties import Lifted as Lifted
from liftax.penalties import Quadratic as Quadratic
from liftax.training import Checkpoints as Checkpoints
from liftax.training import Result as Result
from liftax.training import fit as fit
