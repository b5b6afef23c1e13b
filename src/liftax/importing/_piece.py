"""A node under construction, and how pieces are put together."""

import dataclasses
from typing import Any

import numpy as np

from liftax.affine import (
    AbstractAffine,
    AveragePooling,
    Convolution,
    Dense,
    Identity,
    Mean,
    Pointwise,
    Scale,
    Sum,
    TransposedConvolution,
)
from liftax.potentials import AbstractPotential
from liftax.potentials import Identity as Linear

_LINEAR = Linear()
_WEIGHTED = (Convolution, Dense, Pointwise, TransposedConvolution)
_TERMS = (*_WEIGHTED, AveragePooling, Mean)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A node with its parameters, of which a `Sum` has a tuple."""

    name: str
    affine: AbstractAffine
    params: Any
    parents: tuple[str, ...]
    potential: AbstractPotential = _LINEAR


def united(pieces: list[Piece], output: str) -> list[Piece]:
    """What the output depends on, in as few pieces as possible.

    Scales are folded into the weights before them, activations join the map before them, and maps
    that are only added up become terms of the sum.
    """
    needed = _needed(pieces, output)
    counts: dict[str, int] = {output: 1}
    for piece in needed:
        for parent in piece.parents:
            counts[parent] = counts.get(parent, 0) + 1
    done: dict[str, Piece] = {}
    renamed: dict[str, str] = {}
    for piece in needed:
        parents = tuple(renamed.get(parent, parent) for parent in piece.parents)
        piece = dataclasses.replace(piece, parents=parents)
        free = {
            new: done[new]
            for new in parents
            if new in done and counts[new] == 1 and isinstance(done[new].potential, Linear)
        }
        joined = _joined(piece, free.get(parents[0]))
        if joined is not None:
            done[joined.name] = joined
            renamed[piece.name] = joined.name
            counts[joined.name] = counts[piece.name]
            continue
        if isinstance(piece.affine, Sum):
            piece, terms = _with_terms(piece, free)
            for name in terms:
                del done[name]
        done[piece.name] = piece
    return list(done.values())


def _needed(pieces: list[Piece], output: str) -> list[Piece]:
    wanted, kept = {output}, []
    for piece in reversed(pieces):
        if piece.name in wanted:
            kept.append(piece)
            wanted.update(piece.parents)
    return kept[::-1]


def _joined(piece: Piece, parent: Piece | None) -> Piece | None:
    """The parent with the piece's activation or scale in it, if that is possible."""
    if parent is None:
        return None
    if isinstance(piece.affine, Identity):
        return dataclasses.replace(parent, potential=piece.potential)
    if isinstance(piece.affine, Scale) and isinstance(parent.affine, _WEIGHTED):
        return _folded(parent, piece.params["scale"], piece.params["shift"])
    return None


def _folded(piece: Piece, scale: np.ndarray, shift: np.ndarray) -> Piece:
    """The weighted map, its outputs multiplied and moved; computed in double precision."""
    weight = np.asarray(piece.params["weight"], np.float64)
    # A transposed convolution has its features last but one.
    last = not isinstance(piece.affine, TransposedConvolution)
    factor = np.asarray(scale, np.float64)
    bias = np.asarray(piece.params.get("bias", 0.0), np.float64) * factor + shift
    dtype = piece.params["weight"].dtype
    params = {
        "weight": (weight * (factor if last else factor[:, None])).astype(dtype),
        "bias": bias.astype(dtype),
    }
    affine: Any = piece.affine
    return dataclasses.replace(
        piece, affine=dataclasses.replace(affine, use_bias=True), params=params
    )


def _with_terms(piece: Piece, free: dict[str, Piece]) -> tuple[Piece, list[str]]:
    """The sum with the parents in it that nothing else uses, and their names."""
    assert isinstance(piece.affine, Sum)
    maps, params, parents = list(piece.affine.maps), list(piece.params), list(piece.parents)
    terms = []
    for place, name in enumerate(piece.parents):
        term = free.get(name)
        copied = isinstance(maps[place], Identity)
        if copied and term is not None and isinstance(term.affine, _TERMS):
            maps[place], params[place], parents[place] = term.affine, term.params, term.parents[0]
            terms.append(name)
    whole = {"affine": Sum(tuple(maps)), "params": tuple(params), "parents": tuple(parents)}
    return dataclasses.replace(piece, **whole), terms
