"""Potentials by name, and what is refused with which words."""

import jax
import pytest

from liftax.potentials import (
    ELU,
    ISRU,
    AbstractPotential,
    Arctan,
    Ball,
    Clip,
    ElasticNet,
    GroupSoftThreshold,
    HalfSpace,
    HardSigmoid,
    Huber,
    Identity,
    LeakyReLU,
    MaxAffine,
    NonNegativeSoftThreshold,
    NuclearNorm,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Sparsemax,
    SpectralBall,
    Tanh,
    potential,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", Identity()),
        ("linear", Identity()),
        ("relu", ReLU()),
        ("ReLU", ReLU()),
        ("leaky_relu", LeakyReLU(0.01)),
        ("clip", Clip(-1.0, 1.0)),
        ("soft_threshold", SoftThreshold(1.0)),
        ("tanh", Tanh()),
        ("sigmoid", Sigmoid()),
        ("softmax", Softmax()),
        ("arctan", Arctan()),
        ("ball", Ball(1.0)),
        ("elu", ELU(1.0)),
        ("group_soft_threshold", GroupSoftThreshold(1.0, axis=-1)),
        ("hard_sigmoid", HardSigmoid(1 / 6)),
        ("hard_tanh", Clip(-1.0, 1.0)),
        ("huber", Huber(1.0, 1.0)),
        ("isru", ISRU()),
        ("max_affine", MaxAffine(1.0)),
        ("non_negative_soft_threshold", NonNegativeSoftThreshold(1.0)),
        ("nuclear_norm", NuclearNorm(1.0)),
        ("ReLU6", Clip(0.0, 6.0)),
        ("softplus", Softplus()),
        ("softsign", Softsign()),
        ("sparsemax", Sparsemax()),
        ("spectral_ball", SpectralBall(1.0)),
    ],
)
def test_names(name: str, expected: AbstractPotential) -> None:
    found = potential(name)
    assert type(found) is type(expected)
    assert jax.tree.leaves(found) == jax.tree.leaves(expected)


def test_a_potential_is_kept() -> None:
    mine = LeakyReLU(0.3)
    assert potential(mine) is mine


@pytest.mark.parametrize(
    "given", ["gelu", "silu", "swish", "mish", "GELU", jax.nn.gelu, jax.nn.silu]
)
def test_not_monotone(given) -> None:
    with pytest.raises(ValueError, match=r"is not monotone, hence no proximal map.*such as 'relu'"):
        potential(given)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("rleu", "activation 'rleu' is not known, did you mean 'relu'"),
        ("sotfmax", "did you mean 'softmax'"),
        (jax.nn.relu, "activation is the function 'relu', but activations are given by their pot"),
        (
            jax.nn.softplus,
            r"softplus', but .*; give FromActivation\(softplus\) if it acts on single",
        ),
        (ReLU, r"activation is the class ReLU; give an instance, ReLU\(\)"),
        (3, "activation must be a potential or a name, got int; give one of arctan, ball"),
        (None, "activation must be a potential or a name, got NoneType"),
    ],
)
def test_refusals(given, match: str) -> None:
    with pytest.raises(ValueError, match=match) as refusal:
        potential(given)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("slope", [0, -0.1, 1.5, float("nan")])
def test_slope(slope: float) -> None:
    with pytest.raises(ValueError, match=r"slope must lie in \(0, 1\], got"):
        LeakyReLU(slope)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, -1.0)])
def test_order_of_the_ends(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low must be less than high, got low="):
        Clip(low, high)


def test_infinite_ends() -> None:
    with pytest.raises(ValueError, match="high must be finite, got inf"):
        Clip(0.0, float("inf"))
    with pytest.raises(ValueError, match="low must be finite, got nan"):
        Clip(float("nan"), 0.0)


@pytest.mark.parametrize("threshold", [-1e-3, -1, float("nan")])
@pytest.mark.parametrize("cls", [SoftThreshold, NonNegativeSoftThreshold, GroupSoftThreshold])
def test_threshold(cls: type, threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be at least 0, got"):
        cls(threshold)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: HardSigmoid(0.0), r"slope must lie in \(0, 1\], got 0.0; take 1/6"),
        (lambda: HardSigmoid(1.2), r"slope must lie in \(0, 1\], got 1.2"),
        (lambda: ELU(1.5), r"alpha must lie in \(0, 1\], got 1.5"),
        (lambda: ElasticNet(-1.0, 0.0), "l1 must be at least 0, got -1.0; Ψ is not convex"),
        (lambda: ElasticNet(0.0, float("nan")), "l2 must be at least 0, got nan"),
        (lambda: Huber(0.0), "delta must be positive, got 0.0; without Ψ use Identity"),
        (lambda: Huber(1.0, -2.0), "weight must be positive, got -2.0"),
        (lambda: Ball(0.0), "radius must be positive, got 0.0"),
        (lambda: SpectralBall(-1), "radius must be positive, got -1"),
        (lambda: NuclearNorm(-0.5), "weight must be at least 0, got -0.5"),
        (lambda: MaxAffine(0), r"weight must be positive, got 0; for 0 use Identity\(\)"),
        (lambda: HalfSpace(jax.numpy.zeros(3)), "normal must not vanish, got zeros"),
    ],
)
def test_parameters(make, match: str) -> None:
    with pytest.raises(ValueError, match=match) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_traced_hyper_parameters() -> None:
    """Hyper-parameters are leaves: they may be traced, and then are not checked."""
    values = jax.jit(lambda p, v: p.prox(v, 0.5))(
        SoftThreshold(0.4), jax.numpy.asarray([1.0, -0.1])
    )
    assert values.tolist() == pytest.approx([0.8, 0.0])
