"""Networks trained elsewhere as a lifted network and its parameters; files without code."""

from liftax.importing._equinox import from_equinox as from_equinox
from liftax.importing._network_file import load_network as load_network
from liftax.importing._network_file import save_network as save_network
from liftax.importing._onnx import from_onnx as from_onnx
from liftax.importing._torch import from_torch as from_torch
