"""A trained network's parameters in a safetensors file that other tools read too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from liftax._files import plain, write_bytes
from liftax.training._tensors import UNSEALED, decode, encode

_FORMAT = "liftax model 1"


def save_model(path: str | Path, params: Any, meta: dict[str, Any] | None = None) -> None:
    """Write parameters atomically.

    Args:
        path: usually ends in ``.safetensors``.
        params: nested dictionaries, tuples or records of arrays; the array at
            ``params["layer1"].weight`` is called ``layer1.weight``.
        meta: notes, kept as JSON.

    Raises:
        ValueError: if two arrays would have the same name, or one a type the format has not.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    arrays: dict[str, np.ndarray] = {}
    for keys, leaf in leaves:
        name = ".".join(_word(key) for key in keys) or "params"
        if name in arrays:
            raise ValueError(f"params has two arrays called {name!r}; rename a node")
        arrays[name] = np.asarray(leaf)
    write_bytes(path, encode(arrays, {"format": _FORMAT, "meta": json.dumps(plain(meta or {}))}))


def load_model(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name, and the notes, of a file that `save_model` wrote.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is damaged or of another kind.
    """
    try:
        arrays, texts = decode(Path(path).read_bytes())
        if texts.get("format") != _FORMAT:
            raise ValueError(f"its format is {texts.get('format')!r}, not {_FORMAT!r}")
        return arrays, _notes(texts.get("meta", "{}"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"path: there is no file {str(path)!r}; check it") from error
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = "" if str(reason) == UNSEALED else "; save the model anew"
        raise ValueError(f"path: {str(path)!r} is no valid model file: {reason}{hint}") from error


def _notes(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its notes are no JSON") from None


def as_params(arrays: Mapping[str, Any], like: Any) -> Any:
    """The arrays of `load_model` in the structure of `like`.

    Args:
        arrays: by name.
        like: parameters (or their shapes, from `jax.eval_shape`) of the network that was saved.

    Raises:
        ValueError: for missing or superfluous names and for other shapes.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [".".join(_word(key) for key in keys) or "params" for keys, _ in leaves]
    if set(names) != set(arrays):
        other = sorted(set(names) ^ set(arrays))
        raise ValueError(
            f"arrays: {', '.join(other[:5])} stand only in the file or only in the network; "
            "build the network that was saved"
        )
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if arrays[name].shape != leaf.shape:
            raise ValueError(
                f"arrays: {name} has the shape {arrays[name].shape}, the network's is "
                f"{leaf.shape}; build the network that was saved"
            )
    return jax.tree.unflatten(structure, [_put(arrays[name]) for name in names])


def _put(array: np.ndarray) -> jax.Array:
    """A copy on the device, made without a program."""
    return jax.device_put(array, may_alias=False)


def _word(key: Any) -> str:
    match key:
        case jax.tree_util.DictKey(key=word) | jax.tree_util.FlattenedIndexKey(key=word):
            return str(word)
        case jax.tree_util.SequenceKey(idx=index):
            return str(index)
        case jax.tree_util.GetAttrKey(name=name):
            return name
    return str(key)
