"""Layers that have no place in a lifted network, and why."""

_NOT_MONOTONE = "its activation is not monotone, hence no proximal map; retrain with ReLU or ELU"
_NOT_LIPSCHITZ = "its slope exceeds 1, hence it is no proximal map; retrain with ELU or ReLU"
_STATISTICS = (
    "it divides by statistics of the example, which is not affine; retrain with batch normalisation"
)
_MAXIMUM = "the maximum is known of windows of a fixed size only; use MaxPool2d as a module"
_ARGUMENTS = "its statistics come as arguments; use BatchNorm1d or BatchNorm2d as a module"
_ATTENTION = "attention is bilinear; build it with liftax.transformer"
_JUMPS = "it jumps, hence it is no proximal map; use soft-thresholding"

_REASONS = {
    **dict.fromkeys(("gelu", "silu", "swish", "mish", "hardswish"), _NOT_MONOTONE),
    **dict.fromkeys(("selu",), _NOT_LIPSCHITZ),
    **dict.fromkeys(("hardshrink", "threshold"), _JUMPS),
    **dict.fromkeys(
        ("layernorm", "layer_norm", "groupnorm", "group_norm", "rmsnorm", "instancenorm2d"),
        _STATISTICS,
    ),
    **dict.fromkeys(
        ("instancenormalization", "layernormalization", "groupnormalization", "lrn"), _STATISTICS
    ),
    **dict.fromkeys(("globalmaxpool", "adaptivemaxpool2d"), _MAXIMUM),
    **dict.fromkeys(("batch_norm",), _ARGUMENTS),
    **dict.fromkeys(("multiheadattention", "attention"), _ATTENTION),
}
_UNKNOWN = (
    "it is none of the layers that are known; write the network with those, or build it with "
    "liftax.networks"
)


def refusal(place: str, kind: str, reason: str | None = None) -> ValueError:
    """The error for a layer that cannot be imported: where it stands, what it is, and why."""
    why = reason or _REASONS.get(kind.lower(), _UNKNOWN)
    return ValueError(f"{place}: {kind} cannot be lifted: {why}")
