"""Spectra of blocks against dense linear algebra, theorems, and quadrature."""

import itertools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import Bregman, Lifted, LiftedEnergy, Node, Quadratic
from liftax.affine import Convolution, Dense, Identity, Normalisation, Sum, TransposedDense
from liftax.diagnostics import Spectrum, gauss_newton_spectrum, hessian_spectrum
from liftax.diagnostics._lanczos import lanczos
from liftax.networks import INPUT, Network, chain, mlp
from liftax.penalties import Hinge
from liftax.potentials import ElasticNet
from tests.helpers import compiled, quick

from .graphs import example, moved

KEY = jax.random.key(7)
PENALTIES = {"quadratic": Quadratic(), "lifted": Lifted(), "bregman": Bregman()}


def convolutional() -> Network:
    layers = [(Convolution(2, (2, 2), (2, 1)), "sigmoid"), (Dense(3), "softmax")]
    return chain((4, 3, 1), layers)


def normalised() -> Network:
    """A normalisation, whose parameters hold statistics too, and the same matrix twice."""
    return Network(
        (
            Node("a", Normalisation(), "tanh", INPUT),
            Node("b", Dense(4, use_bias=False), "tanh", "a"),
            Node("c", TransposedDense(3, use_bias=False), "tanh", "b", tied_to="b"),
            Node("out", Sum((Identity(), Dense(3))), "identity", ("a", "c")),
        ),
        (3,),
    )


NETWORKS = {
    "perceptron": lambda: mlp([3, 4, 3], "tanh"),
    "convolutional": convolutional,
    "normalised": normalised,
}


def curvature(energy: LiftedEnergy, name: str, z):
    """D of one sample, by the three formulas."""
    penalty, potential = energy.loss_at(name), energy.network.node(name).potential
    slope = jax.jacfwd(potential.activation)(z).reshape(z.size, z.size)
    if isinstance(penalty, Quadratic):
        return energy.weight(name) * slope.T @ slope
    return energy.weight(name) * (jnp.eye(z.size) if isinstance(penalty, Lifted) else slope)


def jacobian(network: Network, params, states, block: str, node: str):
    """Of a pre-activation in a block, for every sample: (samples, entries, dimensions)."""
    name = block.removesuffix(".u")
    activations = block != name
    flat, unravel = jax.flatten_util.ravel_pytree(
        states[name][0] if activations else trained(params[name])
    )

    def image(flat, sample):
        one = {n: v[None] for n, v in sample.items()}
        if activations:
            one = {**one, name: unravel(flat)[None]}
            return network.preactivation(params, one, node).ravel()
        return network.preactivation(replaced(params, name, unravel(flat)), one, node).ravel()

    if activations:
        at = jax.vmap(lambda u: u.ravel())(states[name])
        return jax.vmap(jax.jacrev(image))(at, states)
    return jax.vmap(jax.jacrev(image), (None, 0))(flat, states)


def dense_gauss_newton(energy: LiftedEnergy, params, states, block: str):
    """The assembled matrices, one for parameters, one for every sample for activations."""
    network, samples = energy.network, len(states[INPUT])
    z = energy.preactivations(params, states)
    total = 0.0
    for node in network.nodes:
        if not block.endswith(".u") and node.owner != block:
            continue
        jacobians = jacobian(network, params, states, block, node.name)
        share = 1.0 if block.endswith(".u") else 1 / samples
        weights = jax.vmap(lambda z, node=node: curvature(energy, node.name, z))(z[node.name])
        total = total + share * jnp.einsum("ska,skl,slb->sab", jacobians, weights, jacobians)
    if not block.endswith(".u"):
        return jnp.sum(total, axis=0)[None]
    name, penalty = block.removesuffix(".u"), energy.penalty
    if isinstance(penalty, Quadratic):
        own = jnp.ones_like(states[name])  # of ½|u|²
    else:  # of φ at u = σ(v): 1/σ'(v)
        v = jax.vmap(jax.vmap(inverse(network, name)))(states[name].reshape(samples, -1))
        slope = jax.vmap(jax.vmap(jax.grad(network.node(name).potential.activation)))(v)
        own = 1 / slope
    own = own.reshape(samples, -1)
    return total + energy.weight(name) * jax.vmap(jnp.diag)(own)


def inverse(network: Network, name: str):
    activation = type(network.node(name).potential).__name__
    return {"Tanh": jnp.arctanh, "Sigmoid": lambda u: jnp.log(u / (1 - u))}[activation]


def trained(theta):
    """Without statistics."""
    if "mean" not in theta:
        return theta
    return {"scale": theta["scale"], "shift": theta["shift"]}


def replaced(params, block: str, new):
    return {**params, block: {**params[block], **new} if "mean" in params[block] else new}


def dense_hessian(energy: LiftedEnergy, params, states, block: str):
    """As above, of the energy's own second derivatives."""
    if block.endswith(".u"):
        name = block.removesuffix(".u")

        def of_sample(sample):
            one = {n: v[None] for n, v in sample.items()}
            flat = sample[name].ravel()
            return jax.hessian(
                lambda u: energy.value(params, {**one, name: u.reshape(one[name].shape)})
            )(flat)

        return jax.vmap(of_sample)(states)
    flat, unravel = jax.flatten_util.ravel_pytree(trained(params[block]))

    def value(flat):
        return energy.value(replaced(params, block, unravel(flat)), states)

    return jax.hessian(value)(flat)[None]


def assert_spectrum(found: Spectrum, matrices) -> None:
    values = np.linalg.eigvalsh(np.asarray(matrices))
    low, high = values.min(), values.max()
    rounding = 1e-10 * np.abs(values).max()
    np.testing.assert_allclose([found.smallest, found.largest], [low, high], atol=rounding, rtol=0)
    if low > 1e-6 * high:
        np.testing.assert_allclose(found.condition, high / low, rtol=1e-6)
    elif low < rounding:
        assert np.isinf(found.condition)


FAST = {("perceptron", "quadratic")}
CASES = [
    pytest.param(*case, marks=[] if case in FAST else [pytest.mark.slow])
    for case in itertools.product(NETWORKS, PENALTIES)
]


@pytest.mark.parametrize("name, penalty", CASES)
def test_spectra_are_those_of_dense_matrices(name: str, penalty: str) -> None:
    network = NETWORKS[name]()
    loss = Quadratic() if name == "normalised" else Bregman()
    node = network.hidden[-1]
    energy = LiftedEnergy(network, PENALTIES[penalty], loss, weights={node: 0.7})
    params, x, y = example(network, samples=6)

    @compiled
    def run(params):
        states = moved(energy, params, x, y)
        found = [
            f(energy, params, x, y, states=states, key=KEY)
            for f in (gauss_newton_spectrum, hessian_spectrum)
        ]
        dense = [
            {block: f(energy, params, states, block) for block in found[0]}
            for f in (dense_gauss_newton, dense_hessian)
        ]
        return found, dense

    found, dense = run(params)
    owners = [n.name for n in network.nodes if n.tied_to is None]
    assert set(found[0]) == set(found[1]) == {*owners, *(f"{n}.u" for n in network.hidden)}
    for spectra, matrices in zip(found, dense, strict=True):
        for block, spectrum in spectra.items():
            assert_spectrum(spectrum, matrices[block])
    if penalty == "quadratic":
        assert float(found[1][owners[0]].smallest) != float(found[0][owners[0]].smallest)


def single(penalty, weight, activation="tanh"):
    """One unit that pays this penalty: its energy and parameters."""
    network = chain((len(weight),), [(Dense(1, use_bias=False), activation)])
    params = {"layer1": {"weight": jnp.asarray(weight)[:, None]}}
    return LiftedEnergy(network, loss=penalty), params


def by_quadrature(scale: float, power: int) -> float:
    """The matrix E σ'(w·x)^p x xᵀ is a I + (b - a) w wᵀ/|w|²: the condition is a/b."""
    g = np.linspace(-12, 12, 20001)
    weight = np.exp(-g * g / 2) * np.cosh(scale * g) ** (-2.0 * power)
    return np.sum(weight) / np.sum(weight * g * g)


SCALES = np.array([0.5, 1.0, 2.0, 4.0])
TABLE = {"quadratic": (2.1, 5.7, 17.9, 77.0), "bregman": (1.7, 3.1, 8.1, 29.0)}
POWER = {"quadratic": 2, "bregman": 1}


def unit_conditions(penalty: str, samples: int) -> np.ndarray:
    """Condition numbers of a tanh unit of 30 standard normal inputs, |w| being the scale."""
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(30)
    direction /= np.linalg.norm(direction)

    @compiled
    def run(x):
        energy, _ = single(PENALTIES[penalty], direction)
        y = jnp.zeros((len(x), 1))

        def condition(scale):
            params = single(PENALTIES[penalty], scale * direction)[1]
            found = gauss_newton_spectrum(energy, params, x, y, key=KEY)
            return found["layer1"].condition

        return jax.vmap(condition)(jnp.asarray(SCALES))

    return np.asarray(run(rng.standard_normal((samples, 30))))


@pytest.mark.parametrize("penalty", quick(TABLE, "quadratic"))
def test_condition_of_a_tanh_unit_grows_with_its_weight(penalty: str) -> None:
    """Published figures, of so many samples."""
    np.testing.assert_allclose(unit_conditions(penalty, 4_000), TABLE[penalty], rtol=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", TABLE)
def test_condition_of_a_tanh_unit_tends_to_a_ratio_of_integrals(penalty: str) -> None:
    """The extreme eigenvalues are inflated by sampling: by a few percent at 100,000."""
    exact = np.array([by_quadrature(scale, POWER[penalty]) for scale in SCALES])
    many = unit_conditions(penalty, 100_000)
    np.testing.assert_allclose(many, exact, rtol=0.08)
    assert np.all(many > exact)


def test_relu_has_the_same_matrix_with_both_penalties_and_no_rank_if_dead() -> None:
    """Where the unit is active both weigh with 1; `Lifted` weighs everywhere with 1."""
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((40, 5)), rng.standard_normal(5)
    y = jnp.zeros((40, 1))

    @compiled
    def run(x):
        found = {}
        for name, penalty in PENALTIES.items():
            energy, params = single(penalty, weight, "relu")
            found[name] = gauss_newton_spectrum(energy, params, x, y, key=KEY)["layer1"]
        energy, params = single(Bregman(), weight, "relu")
        dead = -jnp.abs(x) * jnp.sign(jnp.asarray(weight))
        return found, gauss_newton_spectrum(energy, params, dead, y, key=KEY)["layer1"]

    found, dead = run(x)
    active = x[x @ weight > 0]
    assert_spectrum(found["bregman"], (active.T @ active / 40)[None])
    assert_spectrum(found["quadratic"], (active.T @ active / 40)[None])
    assert_spectrum(found["lifted"], (x.T @ x / 40)[None])
    assert dead.largest == dead.smallest == 0
    assert np.isinf(dead.condition)


@pytest.mark.slow
def test_fewer_samples_than_inputs_have_no_condition_unless_regularised() -> None:
    """A ridge moves the whole spectrum."""
    network = chain((9,), [(Dense(2, use_bias=False), "identity")])
    params, x, y = example(network, samples=4)
    ridged = LiftedEnergy(network, regularisers={"layer1": ElasticNet(0.0, 0.3)})

    @compiled
    def run(params):
        return [
            f(energy, params, x, y, key=KEY)["layer1"]
            for energy in (LiftedEnergy(network), ridged)
            for f in (gauss_newton_spectrum, hessian_spectrum)
        ]

    plain, same, ridge, both = run(params)
    for found in (plain, same):
        assert found.smallest == 0
        assert np.isinf(found.condition)
    for found in (ridge, both):
        np.testing.assert_allclose(found.smallest, 0.3)
        np.testing.assert_allclose(found.largest, plain.largest + 0.3)


@pytest.mark.slow
def test_fewer_steps_see_less_of_the_spectrum() -> None:
    """Ritz values lie inside the spectrum and spread with the steps (Cauchy interlacing)."""
    energy = LiftedEnergy(mlp([6, 7, 4], "tanh"), Quadratic())
    params, x, y = example(energy.network, samples=30)

    @compiled
    def run(params):
        counts = (1, 10, 49)
        return [
            hessian_spectrum(energy, params, x, y, blocks=["layer1"], steps=n, key=KEY)["layer1"]
            for n in counts
        ]

    found = run(params)
    smallest = np.array([s.smallest for s in found])
    largest = np.array([s.largest for s in found])
    assert smallest[0] == largest[0]
    assert np.all(np.diff(smallest) < 0)
    assert np.all(np.diff(largest) > -1e-12)


def test_other_losses_count_with_their_second_derivative() -> None:
    """A hinge is curved between its corners only."""
    network = chain((3,), [(Dense(4), "identity")])
    energy = LiftedEnergy(network, loss=Hinge(10.0))
    params, x, y = example(network, samples=8)

    @compiled
    def run(params):
        return [
            f(energy, params, x, jnp.argmax(y, axis=1), key=KEY)["layer1"]
            for f in (gauss_newton_spectrum, hessian_spectrum)
        ]

    found, same = run(params)
    design = np.hstack([x, np.ones((8, 1))])
    z = design @ np.vstack([params["layer1"]["weight"], params["layer1"]["bias"][None]])
    margin = 1 - (2 * np.asarray(y) - 1) * z
    inside = ((margin > 0) & (margin < 10)) / 10
    matrices = np.einsum("sa,sk,sb->kab", design, inside, design) / 8
    assert_spectrum(found, matrices)
    assert_spectrum(same, matrices)


def test_single_precision_stays() -> None:
    network = mlp([3, 4, 2])
    x, y = np.ones((5, 3), np.float32), np.zeros(5, np.int32)
    energy = LiftedEnergy(network)

    @compiled
    def run(key):
        params = network.init(key, jnp.float32)
        return gauss_newton_spectrum(energy, params, x, y, blocks=["layer1.u"], key=KEY)

    found = run(KEY)
    assert list(found) == ["layer1.u"]
    assert {v.dtype for v in found["layer1.u"]} == {np.dtype(np.float32)}
    assert found["layer1.u"].smallest >= 0.99


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_multiple_eigenvalues_are_found_in_every_sample(dtype) -> None:
    """I + W Wᵀ of low rank exhausts its Krylov space after rank + 1 steps, at rounding errors."""
    low = np.random.default_rng(0).normal(size=(24, 10)) / 3
    matrix = jnp.asarray(np.eye(24) + low @ low.T, dtype)

    @compiled
    def run(like):
        return lanczos(lambda v: v @ matrix, like, 24, KEY)

    smallest, largest = run(jnp.zeros((200, 24), dtype))
    exact = np.linalg.eigvalsh(np.eye(24) + low @ low.T)
    rounding = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(smallest, exact[0], rtol=rounding)
    np.testing.assert_allclose(largest, exact[-1], rtol=rounding)


def test_wrong_arguments_are_named() -> None:
    energy = LiftedEnergy(mlp([3, 4, 2]))
    params, x, y = example(energy.network)
    with pytest.raises(ValueError, match=r"blocks: there is no 'layer2.u'; choose among layer1, "):
        hessian_spectrum(energy, params, x, y, blocks=["layer2.u"], key=KEY)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        gauss_newton_spectrum(energy, params, x, y, steps=0, key=KEY)
