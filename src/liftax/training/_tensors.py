"""Named arrays and texts as the bytes of a safetensors file, sealed with a checksum.

Bit-exact for all types of the format, bfloat16 among them; reading executes nothing.
"""

import hashlib
import json
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

_DTYPES = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "BF16": jnp.bfloat16,
    "F8_E4M3": jnp.float8_e4m3fn,
    "F8_E5M2": jnp.float8_e5m2,
    "C64": np.complex64,
}
UNSEALED = (
    "it was not written by liftax and has no checksum: if it holds the weights of a PyTorch module "
    "only, build the module, load them into it and use liftax.importing.from_torch"
)
_KNOWN = {np.dtype(dtype) for dtype in _DTYPES.values()}


def encode(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> bytes:
    """Bytes of a file.

    Raises:
        ValueError: for an array of another type than the format has.
    """
    for name, array in arrays.items():
        if array.dtype not in _KNOWN:
            raise ValueError(
                f"{name} has dtype {array.dtype}, which a safetensors file cannot hold; convert it "
                "(a random key: store jax.random.key_data)"
            )
    # The format takes the memory as it lies.
    dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    sealed = {**texts, "sha256": _seal(dense, texts)}
    return safetensors.numpy.save(dense, metadata=sealed)


def decode(raw: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays (writable copies) and texts of a file.

    Raises:
        ValueError: with half a sentence on what is wrong with it.
    """
    try:
        entries = safetensors.deserialize(raw)
    except safetensors.SafetensorError as error:
        raise ValueError(f"no complete safetensors file: {str(error).splitlines()[0]}") from error
    # The header is valid here: its length in 8 bytes, then JSON.
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    texts = dict(header.get("__metadata__") or {})
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name} has the unknown type {entry['dtype']}")
        flat = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"]).copy()
    seal = texts.pop("sha256", None)
    if seal is None:
        raise ValueError(UNSEALED)
    if seal != _seal(arrays, texts):
        raise ValueError("its content does not have the checksum it was written with")
    return arrays, texts


def _seal(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> str:
    """SHA-256 over texts, names, types, shapes and bytes, whatever their order in the file."""
    names = sorted(arrays)
    kinds = [[name, arrays[name].dtype.name, list(arrays[name].shape)] for name in names]
    seal = hashlib.sha256(json.dumps([sorted(texts.items()), kinds]).encode())
    for name in names:
        seal.update(arrays[name].reshape(-1).view(np.uint8).data)
    return seal.hexdigest()
