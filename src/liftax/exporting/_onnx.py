"""ONNX files."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from liftax._files import write_bytes
from liftax.exporting._graph import foreign, write
from liftax.exporting._writer import AbstractWriter, Pads, Pair, Shape, refused
from liftax.networks import Network, Params
from liftax.potentials import (
    ELU,
    AbstractPotential,
    Arctan,
    Clip,
    HardSigmoid,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Tanh,
)

_OPSET, _FORMAT = 17, 8  # of 2022: what is old enough to be read everywhere
_MOST_BYTES = 2**31 - 1  # the largest message of protobuf
_ACTIVATIONS: dict[type, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Arctan: ("Atan", lambda p: {}),
    ELU: ("Elu", lambda p: {"alpha": float(p.alpha)}),
    HardSigmoid: ("HardSigmoid", lambda p: {"alpha": float(p.slope), "beta": 0.5}),
    LeakyReLU: ("LeakyRelu", lambda p: {"alpha": float(p.slope)}),
    ReLU: ("Relu", lambda p: {}),
    Sigmoid: ("Sigmoid", lambda p: {}),
    Softplus: ("Softplus", lambda p: {}),
    Softsign: ("Softsign", lambda p: {}),
    SoftThreshold: ("Shrink", lambda p: {"lambd": float(p.threshold), "bias": float(p.threshold)}),
    Tanh: ("Tanh", lambda p: {}),
}


def to_onnx(path: str | Path, network: Network, params: Params) -> None:
    """Write a network as an ONNX file, atomically; the counterpart of `from_onnx`.

    The file has one input, ``input`` of shape (samples, ...), and one output, ``output``. Pictures
    are (channels, height, width) there. Operator set 17.

    Args:
        path: usually ends in ``.onnx``.
        network: with the maps and activations that ONNX has; every other is refused by its name.
        params: its parameters; their precision is the file's.

    Raises:
        ValueError: naming the node that ONNX has no operator for; for more than 2 GiB.

    Source: the operators of the ONNX specification.
    """
    onnx = importlib.import_module("onnx")
    dtype = np.asarray(jax.tree.leaves(params)[0]).dtype if jax.tree.leaves(params) else np.float32
    writer = _Writer(onnx, np.dtype(dtype))
    output = write(network, params, writer, "input")
    nodes = [*writer.nodes, onnx.helper.make_node("Identity", [output], ["output"], name="output")]
    kind = onnx.helper.np_dtype_to_tensor_dtype(writer.dtype)
    ends = {"input": network.input_shape, "output": network.shapes[network.output]}
    (first, last) = (
        onnx.helper.make_tensor_value_info(name, kind, ["samples", *foreign(tuple(shape))])
        for name, shape in ends.items()
    )
    graph = onnx.helper.make_graph(nodes, "liftax", [first], [last], writer.constants)
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_FORMAT,
        producer_name="liftax",
    )
    if model.ByteSize() > _MOST_BYTES:
        raise ValueError("network: it has more than 2 GiB, which an ONNX file cannot hold")
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())


class _Writer(AbstractWriter):
    """Tensors are names."""

    def __init__(self, onnx: Any, dtype: np.dtype):
        self.onnx, self.dtype, self.label = onnx, dtype, "layer"
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._taken: set[str] = {"input", "output"}

    def dense(self, u: Any, weight: np.ndarray, bias: np.ndarray | None) -> Any:
        z = self._node("MatMul", [u, self._constant("weight", weight.T)])
        return z if bias is None else self._node("Add", [z, self._constant("bias", bias)])

    def convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, pads: Pads
    ) -> Any:
        names = [u, self._constant("weight", weight)]
        names += [] if bias is None else [self._constant("bias", bias)]
        sides = [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]
        return self._node("Conv", names, strides=list(stride), pads=sides)

    def transposed_convolution(
        self, u: Any, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, cuts: Pads
    ) -> Any:
        names = [u, self._constant("weight", weight)]
        names += [] if bias is None else [self._constant("bias", bias)]
        ends = [max(cuts[axis][1], 0) for axis in (0, 1)]
        extra = [max(-cuts[axis][1], 0) for axis in (0, 1)]
        sides = [cuts[0][0], cuts[1][0], *ends]
        return self._node(
            "ConvTranspose", names, strides=list(stride), pads=sides, output_padding=extra
        )

    def pooling(self, u: Any, window: Pair, stride: Pair) -> Any:
        return self._node("AveragePool", [u], kernel_shape=list(window), strides=list(stride))

    def mean(self, u: Any, axes: tuple[int, ...]) -> Any:
        return self._node("ReduceMean", [u], axes=list(axes), keepdims=0)

    def normalised(
        self, u: Any, statistics: Sequence[np.ndarray], epsilon: float, pictures: bool
    ) -> Any:
        names = ("scale", "shift", "mean", "variance")
        given = [self._constant(n, a) for n, a in zip(names, statistics, strict=True)]
        return self._node("BatchNormalization", [u, *given], epsilon=epsilon)

    def add(self, values: Sequence[Any]) -> Any:
        return self._node("Add" if len(values) == 2 else "Sum", list(values))

    def times(self, u: Any, number: float) -> Any:
        return self._node("Mul", [u, self._constant("factor", np.array(number))])

    def product(self, u: Any, v: Any) -> Any:
        return self._node("MatMul", [u, v])

    def projected(self, u: Any, radius: float, axes: tuple[int, ...]) -> Any:
        size = self._node("ReduceL2", [u], axes=list(axes), keepdims=1)
        ratio = self._node("Div", [size, self._constant("radius", np.array(radius))])
        ratio = self._node("Max", [ratio, self._constant("one", np.array(1.0))])
        return self._node("Div", [u, ratio])

    def concatenation(self, values: Sequence[Any], axis: int) -> Any:
        return self._node("Concat", list(values), axis=axis)

    def reshaped(self, u: Any, shape: Shape) -> Any:
        if len(shape) == 1:
            return self._node("Flatten", [u], ".flat")
        sizes = self._constant("shape", np.array([0, *shape]), np.int64)
        return self._node("Reshape", [u, sizes])

    def transposed(self, u: Any, axes: tuple[int, ...]) -> Any:
        return self._node("Transpose", [u], perm=list(axes))

    def selected(self, u: Any, places: Sequence[int], axis: int) -> Any:
        return self._node(
            "Gather", [u, self._constant("places", np.array(places), np.int64)], axis=axis
        )

    def moved(self, u: Any, offset: np.ndarray) -> Any:
        return self._node("Add", [u, self._constant("offset", offset[None])])

    def clipped(self, u: Any, low: np.ndarray, high: np.ndarray) -> Any:
        raised = self._node("Max", [u, self._constant("low", low[None])])
        return self._node("Min", [raised, self._constant("high", high[None])])

    def activation(self, u: Any, potential: AbstractPotential, rank: int) -> Any:
        if isinstance(potential, Softmax):
            return self._node("Softmax", [u], axis=1 if rank == 3 else rank)
        if isinstance(potential, Clip):
            ends = (("low", potential.low), ("high", potential.high))
            return self._node("Clip", [u, *(self._constant(n, np.array(e)) for n, e in ends)])
        if type(potential) not in _ACTIVATIONS:
            raise refused(potential, "ONNX", "retrain with another activation, or save_network")
        kind, attributes = _ACTIVATIONS[type(potential)]
        return self._node(kind, [u], **attributes(potential))

    def _node(self, kind: str, inputs: list[str], ending: str = "", **attributes: Any) -> str:
        name = self._new(f"{self.label}{ending}")
        node = self.onnx.helper.make_node(kind, inputs, [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def _constant(self, name: str, array: np.ndarray, dtype: Any = None) -> str:
        name = self._new(f"{self.label}.{name}")
        stored = np.ascontiguousarray(array).astype(self.dtype if dtype is None else dtype)
        stored = stored.reshape(np.shape(array))
        self.constants.append(self.onnx.numpy_helper.from_array(stored, name))
        return name

    def _new(self, name: str) -> str:
        """A name that is not taken yet."""
        count, free = 1, name
        while free in self._taken:
            count += 1
            free = f"{name}.{count}"
        self._taken.add(free)
        return free
