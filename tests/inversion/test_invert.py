"""Inversion of one layer: optima of an independent solver, certificates, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import liftax
from liftax.imaging import total_variation
from liftax.inversion import (
    L1,
    TGV,
    Box,
    GradientData,
    NonNegative,
    PrimalDual,
    ProximalData,
    Sum,
    Tikhonov,
    TotalVariation,
    WaveletL1,
    bregman_iterations,
    certificate,
    data_term,
    invert,
    landweber,
    linearised_bregman,
)
from liftax.penalties import Bregman
from tests.helpers import compiled
from tests.inversion.problems import SHAPE, inverted, layer

ALPHA = 0.05
EXACT = PrimalDual(40000, 1e-9)


def relu_data(params, y):
    """B(y, Wx+b) of a ReLU and its gradient, in NumPy."""
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))

    def data(x):
        z = x.ravel() @ w + b
        active = np.maximum(z, 0)
        return 0.5 * y @ y + 0.5 * active @ active - z @ y, w @ (active - y)

    return data


def split_optimum(data, matrix, alpha, low=None):
    """min data(x) + alpha sum(t), |matrix x| <= t: a smooth problem with linear constraints."""
    m, n = matrix.shape

    def objective(v):
        value, slope = data(v[:n])
        return value + alpha * v[n:].sum(), np.concatenate([slope, np.full(m, alpha)])

    rows = np.block([[matrix, np.eye(m)], [-matrix, np.eye(m)]])
    constraint = {"type": "ineq", "fun": lambda v: rows @ v, "jac": lambda v: rows}
    bounds = [(low, None)] * n + [(0, None)] * m
    start = np.concatenate([np.zeros(n), np.ones(m)])
    found = scipy.optimize.minimize(
        objective,
        start,
        jac=True,
        method="SLSQP",
        bounds=bounds,
        constraints=constraint,
        options={"maxiter": 1000, "ftol": 1e-13},
    )
    assert found.success
    return found.fun


def differences(shape):
    """The matrix of forward differences, rows of zeros left out."""
    index = np.arange(np.prod(shape)).reshape(shape[:2])
    pairs = [*zip(index[:-1].ravel(), index[1:].ravel(), strict=True)]
    pairs += zip(index[:, :-1].ravel(), index[:, 1:].ravel(), strict=True)
    matrix = np.zeros((len(pairs), index.size))
    for row, (i, j) in enumerate(pairs):
        matrix[row, i], matrix[row, j] = -1, 1
    return matrix


@pytest.mark.parametrize("name", ["l1", "tv"])
def test_the_energy_is_the_optimum(name: str) -> None:
    network, params, _, y = layer()
    data = relu_data(params, y[0])
    if name == "l1":
        prior, matrix = L1(), np.eye(16)
    else:
        prior, matrix = TotalVariation(isotropic=False), differences(SHAPE)
    optimum = split_optimum(data, matrix, ALPHA)
    out = inverted(network, params, y, prior, ALPHA, solver=EXACT)
    assert out.energy[0] == pytest.approx(optimum, rel=1e-5)
    assert out.reasons[0] is liftax.Reason.CERTIFIED
    # The certificate holds, and the radius of which it speaks is larger than the distance.
    rough = inverted(network, params, y, prior, ALPHA, solver=PrimalDual(30, 0.0))
    assert rough.reasons[0] is liftax.Reason.BUDGET
    assert 0 < rough.energy[0] - optimum <= rough.gap[0]
    assert np.linalg.norm(rough.x[0] - out.x[0]) < max(2 * np.linalg.norm(rough.x[0]), 4)


def test_tikhonov_is_a_linear_system() -> None:
    """Identity: the minimiser solves (WW' + αI) x = W (y - b) + α anchor."""
    network, params, _, y = layer("identity")
    y = y + 0.1
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))
    right = w @ (y[1] - b) + ALPHA * 0.5
    expected = np.linalg.solve(w @ w.T + ALPHA * np.eye(16), right)
    out = inverted(network, params, y, Tikhonov(0.5), ALPHA, solver=EXACT)
    # The energy is α-strongly convex.
    distance = float(np.sum((np.asarray(out.x[1]).ravel() - expected) ** 2))
    assert 0.5 * ALPHA * distance <= out.gap[1] + 1e-15
    assert (out.gap <= 1e-9 * out.energy).all()


@pytest.mark.parametrize(
    "prior",
    [
        Sum(TotalVariation(), Box()),
        pytest.param(Sum(L1(), NonNegative(), weights=(0.3, 1.0)), marks=pytest.mark.slow),
        pytest.param(Sum(TGV(), NonNegative(), Tikhonov(0.5)), marks=pytest.mark.slow),
        pytest.param(WaveletL1("haar", 1), marks=pytest.mark.slow),
    ],
    ids=lambda p: type(p).__name__,
)
def test_no_input_near_the_result_has_less_energy(prior) -> None:
    network, params, x, y = layer()
    out = inverted(network, params, y, prior, ALPHA, solver=PrimalDual(40000, 1e-7))
    assert out.reasons[0] is liftax.Reason.CERTIFIED
    data = relu_data(params, y[0])
    rng = np.random.default_rng(1)
    joint, true = out.point.x[0], compiled(lambda u: prior.joint(u))(x[0])
    others = [true, *(joint + 0.02 * t * (true - joint) for t in range(1, 9))]
    others += [joint + 0.01 * rng.normal(size=joint.shape) for _ in range(20)]
    values = compiled(jax.vmap(lambda u: prior.value(u)))(np.stack(others))
    for other, value in zip(others, values, strict=True):
        total = data(np.asarray(prior.input(other)))[0] + ALPHA * value
        assert total >= out.energy[0] - out.gap[0]


def test_a_batch_is_its_members_and_a_warm_start_is_short() -> None:
    network, params, _, y = layer()
    solver = PrimalDual(20000, 1e-6)
    both = inverted(network, params, y, TotalVariation(), ALPHA, solver=solver)
    one = inverted(network, params, y[1:], TotalVariation(), ALPHA, solver=solver)
    assert both.iterations[1] == one.iterations[0]
    np.testing.assert_allclose(both.x[1], one.x[0], atol=1e-12)
    again = inverted(network, params, y, TotalVariation(), ALPHA, solver=solver, start=both.point)
    # The point is one before relaxation, so that the first steps are other ones.
    assert (4 * again.iterations <= both.iterations).all(), (again.iterations, both.iterations)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_large_weights_and_a_small_alpha_are_certified(seed: int) -> None:
    """‖W‖² is a hundred thousand times α, and a twelfth as many outputs as pixels."""
    shape = (16, 16, 1)
    rng = np.random.default_rng(seed)
    network, params, _, _ = layer(shape=shape, outputs=21, seed=seed)
    params = {"out": {"weight": 16 * params["out"]["weight"], "bias": jnp.zeros(21)}}
    x = np.where(rng.uniform(size=(1, *shape)) < 0.01, 0.9, 0.3).cumsum(axis=1) / 8
    y = np.asarray(network(params, jnp.asarray(x)))
    out = inverted(network, params, y, TotalVariation(), 0.015, solver=PrimalDual(10000))
    assert out.reasons == (liftax.Reason.CERTIFIED,)
    assert 0 <= out.gap[0] <= 1e-6 * out.energy[0]


@pytest.mark.parametrize("step", [GradientData(), ProximalData()], ids=["gradient", "proximal"])
def test_both_data_steps_have_the_same_optimum(step) -> None:
    network, params, _, y = layer()
    solver = PrimalDual(40000, 1e-8, step)
    out = inverted(network, params, y, TotalVariation(), ALPHA, solver=solver)
    exact = inverted(network, params, y, TotalVariation(), ALPHA, solver=EXACT)
    assert out.reasons == (liftax.Reason.CERTIFIED,) * 2
    np.testing.assert_allclose(out.energy, exact.energy, rtol=2e-8)


def test_the_data_term_is_the_penalty_and_loses_no_digits() -> None:
    """Near σ(z) = 1000 the penalty is ½(u - σ(z))², which a difference of squares does not have."""
    rng = np.random.default_rng(0)
    for name in ("relu", "leaky_relu", "tanh", "softmax"):
        network, params, _, y = layer(name)
        data, z = data_term(network, params), rng.normal(size=10)

        @compiled
        def both(u, z, data=data):
            return data.value(u, z), Bregman().value(data.potential, u, z)

        found, expected = both(y[0], z)
        assert found == pytest.approx(float(expected), rel=1e-9)
    network, params, _, _ = layer(dtype=np.float32)
    u, z = np.array([1000.0, 3.0], np.float32), np.array([1000.01, -1e-3], np.float32)
    exact = 0.5 * float(u[0] - z[0]) ** 2 + 0.5 * 3.0**2 - 3.0 * float(z[1])
    data = data_term(network, params)
    found = compiled(lambda u, z: data.value(u, z))(u, z)
    assert found == pytest.approx(exact, rel=1e-6)


def test_single_precision() -> None:
    network, params, _, y = layer(dtype=np.float32)
    out = inverted(network, params, y, TotalVariation(), ALPHA, solver=PrimalDual(20000, 1e-4))
    assert out.x.dtype == np.float32
    assert out.reasons[0] is liftax.Reason.CERTIFIED


def test_isotropic_variation_is_that_of_images() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4, 2))

    @compiled
    def values(x):
        flat = TotalVariation(image=(5, 4, 2)).value(x.ravel())
        return TotalVariation().value(x), flat, total_variation(x)

    whole, flat, expected = values(x)
    np.testing.assert_allclose([whole, flat], expected, rtol=1e-12)


def test_ramps_have_no_second_order_variation_inside() -> None:
    """With w the gradient of a ramp only its ends count: x = i has ∇x = 1, at last 0."""
    x = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 4, 1))
    w = np.ones((4, 4, 1, 2)) * np.array([1.0, 0.0])
    joint = np.concatenate([x[..., None], w], axis=-1)
    # The last row: w = 1 against 0.
    assert compiled(TGV().value)(joint) == pytest.approx(4.0)
    assert compiled(TotalVariation().value)(x) == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros((2, 3))}, "put the samples along the first axis"),
        ({"y": np.zeros((0, 10))}, r"y is empty, shape \(0, 10\)"),
        ({"y": np.full((2, 10), np.nan)}, r"y\[0\] has values that are not finite"),
        ({"y": np.full((2, 10), -1.0)}, r"y\[0\] has values that ReLU never takes"),
        ({"alpha": 0.0}, "alpha must be positive, got 0.0"),
        ({"alpha": np.ones(3)}, "one for each of the 2 outputs"),
        ({"alpha": "auto"}, r"alpha must be a positive number, .* got 'auto'; discrepancy chooses"),
        (
            {"regulariser": "tv"},
            r"regulariser must be a regulariser such as TotalVariation\(\), got 'tv",
        ),
        ({"regulariser": TotalVariation}, "got the class TotalVariation itself; call it"),
        ({"solver": "primal-dual"}, r"solver must be PrimalDual\(\), .* got 'primal-dual'"),
        ({"params": {}}, "params lack out; they belong to another network"),
        ({"start": np.zeros((1, 4, 4, 1))}, "start has the shape"),
        ({"regulariser": TotalVariation(image=(3, 3, 1))}, "takes images"),
        ({"regulariser": Tikhonov(np.zeros(3))}, "anchor has the shape"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    network, params, _, y = layer()
    given = {"params": params, "y": y, "regulariser": L1(), "alpha": ALPHA, **change}
    with pytest.raises(ValueError, match=message):
        invert(network, **given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PrimalDual(0), "iterations must be positive"),
        (lambda: PrimalDual(tolerance=-1.0), "tolerance must be at least 0"),
        (lambda: Sum(), "give at least one regulariser"),
        (lambda: Sum(L1(), weights=(0.0,)), "weights must be positive"),
        (lambda: TGV(0.0), "second must be positive"),
        (lambda: Box(1.0, 0.0), "low must be less than high"),
    ],
)
def test_bad_records_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "call",
    [
        lambda network, y: landweber(network, {}, y, 0.1, 0.1),
        lambda network, y: linearised_bregman(network, {}, y, L1(), 1.0, 0.1),
        lambda network, y: bregman_iterations(network, {}, y, L1(), 1.0, 0.1),
        lambda network, y: certificate(network, {}, 1.0),
    ],
)
def test_parameters_of_another_network_are_refused(call) -> None:
    network, _, _, y = layer()
    with pytest.raises(ValueError, match="params lack out; they belong to another network"):
        call(network, y)
