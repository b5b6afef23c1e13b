"""ONNX files."""

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from liftax.importing._assembly import Assembly
from liftax.importing._onnx_layers import layer
from liftax.importing._onnx_node import OnnxNode
from liftax.importing._refusals import refusal
from liftax.importing._value import MOST_ENTRIES, Value
from liftax.networks import Network, Params

_MOST_BYTES = 2**31 - 1  # the largest message of protobuf
_MOST_ORDERS = 2**28  # entries of all intermediate values of one example


def from_onnx(path: str | Path) -> tuple[Network, Params]:
    """An ONNX file as a network and its parameters.

    Pictures are (height, width, channels) in the network, (channels, height, width) in the file.
    Batch normalisation and products with constants are folded into the weights before them, what is
    computed from shapes alone is computed here. Weights in half precision become single ones.

    Args:
        path: of a file with one input and one output, the first axis of both the samples, the
            other sizes fixed. Weights are inside the file.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: for a layer that cannot be lifted, by its name, with the reason; for a damaged
            file, external weights, or sizes that are not fixed.

    Source: the operators of the ONNX specification, set 7 and later.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {str(path)!r}; check it")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"path: {str(path)!r} has more than 2 GiB; an ONNX file cannot")
    onnx = importlib.import_module("onnx")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        opset = _opset(model)
        if not model.graph.node:
            raise ValueError("it has no nodes")
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"path: {str(path)!r} is no ONNX file: {reason}; export it anew"
        ) from error
    try:
        return _network(model.graph, opset, onnx)
    except Exception as error:  # whatever a malformed graph leads to
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ValueError(f"path: {str(path)!r}: {reason}") from error


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] < 7:
        raise ValueError(f"operator sets {versions}, of which there must be one, 7 or later")
    return versions[0]


def _network(graph: Any, opset: int, onnx: Any) -> tuple[Network, Params]:
    if graph.sparse_initializer:
        raise ValueError("sparse weights are not known; export dense ones")
    read = _reader(onnx)
    values: dict[str, Any] = {tensor.name: read(tensor) for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in values]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(
            f"the graph has {len(inputs)} inputs and {len(graph.output)} outputs; export one each"
        )
    batch, *shape = _sizes(inputs[0])
    assembly, entries = Assembly(shape), 0
    values[inputs[0].name] = assembly.input
    for entry in graph.node:
        place = entry.name or (entry.output[0] if entry.output else entry.op_type)
        assembly.label = place
        if entry.domain not in ("", "ai.onnx"):
            raise refusal(place, f"{entry.domain}.{entry.op_type}")
        for name in entry.input:
            if name and name not in values:
                raise ValueError(f"{place}: nothing before it gives its input {name!r}")
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in entry.attribute}
        if entry.op_type == "Constant" and "value" in attributes:
            attributes["value"] = read(attributes["value"])
        arguments = [values[name] if name else None for name in entry.input]
        try:
            node = OnnxNode(place, entry.op_type, arguments, attributes, opset, batch)
            result = layer(assembly, node)
        except ValueError as error:
            text = str(error)
            raise ValueError(text if text.startswith(place) else f"{place}: {text}") from None
        entries += result.order.size if isinstance(result, Value) else np.size(result)
        if entries > _MOST_ORDERS:
            raise ValueError(f"the values of one example have more than {_MOST_ORDERS} entries")
        values[entry.output[0]] = result
    output = values.get(graph.output[0].name)
    if not isinstance(output, Value):
        raise ValueError(f"no node gives the output {graph.output[0].name!r} from the input")
    return assembly.finish(output)


def _sizes(entry: Any) -> list[int]:
    """Sizes of the input, that of the samples 0 if it is open."""
    dims = entry.type.tensor_type.shape.dim
    sizes = [d.dim_value if d.WhichOneof("value") == "dim_value" else 0 for d in dims]
    if len(sizes) < 2 or min(sizes[1:]) < 1:
        raise ValueError(
            f"its input {entry.name!r} has the sizes {sizes} (0: open); export it with samples "
            "first and all other sizes fixed"
        )
    return sizes


def _reader(onnx: Any) -> Callable[[Any], np.ndarray]:
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    known = (*floats, onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)

    def read(tensor: Any) -> np.ndarray:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(
                f"{tensor.name!r} lies in another file, which is not opened; export with the "
                "weights inside"
            )
        if tensor.data_type not in known:
            raise ValueError(f"{tensor.name!r} has a type that is not known; export floats")
        if math.prod(tensor.dims) > 16 * MOST_ENTRIES or min(tensor.dims, default=1) < 0:
            raise ValueError(f"{tensor.name!r} has the impossible shape {tuple(tensor.dims)}")
        array = np.array(onnx.numpy_helper.to_array(tensor))
        return array.astype(np.float32) if array.dtype == np.float16 else array

    return read
