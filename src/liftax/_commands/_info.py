"""``liftax info``: what is in a model file."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from liftax.affine import AbstractAffine, Residual, Scaled, Sum
from liftax.importing import load_network
from liftax.networks import Network, Params
from liftax.training import load_model


def info(path: Path) -> dict[str, Any]:
    """The network of a file, or its arrays if there are no more.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is no model.
    """
    notes: dict[str, Any] = {}
    if path.suffix.lower() != ".onnx" and path.suffix.lower() == ".safetensors":
        arrays, notes = load_model(path)
        if not isinstance(notes, dict) or not isinstance(notes.get("network"), dict):
            return {**_file(path, "weights without a network"), **_weights(arrays, notes)}
    network, params = load_network(path)
    kept = {key: value for key, value in notes.items() if key != "network"}
    return {**_file(path, "network"), **_network(network, params), "notes": kept}


def _file(path: Path, kind: str) -> dict[str, Any]:
    return {"file": str(path), "holds": kind, "bytes": path.stat().st_size}


def _weights(arrays: dict[str, np.ndarray], notes: Any) -> dict[str, Any]:
    rows = [
        {"name": name, "shape": list(array.shape), "type": array.dtype.name}
        for name, array in arrays.items()
    ]
    count = sum(array.size for array in arrays.values())
    return {"parameters": count, "arrays": rows, "notes": notes if isinstance(notes, dict) else {}}


def _network(network: Network, params: Params) -> dict[str, Any]:
    shapes, nodes = network.shapes, []
    for node in network.nodes:
        own = [params.get(node.name, {}), params.get(f"{node.name}.potential", {})]
        nodes.append(
            {
                "name": node.name,
                "map": _map(node.affine),
                "activation": " ".join(repr(node.potential).split()).removesuffix("()"),
                "parents": list(node.parents),
                "shape": list(shapes[node.name]),
                "parameters": _count(own) if node.tied_to is None else f"those of {node.tied_to}",
            }
        )
    kinds = sorted({np.asarray(leaf).dtype.name for leaf in jax.tree.leaves(params)})
    return {
        "input": list(network.input_shape),
        "output": list(shapes[network.output]),
        "parameters": _count(params),
        "type": ", ".join(kinds),
        "nodes": nodes,
    }


def _map(affine: AbstractAffine) -> str:
    name = type(affine).__name__
    if isinstance(affine, Sum):
        return f"{name}({', '.join(map(_map, affine.maps))})"
    return f"{name}({_map(affine.map)})" if isinstance(affine, Residual | Scaled) else name


def _count(tree: Any) -> int:
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tree))
