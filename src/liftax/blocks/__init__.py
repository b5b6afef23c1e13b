"""Block updates: one activation, one layer's parameters, in which order, with which step."""

from liftax.blocks._curvature import parameter_curvature as parameter_curvature
from liftax.blocks._curvature import parameter_probes as parameter_probes
from liftax.blocks._curvature import state_curvature as state_curvature
from liftax.blocks._curvature import state_probes as state_probes
from liftax.blocks._order import AbstractOrder as AbstractOrder
from liftax.blocks._order import GaussSeidel as GaussSeidel
from liftax.blocks._order import Jacobi as Jacobi
from liftax.blocks._order import RedBlack as RedBlack
from liftax.blocks._order import interactions as interactions
from liftax.blocks._parameters import parameter_gradient as parameter_gradient
from liftax.blocks._parameters import sweep_parameters as sweep_parameters
from liftax.blocks._states import pulled_back as pulled_back
from liftax.blocks._states import state_gradient as state_gradient
from liftax.blocks._states import state_step as state_step
from liftax.blocks._states import sweep_states as sweep_states
from liftax.blocks._step_size import AbstractStepSize as AbstractStepSize
from liftax.blocks._step_size import Fixed as Fixed
from liftax.blocks._step_size import Lipschitz as Lipschitz
