"""A network with its parameters in one file, which holds no code."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import jax

from liftax.importing._description import ARRAY, built, described
from liftax.importing._onnx import from_onnx
from liftax.importing._verified import verify
from liftax.networks import Network, Params
from liftax.training import as_params, load_model, save_model

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib")
_KEY = "network"  # among the notes


def save_network(
    path: str | Path, network: Network, params: Params, meta: dict[str, Any] | None = None
) -> None:
    """Write a network and its parameters atomically, as a safetensors file.

    The graph is JSON among the notes, so that `load_network` needs nothing else, and
    `liftax.training.load_model` reads the weights alone.

    Args:
        path: usually ends in ``.safetensors``.
        network: of the library's own maps and potentials.
        params: its parameters.
        meta: further notes, kept as JSON beside the graph, which is called "network".

    Raises:
        ValueError: for a map or potential of your own, which a file without code cannot hold, for
            parameters of another network, and for more than 4,096 nodes.
    """
    description, fields = described(network)
    verify(built(description, fields), params)
    if any(name.startswith(ARRAY) for name in params):
        raise ValueError(f"network: no node's name may begin with {ARRAY!r}; rename it")
    save_model(path, {**params, **fields}, {**(meta or {}), _KEY: description})


def load_network(path: str | Path) -> tuple[Network, Params]:
    """A network and its parameters from a file; nothing in the file is executed.

    Args:
        path: what `save_network` wrote, or an ``.onnx`` file for `from_onnx`. Pickles (``.pt``,
            ``.pkl``, ...) are refused unopened.

    Returns:
        The network, and its parameters in the precision of the file if JAX has it switched on.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: for a pickle, a damaged file, and one without the description of a network.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        return from_onnx(path)
    if path.suffix.lower() in _PICKLES or _looks_pickled(path):
        raise ValueError(
            f"path: {str(path)!r} is a pickle, and a pickle can run code; export it to ONNX, or "
            "import the module by from_torch and write it by save_network"
        )
    arrays, notes = load_model(path)
    if not isinstance(notes, dict) or _KEY not in notes:
        raise ValueError(
            f"path: {str(path)!r} holds weights without a network; write it with save_network"
        )
    weights = {name: array for name, array in arrays.items() if not name.startswith(ARRAY)}
    try:
        network = built(notes[_KEY], arrays)
        params = as_params(weights, jax.eval_shape(network.init, jax.random.key(0)))
        verify(network, params)
    except Exception as error:  # whatever a made-up description leads to
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(
            f"path: {str(path)!r} describes no network: {reason}; write it with save_network"
        ) from error
    return network, params


def _looks_pickled(path: Path) -> bool:
    """Whether the file begins as a pickle or a zip archive, in which PyTorch keeps pickles."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":  # the header of safetensors
        return False
    protocol = head[:1] == pickle.PROTO and head[1:2] <= bytes([pickle.HIGHEST_PROTOCOL])
    return protocol or zipfile.is_zipfile(path)
