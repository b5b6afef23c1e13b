"""Networks trained elsewhere as a lifted network and its parameters."""

from liftax.importing._torch import from_torch as from_torch
