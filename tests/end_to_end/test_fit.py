"""`fit`: what it returns, that it repeats, and what it says of bad input."""

import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax import Checkpoints, Reason, fit
from liftax.data import Dataset, Split
from liftax.potentials import SoftThreshold
from liftax.training._engine import Carry, Problem, Span, advance, start
from tests.helpers import quick


@pytest.fixture(scope="module")
def digits() -> Split:
    split = liftax.data.load("digits")
    assert split.train.y is not None
    assert split.test.y is not None
    return Split(
        Dataset(split.train.x[:600], split.train.y[:600]),
        Dataset(split.test.x[:101], split.test.y[:101]),
    )


NETWORK = liftax.mlp([64, 16, 10])


def sweep(rate: float = 1e-2) -> liftax.OneSweep:
    return liftax.OneSweep(optax.adam(rate))


METHODS = {
    "one sweep": sweep(),
    "back-propagation": liftax.BackPropagation(optax.adam(1e-2)),
    "implicit": liftax.ImplicitSGD(1.0, inner=3),
    "bcd": liftax.BlockCoordinateDescent(),
}


@pytest.mark.parametrize("name", quick(METHODS, "one sweep", "bcd"))
def test_every_method_learns_and_repeats_to_the_bit(name: str, digits: Split) -> None:
    epochs = 60 if name == "bcd" else 5
    runs = [
        fit(NETWORK, digits, METHODS[name], epochs=epochs, batch_size=32, seed=3, progress=False)
        for _ in range(2)
    ]
    first, last = runs[0].history.rows[0], runs[0].history.last
    assert last["validation_accuracy"] > (0.4 if name == "bcd" else 0.8)
    assert last["validation_loss"] < first["validation_loss"]
    assert runs[0].reason is Reason.COMPLETED
    assert str(runs[0].reason) == "all epochs were run"
    assert runs[0].steps == (epochs if name == "bcd" else epochs * (600 // 32))
    for a, b in zip(jax.tree.leaves(runs[0].params), jax.tree.leaves(runs[1].params), strict=True):
        np.testing.assert_array_equal(a, b)
    gap = last["gap/layer1"]
    assert gap == 0 if name == "back-propagation" else gap > 0
    # The history's figures against an evaluation from outside.
    scores = np.asarray(runs[0].predict(digits.test.x))
    accuracy = np.mean(scores.argmax(1) == digits.test.y)
    assert last["validation_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    picked = scores[np.arange(101), digits.test.y]
    assert last["validation_loss"] == pytest.approx(-np.log(picked).mean(), rel=1e-4)


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_an_epoch_is_one_program_without_transfers(digits: Split) -> None:
    """One compilation serves every span of steps, and nothing moves to or from the host in it."""
    x, y = jnp.asarray(digits.train.x.reshape(-1, 64)), jnp.asarray(digits.train.y)
    problem = Problem(liftax.LiftedEnergy(NETWORK), sweep(), x, y, None)
    params = NETWORK.init(jax.random.key(0))
    carry: Carry = start(problem, params, 50, jax.random.key(1))
    spans = [
        Span(
            jnp.arange(600),
            jax.random.key(2),
            jnp.asarray(0, jnp.int32),
            jnp.asarray(a, jnp.int32),
            jnp.asarray(b, jnp.int32),
            50,
        )
        for a, b in ((0, 0), (0, 5), (5, 12))
    ]
    carry = advance((problem, spans[0]), carry)
    records = Records()
    logging.getLogger("jax").addHandler(records)
    with jax.transfer_guard("disallow"), jax.log_compiles():
        for span in spans[1:]:
            carry = advance((problem, span), carry)
    logging.getLogger("jax").removeHandler(records)
    assert not [message for message in records.messages if "Compiling" in message]
    assert np.isfinite(float(carry.totals.loss))


def test_a_transform_is_new_every_step_and_repeats_with_the_seed(digits: Split) -> None:
    """With a rate of zero a step's loss is that of the transformed batch."""
    network = liftax.mlp([64, 10], output="identity")
    x = np.zeros((40, 64), np.float32)
    y = np.zeros((40, 10), np.float32)

    def noise(key, x, y):
        return x + jax.random.normal(key, x.shape, x.dtype), y

    def losses(seed: int) -> list[float]:
        method = liftax.BackPropagation(optax.sgd(0.0))
        result = fit(
            network,
            (x, y),
            method,
            epochs=3,
            batch_size=20,
            seed=seed,
            transform=noise,
            progress=False,
            params=network.init(jax.random.key(5)),
        )
        assert result.history.rows[0]["energy"] == 0  # the data are as they were
        return [row["loss"] for row in result.history.rows[1:]]

    first, second, other = losses(0), losses(0), losses(1)
    assert first == second
    assert len({*first, *other}) == 6


def test_full_batches_are_not_transformed(digits: Split) -> None:
    with pytest.raises(ValueError, match="transform: BlockCoordinateDescent keeps"):
        fit(
            NETWORK,
            digits,
            liftax.BlockCoordinateDescent(),
            transform=lambda key, x, y: (x, y),
        )


def test_a_run_that_diverges_says_so(digits: Split) -> None:
    method = liftax.BackPropagation(optax.sgd(1e6))
    network = liftax.mlp([64, 16, 16, 10], output="identity")
    targets = np.eye(10)[digits.train.y]
    result = fit(network, (digits.train.x, targets), method, epochs=9, progress=False)
    assert result.reason is Reason.NOT_FINITE
    assert len(result.history) < 9


def test_a_callback_stops_the_run(digits: Split) -> None:
    seen = []

    def stop(history, params):
        return history.last["epoch"] == 2

    def watch(history, params):
        seen.append(float(np.abs(params["layer1"]["weight"]).max()))

    result = fit(NETWORK, digits, sweep(), callback=[stop, watch], progress=False)
    assert len(set(seen)) == 2
    assert result.reason is Reason.STOPPED
    assert result.history.last["epoch"] == 2


def test_targets_default_to_the_inputs_and_parameters_survive(digits: Split) -> None:
    network = liftax.autoencoder([64, 16, 8, 16, 64])
    energy = liftax.LiftedEnergy(network, activity={"layer2": SoftThreshold(0.01)})
    params = network.init(jax.random.key(0))
    result = fit(energy, Dataset(digits.train.x), sweep(), epochs=2, params=params, progress=False)
    assert result.history["mse"][-1] < result.history["mse"][1]
    assert np.isfinite(params["layer1"]["weight"]).all()
    with pytest.raises(KeyError, match="no column 'accuracy'; it has"):
        result.history["accuracy"]


def test_the_bar_shows_on_request_and_not_elsewhere(digits: Split, capsys) -> None:
    fit(NETWORK, digits, sweep(), epochs=1)
    silent = capsys.readouterr()
    assert silent.out == silent.err == ""
    fit(NETWORK, digits, sweep(), epochs=1, progress=True)
    shown = capsys.readouterr().out
    assert "OneSweep" in shown
    assert "accuracy" in shown


def test_bad_input_is_named(digits: Split, tmp_path) -> None:
    x, y = np.array(digits.train.x), np.array(digits.train.y)

    def run(data, network=NETWORK, **settings):
        fit(network, data, sweep(), epochs=1, progress=False, **settings)

    with pytest.raises(ValueError, match=r"examples of shape \(8, 7\), the network takes \(64,\)"):
        run((x[:, :, :7], y))
    with pytest.raises(ValueError, match="y must have one entry per sample"):
        run((x, y[:-1]))
    with pytest.raises(ValueError, match=r"must be labels in 0 \.\.\. 9, got 10 at index 4"):
        run((x, np.where(np.arange(600) == 4, 10, y)))
    broken = x.copy()
    broken[3, 1, 1] = np.nan
    with pytest.raises(ValueError, match="x has 1 entries that are NaN or infinite"):
        run((broken, y))
    with pytest.raises(ValueError, match="validation: inputs have examples of shape"):
        run((x, y), validation=(x[:, :2], y))
    with pytest.raises(ValueError, match="outside the range of the output activation Sigmoid"):
        run((x, 3 * x[:, 0]), liftax.mlp([64, 8], output="sigmoid"))
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        run((x, y), batch_size=0)
    with pytest.raises(ValueError, match="every must be at least 1 step, got 0"):
        Checkpoints(tmp_path, every=0)
    occupied = tmp_path / "file"
    occupied.write_text("here")
    with pytest.raises(ValueError, match=r"checkpoints\.folder"):
        run((x, y), checkpoints=Checkpoints(occupied))


def test_checkpoints_of_another_run_or_damaged_ones_are_named(digits: Split, tmp_path) -> None:
    saved = Checkpoints(tmp_path, resume=True)
    fit(NETWORK, digits, sweep(), epochs=1, checkpoints=saved, progress=False)
    with pytest.raises(ValueError, match="another run"):
        fit(NETWORK, digits, sweep(), epochs=2, seed=1, checkpoints=saved, progress=False)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="resume"):
        fit(NETWORK, digits, sweep(), epochs=2, checkpoints=saved, progress=False)


def test_rounded_products(digits: Split, tmp_path: Path) -> None:
    plain = fit(NETWORK, digits, sweep(), epochs=2)
    places = Checkpoints(tmp_path)
    rounded = fit(NETWORK, digits, sweep(), epochs=2, products=jnp.bfloat16, checkpoints=places)
    assert rounded.history.last["loss"] != plain.history.last["loss"]
    assert abs(rounded.history.last["loss"] - plain.history.last["loss"]) < 0.01
    assert jax.tree.leaves(rounded.params)[0].dtype == jnp.float32
    with pytest.raises(ValueError, match="another run"):
        fit(NETWORK, digits, sweep(), epochs=3, checkpoints=Checkpoints(tmp_path, resume=True))


def test_a_result_goes_on_where_it_ended(digits: Split) -> None:
    """Full batches: 2 and 2 steps are 4; with the parameters alone Adam forgets its moments."""
    method = liftax.BlockCoordinateDescent()
    whole = fit(NETWORK, digits, method, epochs=4, progress=False)
    half = fit(NETWORK, digits, method, epochs=2, progress=False)
    again = fit(NETWORK, digits, method, epochs=2, params=half, progress=False)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(a, b)
    forgot = fit(NETWORK, digits, method, epochs=2, params=half.params, progress=False)
    assert not np.array_equal(forgot.params["layer1"]["weight"], again.params["layer1"]["weight"])
    with pytest.raises(ValueError, match="params: the state of the earlier result is none of this"):
        fit(NETWORK, digits, sweep(), params=half, progress=False)


@pytest.mark.parametrize("stream", [None, pytest.param(150, marks=pytest.mark.slow)])
def test_rows_every_three_epochs(digits: Split, stream: int | None) -> None:
    """The steps stay as they are, and so do the rows that there are."""
    given = np.asarray(digits.train.x[:300]), np.asarray(digits.train.y)[:300]
    seen: list[int] = []

    def train(report: int) -> liftax.Result:
        return fit(
            liftax.mlp([64, 8, 10]),
            given,
            liftax.BlockCoordinateDescent(),
            epochs=7,
            report=report,
            stream=stream,
            progress=False,
            callback=lambda history, params: seen.append(history.last["epoch"]),
        )

    whole, found = train(1), train(3)
    assert seen == [*range(1, 8), 3, 6, 7]
    assert found.history["epoch"].tolist() == [0, 3, 6, 7]
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    for name in ("loss", "accuracy", "energy"):
        np.testing.assert_allclose(found.history[name], whole.history[name][[0, 3, 6, 7]], 1e-5)
