"""The command line: what it writes, and that bad input ends in one line and exit code 2."""

import html.parser
import json
from pathlib import Path

import numpy as np
import pytest

from liftax.cli import main
from liftax.experiments import EXPERIMENTS
from liftax.training import load_model


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
    page = Page()
    page.feed((tmp_path / "out" / "report.html").read_text())
    assert page.tags.count("img") >= 1
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
