"""Penalties: Bregman, lifted, quadratic (MAC-QP)."""

from liftax.penalties._bregman import Bregman as Bregman
from liftax.penalties._lifted import Lifted as Lifted
from liftax.penalties._penalty import AbstractPenalty as AbstractPenalty
from liftax.penalties._penalty import prox_phi as prox_phi
from liftax.penalties._quadratic import Quadratic as Quadratic
