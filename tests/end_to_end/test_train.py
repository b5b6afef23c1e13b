"""Runs from files of settings: what they write, what they refuse, how they go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from liftax._commands._networks import ACTIVATIONS, NETWORKS
from liftax._commands._plan import read_plan
from liftax._commands._settings import read_settings
from liftax.cli import main
from liftax.importing import load_network
from liftax.training import load_model, measure
from tests.helpers import quick

TABLES = {
    "data": 'name = "digits"\nsamples = 150',
    "network": 'kind = "mlp"\nhidden = [8]',
    "training": "epochs = 2\nbatch_size = 50",
}


def toml(**tables: str) -> str:
    return "\n".join(f"[{name}]\n{lines}" for name, lines in {**TABLES, **tables}.items())


def run(*arguments: object) -> int:
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_example_runs_and_can_be_compared(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", "--example") == 0
    Path("config.toml").write_text(capsys.readouterr().out)
    assert run("train", "config.toml", "--json") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.err.count("epoch ") == 10
    folder = Path("runs/config")
    names = ["checkpoints", "config.toml", "history.jsonl", "metrics.json", "model.safetensors"]
    names += ["pictures.npz", "report.html", "status.json"]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert (folder / "config.toml").read_text() == Path("config.toml").read_text()
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(11))
    assert found["figures"]["validation_accuracy"] == rows[-1]["validation_accuracy"] > 0.9
    assert json.loads((folder / "status.json").read_text())["state"] == "complete"
    network, params = load_network(folder / "model.safetensors")
    plan = read_plan("config.toml")
    assert plan.samples.validation is not None
    measured = measure(network, params, plan.samples.validation)
    assert measured["accuracy"] == pytest.approx(rows[-1]["validation_accuracy"], abs=1e-6)
    assert run("train", "config.toml") == 2
    assert "holds a run; go on with it by --resume" in capsys.readouterr().err
    assert run("train", "config.toml", "--resume", "--quiet") == 0
    assert run("compare", folder, folder, "--json") == 0


BAD = {
    'data: name = "digit"': "did you mean 'digits'",
    'data: nmae = "digits"': "needs the key 'name', such as name = \"digits\"; there is 'nmae'",
    'data: name = "digits"\nsampels = 3': "data.sampels (line 3) is not known, did you mean",
    'data: name = "digits"\nsamples = 0': "data.samples (line 3) must be a whole number of at",
    'data: name = "digits"\nsamples = true': "data.samples (line 3) must be a whole number",
    'data: name = "digits"\ntrain = "x.npz"': "both name and train",
    'data: train = "none.npz"': "there is no file 'none.npz'",
    'data: train = {x = "none.npy"}': "data.train.x: there is no file 'none.npy'",
    'data: train = {y = "y.npy"}': "data.train (line 2) needs the key 'x'",
    'data: name = "digits"\nshape = [7, 7]': "data.shape: [7, 7] has 49 entries",
    'network: kind = "mpl"': "network.kind (line 5) 'mpl' is not known, did you mean 'mlp'",
    'network: kind = "mlp"': "network (line 4) needs the key 'hidden', such as hidden = [128]",
    'network: kind = "mlp"\nhiden = [8]': "such as hidden = [128]; there is 'hiden'",
    'network: kind = "mlp"\nhidden = [8]\nwidth = 3': "network.width (line 7) is not known",
    'network: kind = "mlp"\nhidden = [0]': "network.hidden[0] must be a whole number of at least 1",
    'network: kind = "mlp"\nhidden = [8]\nactivation = "rleu"': "did you mean 'relu'",
    'network: kind = "mlp"\nhidden = [8]\nactivation = {kind = "relu", slope = 1.0}': (
        "network.activation.slope is not known"
    ),
    'network: kind = "mlp"\nhidden = [8]\nactivation = {kind = "soft_threshold", threshold = -1}': (
        "network.activation (line 7) is refused: threshold must be at least 0"
    ),
    'network: kind = "file"\npath = "none.safetensors"': "there is no file 'none.safetensors'",
    "network: kind = 3": "network.kind (line 5) 3 is not known (known: mlp",
    'energy: penalty = "bergman"': "energy.penalty (line 11) 'bergman' is not known, did you mean",
    "energy: weights = {layer9 = 1.0}": "energy.weights.layer9 is no node of the network, did you",
    "energy: activity = {layer2 = 1.0}": "energy (line 10) is refused: activity names 'layer2'",
    'method: kind = "onesweep"': "did you mean 'one-sweep'",
    'method: kind = "one-sweep"\nstep_size = "big"': "method.step_size (line 12) must be a number",
    'method: kind = "one-sweep"\nnudge = nan': "method.nudge (line 12) must be above 0, got nan",
    'method: kind = "implicit-sgd"\n[optimiser]\nkind = "adam"': "implicit-sgd takes none",
    'optimiser: kind = "adamm"': "optimiser.kind (line 11) 'adamm' is not known",
    'optimiser: kind = "adam"\nlearning_rate = 0.1': "optimiser.learning_rate (line 12) is not",
    'optimiser: kind = "sgd"\nnesterov = 1': "optimiser.nesterov (line 12) must be true or false",
    'optimiser: kind = "sgd"\nschedule = {kind = "cosine", warmup = 9}': "warms up for 9 epochs",
    "training: epochs = 1.5": "training.epochs (line 8) must be a whole number of at least 1",
    'training: products = "float8"': "training.products (line 8) 'float8' is not known",
    'stopping: column = "validation_los"': "is no column of this run's history, did you mean 'val",
    "best: row = 1": "best.row (line 11) is not known, did you mean 'column'",
    "traning: epochs = 2": "traning (line 10) is not known, did you mean 'training'",
    "network: kind = ": "is no TOML file: Invalid value (at line 5, column 8)",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_one_line(case: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, lines = case.split(": ", 1)
    Path("c.toml").write_text(toml(**{name: lines}))
    assert run("train", "c.toml") == 2
    shown = capsys.readouterr().err
    assert BAD[case] in shown
    assert shown.count("\n") == 1
    assert os.listdir() == ["c.toml"]


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    for content, reason in (
        (b"\xff\xfe", "no TOML file"),
        (b"a = " + b"[" * 5000, "no TOML file"),
        (b"#" * (2**20 + 1), "larger than"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            read_settings(file)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_settings(tmp_path / "none.toml")


def test_own_files_and_held_out_samples(tmp_path: Path, monkeypatch) -> None:
    """Arrays of npy files: bytes become [0, 1], a tenth is held out, the rest are the others."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4), dtype=np.uint8)
    x[:, 0, 0] = np.arange(50)
    np.save("x.npy", x)
    np.save("y.npy", np.arange(50) % 3)
    files = 'train = {x = "x.npy", y = "y.npy"}\nfraction = 0.1\ndivide = 255\nshape = [4, 4, 1]'
    Path("c.toml").write_text(toml(data=files, network='kind = "cnn"\nfeatures = [2]\ndense = []'))
    found = read_plan("c.toml").samples
    assert found.validation is not None
    assert (len(found.train), len(found.validation)) == (45, 5)
    both = np.concatenate([found.train.x, found.validation.x])
    order = np.argsort(both[:, 0, 0, 0])
    assert np.allclose(both[order, ..., 0] * 255, x)
    assert found.shapes.outputs == 3
    assert both.dtype == np.float32


def test_the_best_epoch_is_kept_and_stopping_stops(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A step that is too large: the loss rises at once.
    tables = {
        "optimiser": 'kind = "sgd"\nrate = 3.0',
        "training": "epochs = 9\nbatch_size = 50",
        "stopping": "patience = 2",
        "best": 'column = "validation_loss"',
    }
    Path("c.toml").write_text(toml(**tables))
    assert run("train", "c.toml", "--out", "out", "--quiet") == 0
    metrics = json.loads(Path("out/metrics.json").read_text())
    rows = [json.loads(line) for line in Path("out/history.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows[1:]]
    assert metrics["reason"] == "a callback asked to stop"
    assert len(losses) < 9
    assert metrics["figures"]["epoch"] == 1 + int(np.argmin(losses)) < len(losses)
    network, params = load_network("out/model.safetensors")
    validation = read_plan("c.toml").samples.validation
    assert validation is not None
    assert measure(network, params, validation)["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_a_diverging_run_ends_with_1(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    tables = {"data": 'name = "digits"\nsamples = 150\ntargets = "inputs"'}
    optimiser = 'kind = "sgd"\nrate = 1e30'
    Path("c.toml").write_text(toml(**tables, optimiser=optimiser))
    assert run("train", "c.toml", "--out", "out", "--json") == 1
    assert "infinite or NaN" in json.loads(capsys.readouterr().out)["reason"]
    assert not Path("out/model.safetensors").exists()


def start(*arguments: str) -> subprocess.Popen[str]:
    # Shells start background jobs with Ctrl-C switched off, which children inherit.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from liftax.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "train", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stopped_run_goes_on_to_the_same_bits(number: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(toml(training="epochs = 300\nbatch_size = 50"))
    process = start("c.toml", "--out", "out")
    assert process.stderr is not None
    for _ in range(20):
        process.stderr.readline()
    process.send_signal(number)
    _, shown = process.communicate(timeout=200)
    assert process.returncode == 130
    again = re.search(r"go on by: liftax train (.*)$", shown)
    assert again is not None
    assert json.loads(Path("out/status.json").read_text())["state"] == "interrupted"
    begin = len(Path("out/history.jsonl").read_text().splitlines())
    assert 20 <= begin < 301
    resumed = start(*again[1].split(), "--quiet")
    resumed.communicate(timeout=200)
    assert resumed.returncode == 0
    whole = start("c.toml", "--out", "whole", "--quiet")
    whole.communicate(timeout=200)
    assert whole.returncode == 0
    arrays, _ = load_model("out/model.safetensors")
    expected, _ = load_model("whole/model.safetensors")
    assert all(np.array_equal(arrays[name], expected[name]) for name in expected)


CODER = 'name = "digits"\nsamples = 100\ntargets = "inputs"'
GOOD = {
    "autoencoder": {
        "data": f"{CODER}\nnoise = 0.1",
        "network": 'kind = "autoencoder"\nhidden = [9, 5, 9]\ncode = {kind = "soft_threshold"}',
        "energy": 'activity = {layer2 = 0.05}\nregularisers = {all = "ball"}',
    },
    "cnn": {
        "network": 'kind = "cnn"\nfeatures = [2]\ndense = [4]\nkernel = [3, 3]',
        "method": 'kind = "back-propagation"',
        "optimiser": 'kind = "sgd"\nclip = 1.0\nschedule = {kind = "steps", epochs = [1]}',
    },
    "lenet": {
        "data": 'train = {x = "x.npy", y = "y.npy"}',
        "network": 'kind = "lenet"\nactivation = "tanh"',
    },
    "resnet": {
        "network": 'kind = "resnet"\nwidth = 2\nblocks = 1\ntied = true',
        "method": 'kind = "implicit-sgd"\ninner = 2',
    },
    "gradient-resnet": {
        "data": CODER,
        "network": 'kind = "gradient-resnet"\nhidden = 3\nblocks = 1',
    },
    "transformer": {
        "network": 'kind = "transformer"\nwidth = 4\nblocks = 1',
        "method": 'kind = "one-sweep"\nimplicit = 10.0\nchunks = 2',
    },
    "lista": {"data": CODER, "network": 'kind = "lista"\niterations = 2'},
    "mlp": {
        "network": 'kind = "mlp"\nhidden = [4]\nsplit = true',
        "method": 'kind = "block-coordinate-descent"\nmultipliers = "admm"',
        "energy": 'penalty = "quadratic"',
    },
    "saga": {
        "method": 'kind = "piag"\ndelay = 1\nof = "contrastive"',
        "energy": 'loss = {kind = "hinge", smoothing = 0.2}',
        "optimiser": 'kind = "adam"\naccumulate = 2\nschedule = {kind = "linear"}',
    },
    "stream": {"training": 'epochs = 1\nstream = 100\nbatch_size = 50\nproducts = "bfloat16"'},
} | {
    name: {"data": CODER, "network": f'kind = "{name}"\nfeatures = 2\niterations = 1'}
    for name in ("ddfb", "ddifb", "dcp", "dscp")
}


@pytest.mark.parametrize("name", quick(GOOD))
def test_every_kind_trains(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).random((60, 28, 28), np.float32))
    np.save("y.npy", np.arange(60) % 10)
    Path("c.toml").write_text(toml(**{"training": "epochs = 1\nbatch_size = 50", **GOOD[name]}))
    assert run("train", "c.toml", "--out", "out", "--quiet") == 0
    rows = [json.loads(line) for line in Path("out/history.jsonl").read_text().splitlines()]
    assert np.isfinite(rows[-1]["loss"])
    assert Path("out/report.html").read_text().count("<svg") >= 2


def test_every_kind_of_network_is_tried() -> None:
    assert {*NETWORKS} <= GOOD.keys()
    assert {"relu", "soft_threshold"} <= ACTIVATIONS.keys()


def test_a_run_is_not_begun_twice(tmp_path: Path, monkeypatch, capsys) -> None:
    """A finished run of other settings goes on: more epochs are added."""
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(toml())
    assert run("train", "c.toml", "--out", "out", "--quiet") == 0
    Path("c.toml").write_text(toml(training="epochs = 3\nbatch_size = 50"))
    begin = time.time()
    assert run("train", "c.toml", "--out", "out", "--quiet", "--resume") == 0
    assert json.loads(Path("out/status.json").read_text())["written"] > begin
    rows = Path("out/history.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [0, 1, 2, 3]
    Path("c.toml").write_text(toml(network='kind = "mlp"\nhidden = [9]'))
    assert run("train", "c.toml", "--out", "out", "--quiet", "--resume") == 2
    assert "is of another run" in capsys.readouterr().err
