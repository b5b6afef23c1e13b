"""Trained networks for other frameworks: ONNX files, PyTorch and equinox modules."""

from liftax.exporting._equinox import to_equinox as to_equinox
from liftax.exporting._onnx import to_onnx as to_onnx
from liftax.exporting._torch import to_torch as to_torch
