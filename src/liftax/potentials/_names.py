"""Potentials by the names of their activations."""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from liftax.potentials._arctan import Arctan
from liftax.potentials._ball import Ball
from liftax.potentials._clip import Clip
from liftax.potentials._elu import ELU
from liftax.potentials._group_soft_threshold import GroupSoftThreshold
from liftax.potentials._hard_sigmoid import HardSigmoid
from liftax.potentials._huber import Huber
from liftax.potentials._identity import Identity
from liftax.potentials._isru import ISRU
from liftax.potentials._leaky_relu import LeakyReLU
from liftax.potentials._max_affine import MaxAffine
from liftax.potentials._non_negative_soft_threshold import NonNegativeSoftThreshold
from liftax.potentials._nuclear_norm import NuclearNorm
from liftax.potentials._potential import AbstractPotential
from liftax.potentials._relu import ReLU
from liftax.potentials._sigmoid import Sigmoid
from liftax.potentials._soft_threshold import SoftThreshold
from liftax.potentials._softmax import Softmax
from liftax.potentials._softplus import Softplus
from liftax.potentials._softsign import Softsign
from liftax.potentials._sparsemax import Sparsemax
from liftax.potentials._spectral_ball import SpectralBall
from liftax.potentials._tanh import Tanh

NAMES: dict[str, Callable[[], AbstractPotential]] = {
    "arctan": Arctan,
    "ball": Ball,
    "clip": Clip,
    "elu": ELU,
    "group_soft_threshold": GroupSoftThreshold,
    "hard_sigmoid": HardSigmoid,
    "hard_tanh": Clip,
    "huber": Huber,
    "identity": Identity,
    "isru": ISRU,
    "leaky_relu": LeakyReLU,
    "linear": Identity,
    "max_affine": MaxAffine,
    "non_negative_soft_threshold": NonNegativeSoftThreshold,
    "nuclear_norm": NuclearNorm,
    "relu": ReLU,
    "relu6": partial(Clip, 0.0, 6.0),
    "sigmoid": Sigmoid,
    "soft_threshold": SoftThreshold,
    "softmax": Softmax,
    "softplus": Softplus,
    "softsign": Softsign,
    "sparsemax": Sparsemax,
    "spectral_ball": SpectralBall,
    "tanh": Tanh,
}
NOT_MONOTONE = ("gelu", "silu", "swish", "mish")


def potential(activation: AbstractPotential | str) -> AbstractPotential:
    """The potential behind an activation: an `AbstractPotential` unchanged, or one by its name.

    Names (``"relu"``, ``"tanh"``, ...; case does not matter) give the default hyper-parameters.

    Raises:
        ValueError: for an unknown name; for GELU, SiLU (swish) and Mish, which are not monotone and
            so not proximal maps; for a function or a class, since potentials give activations.
    """
    if isinstance(activation, AbstractPotential):
        return activation
    if not isinstance(activation, str):
        raise ValueError(_refusal(activation))
    name = activation.lower()
    if name in NOT_MONOTONE:
        raise ValueError(_not_monotone(activation))
    if name not in NAMES:
        nearest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"activation {activation!r} is not known, did you mean {nearest!r}? "
            f"(known: {', '.join(NAMES)})"
        )
    return NAMES[name]()


def _not_monotone(name: str) -> str:
    return (
        f"activation {name!r} is not monotone, hence no proximal map, and has no potential; "
        "choose a monotone one, such as 'relu', 'leaky_relu' or 'tanh'"
    )


def _refusal(activation: Any) -> str:
    """Why something that is neither a potential nor a name cannot be an activation."""
    name = str(getattr(activation, "__name__", type(activation).__name__))
    if isinstance(activation, type) and issubclass(activation, AbstractPotential):
        return f"activation is the class {name}; give an instance, {name}()"
    if not callable(activation):
        return (
            f"activation must be a potential or a name, got {name}; give one of {', '.join(NAMES)}"
        )
    if name.lower() in NOT_MONOTONE:
        return _not_monotone(name)
    return (
        f"activation is the function {name!r}, but activations are given by their potentials; "
        f"give FromActivation({name}) if it acts on single entries, another AbstractPotential, or "
        f"one of the names {', '.join(NAMES)}"
    )
