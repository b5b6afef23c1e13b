"""Regularisers by name, as on the command line."""

import difflib
from collections.abc import Callable

from liftax.inversion._constraints import Box, NonNegative
from liftax.inversion._generalised_variation import TGV
from liftax.inversion._plug_and_play import PlugAndPlay
from liftax.inversion._regulariser import AbstractPrior, Shape
from liftax.inversion._sparsity import L1
from liftax.inversion._sum import Sum
from liftax.inversion._tikhonov import Tikhonov
from liftax.inversion._total_variation import TotalVariation
from liftax.inversion._wavelets import WaveletL1
from liftax.restoration import load_denoiser

_MOST_LEVELS = 3
_PICTURES = ("tv", "tv-anisotropic", "tgv", "wavelet", "denoiser")
_CONSTRAINTS = ("nonnegative", "box")

REGULARISERS: dict[str, Callable[[Shape], AbstractPrior]] = {
    "tikhonov": lambda shape: Tikhonov(),
    "l1": lambda shape: L1(),
    "tv": lambda shape: TotalVariation(),
    "tv-anisotropic": lambda shape: TotalVariation(isotropic=False),
    "tgv": lambda shape: TGV(),
    "wavelet": lambda shape: WaveletL1(levels=_levels(shape)),
    "denoiser": lambda shape: PlugAndPlay(load_denoiser().prox),
    "nonnegative": lambda shape: NonNegative(),
    "box": lambda shape: Box(),
}


def named_regulariser(names: str, shape: Shape) -> AbstractPrior:
    """A regulariser for inputs of a shape: names of `REGULARISERS`, joined by ``+``.

    The summands have the weight 1 each; ``box`` is the unit interval; ``denoiser`` is `PlugAndPlay`
    with the trained one of the package; ``wavelet`` has as many levels as halve the sides, at most
    three.

    Raises:
        ValueError: for an unknown name, and one that does not take inputs of this shape.
    """
    known = ", ".join(REGULARISERS)
    chosen = [name.strip().lower() for name in names.split("+")]
    for name in chosen:
        if name not in REGULARISERS:
            near = difflib.get_close_matches(name, REGULARISERS, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"regulariser: {name!r} is unknown; {hint}known, joined by +: {known}")
        if name in _PICTURES and len(shape) != 3:
            others = ", ".join(n for n in REGULARISERS if n not in _PICTURES)
            raise ValueError(
                f"regulariser: {name} takes pictures (height, width, channels), the network's "
                f"inputs have the shape {shape}; take one of {others}"
            )
    priors = [REGULARISERS[name](shape) for name in chosen]
    return priors[0] if len(priors) == 1 else Sum(*priors)


def only_constraints(names: str) -> bool:
    """Whether the weight of these regularisers has no effect."""
    return all(name.strip().lower() in _CONSTRAINTS for name in names.split("+"))


def _levels(shape: Shape) -> int:
    """How often both sides can be halved."""
    fitting = [n for n in range(1, _MOST_LEVELS + 1) if not any(s % 2**n for s in shape[:2])]
    if not fitting:
        raise ValueError(f"regulariser: wavelet needs even sides, inputs have the shape {shape}")
    return fitting[-1]
