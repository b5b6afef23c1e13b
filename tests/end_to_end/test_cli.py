"""The command line: what it writes, and that bad input ends in one line and exit code 2."""

import html.parser
import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import liftax
from liftax.cli import main
from liftax.experiments import EXPERIMENTS
from liftax.importing import save_network
from liftax.training import load_model, save_model


def run(*arguments: object) -> int:
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


TRAINS_NOTHING = ("perceptron-inversion", "pnp")


class Page(html.parser.HTMLParser):
    """Counts what a report holds, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href"} and not str(value).startswith(("data:", "#")):
                self.outside.append(str(value))
            if tag == "img" and name == "alt":
                assert value


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "step-size-stability" else [pytest.mark.slow])
        for name in EXPERIMENTS
    ],
)
def test_quick_experiments_write_everything(name: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("LIFTAX_DATA", str(tmp_path))
    assert run("reproduce", name, "--quick", "--out", tmp_path / "out", "--seed", 5) == 0
    printed = capsys.readouterr().out
    assert f"report: {tmp_path / 'out' / 'report.html'}" in printed
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["seeds"] == [5]
    assert metrics["quick"] is True
    assert {"jax", "python", "liftax"} <= metrics["versions"].keys()
    rows = [
        json.loads(line) for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()
    ]
    assert all("epoch" in row for row in rows)
    written = ["history.jsonl", "metrics.json", "report.html"]
    if name not in TRAINS_NOTHING:
        written.insert(2, "model.safetensors")
        arrays, meta = load_model(tmp_path / "out" / "model.safetensors")
        assert all(np.isfinite(a).all() for a in arrays.values())
        assert meta["experiment"] == name
        assert isinstance(meta["network"], dict | str)
    page = Page()
    page.feed((tmp_path / "out" / "report.html").read_text())
    assert page.tags.count("img") + page.tags.count("svg") >= 1
    assert page.tags.count("table") >= 1
    assert page.outside == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == written


def test_list_and_version(capsys) -> None:
    assert run("reproduce", "--list") == 0
    assert "sparse-autoencoder" in capsys.readouterr().out
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("liftax 0.")
    assert run("--help") == 0
    assert "reproduce" in capsys.readouterr().out


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys) -> None:
    file = tmp_path / "file"
    file.write_text("here")
    cases = {
        ("reproduce", "classificaton"): "did you mean 'classification'",
        ("reproduce",): "name an experiment",
        ("reproduce", "demo", "--out", file / "below"): "out",
    }
    for arguments, expected in cases.items():
        assert run(*arguments) == 2
        shown = capsys.readouterr().err
        assert expected in shown
        assert shown.count("\n") == 1
    assert run("reproduce", "demo", "--seed", "one") == 2
    assert run("reprodce") == 2
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A trained network in a file, and data for it."""
    folder = tmp_path_factory.mktemp("model")
    data = liftax.data.load("digits")
    with jax.numpy_dtype_promotion("standard"):
        result = liftax.fit(
            liftax.mlp([64, 8, 10]), data, liftax.OneSweep(optax.adam(1e-2)), epochs=2
        )
    network = result.energy.network
    save_network(folder / "net.safetensors", network, result.params, {"epochs": 2})
    save_model(folder / "weights.safetensors", result.params, {"epochs": 2})
    x, y = data.test.x, np.asarray(data.test.y)
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez(folder / "flawed.npz", z=x)
    expected = np.mean(np.argmax(np.asarray(result.predict(x)), axis=1) == y)
    (folder / "accuracy").write_text(f"{expected:.6g}")
    return folder


def printed(capsys, *arguments: object) -> str:
    assert run(*arguments) == 0
    return capsys.readouterr().out


def test_info_shows_networks_and_weights(model: Path, capsys) -> None:
    found = json.loads(printed(capsys, "info", model / "net.safetensors", "--json"))
    assert found["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    assert [n["activation"] for n in found["nodes"]] == ["ReLU", "Softmax"]
    assert [n["parents"] for n in found["nodes"]] == [["input"], ["layer1"]]
    assert (found["input"], found["output"]) == ([64], [10])
    assert found["notes"] == {"epochs": 2}
    shown = printed(capsys, "info", model / "net.safetensors")
    assert "layer1  Dense  ReLU        input    8      520" in shown
    assert "epochs  2" in shown
    bare = json.loads(printed(capsys, "info", model / "weights.safetensors", "--json"))
    assert bare["holds"] == "weights without a network"
    assert {"name": "layer1.bias", "shape": [8], "type": "float32"} in bare["arrays"]


@pytest.mark.parametrize("data", ["digits", "data.npz"])
def test_evaluate_measures(model: Path, data: str, capsys) -> None:
    given = model / data if data.endswith("npz") else data
    found = json.loads(
        printed(capsys, "evaluate", model / "net.safetensors", "--data", given, "--json")
    )
    assert found["samples"] == 397
    assert found["loss_name"] == "cross-entropy"
    assert f"{found['accuracy']:.6g}" == (model / "accuracy").read_text()
    assert 0 < found["loss"] < 3


def test_compare_shows_what_differs(tmp_path: Path, capsys) -> None:
    for name, rate, hits in (("a", 0.1, [0.5, 0.7]), ("b", 0.2, [0.75])):
        (tmp_path / name).mkdir()
        record = {
            "experiment": "x",
            "seeds": [0],
            "config": {"rate": rate, "batch": 5},
            "figures": {"ours": {"accuracy": hits, "name": "n"}},
        }
        (tmp_path / name / "metrics.json").write_text(json.dumps(record))
        rows = [{"seed": s, "epoch": e, "loss": 1 / (e + 1)} for s in (0, 1) for e in range(3)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "history.jsonl").write_text(lines)
    out = tmp_path / "page.html"
    folders = (tmp_path / "a", tmp_path / "b")
    found = json.loads(printed(capsys, "compare", *folders, "--json"))
    assert found["settings that differ"] == [{"": "config.rate", "a": 0.1, "b": 0.2}]
    assert found["figures"][0] == {"": "ours / accuracy", "a": "0.6 ± 0.14", "b": "0.75"}
    shown = printed(capsys, "compare", *folders, "--out", out)
    assert "ours / accuracy  0.6 ± 0.14  0.75" in shown
    page = Page()
    page.feed(out.read_text())
    assert (page.tags.count("table"), page.tags.count("svg"), page.outside) == (2, 1, [])


def test_doctor_says_what_is_there(capsys, monkeypatch) -> None:
    monkeypatch.setenv("LIFTAX_DATA", "somewhere")
    monkeypatch.setenv("SECRET", "hidden")
    with jax.numpy_dtype_promotion("standard"):
        text = printed(capsys, "doctor", "--json")
    found = json.loads(text)
    assert found["check"]["trained"] is True
    assert found["packages"]["jax"] == jax.__version__
    assert found["environment"]["LIFTAX_DATA"] == "somewhere"
    assert "hidden" not in text
    assert len(found["devices"]) == 8


def test_doctor_ends_with_1_where_training_fails(capsys, monkeypatch) -> None:
    monkeypatch.setattr("liftax._commands._doctor.load", lambda name: 1 / 0)
    assert run("doctor") == 1
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_commands_on_files_that_are_none(model: Path, tmp_path: Path, capsys) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no arrays")
    net = model / "net.safetensors"
    cases = {
        ("info", tmp_path / "none.safetensors"): "there is no file",
        ("info", text): "no valid model file",
        ("evaluate", model / "weights.safetensors", "--data", "digits"): "without a network",
        ("evaluate", net, "--data", "digit"): "did you mean 'digits'",
        ("evaluate", net, "--data", text): "is no npz file of arrays",
        ("evaluate", net, "--data", model / "flawed.npz"): "holds z; it needs x",
        ("evaluate", net, "--data", tmp_path / "none.npz"): "there is no file",
        ("compare", tmp_path): "compare needs two folders",
        ("compare", tmp_path, model): "holds no finished run",
    }
    for arguments, expected in cases.items():
        assert run(*arguments) == 2
        shown = capsys.readouterr().err
        assert expected in shown
        assert shown.count("\n") == 1


def test_an_interrupted_experiment_says_how_to_go_on(tmp_path: Path, capsys, monkeypatch) -> None:
    def stop(*given, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("liftax.experiments.reproduce", stop)
    assert run("reproduce", "demo", "--out", tmp_path) == 130
    assert capsys.readouterr().err == ("liftax: interrupted; the same command goes on from there\n")
