"""Penalties: Bregman, lifted, quadratic (MAC-QP); losses of a clamped output."""

from liftax.penalties._bregman import Bregman as Bregman
from liftax.penalties._envelope import Envelope as Envelope
from liftax.penalties._hinge import Hinge as Hinge
from liftax.penalties._lifted import Lifted as Lifted
from liftax.penalties._loss import AbstractLoss as AbstractLoss
from liftax.penalties._penalty import AbstractPenalty as AbstractPenalty
from liftax.penalties._penalty import prox_phi as prox_phi
from liftax.penalties._quadratic import Quadratic as Quadratic
