"""Pages made anew from folders, and the parts that pages are made of."""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftax._commands._page import curves
from liftax._commands._report import report
from liftax._report import Chart, Line, Report, png, signed
from liftax._report._chart import limits, ticks
from liftax.cli import main
from liftax.experiments._pictures import busiest, details


def run(*arguments: object) -> int:
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_read_by_another_library(channels: int) -> None:
    picture = np.random.default_rng(0).uniform(-0.2, 1.2, (5, 7, channels))
    read = np.asarray(Image.open(io.BytesIO(png(picture))))
    assert np.array_equal(read.reshape(picture.shape), np.round(255 * np.clip(picture, 0, 1)))


def test_signed_pictures_are_white_where_zero() -> None:
    colours = signed(np.array([[[[0.0], [2.0], [-1.0]]]]))
    assert np.allclose(colours[0, 0, 0], 1)
    assert colours[0, 0, 1, 0] > colours[0, 0, 1, 2]  # red
    assert colours[0, 0, 2, 2] > colours[0, 0, 2, 0]  # blue
    assert np.array_equal(signed(np.zeros((1, 2, 2, 1))), np.ones((1, 2, 2, 3)))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 3e4])
def test_ticks_lie_inside_and_are_few(scale: float, log: bool) -> None:
    for width in (1.001, 1.7, 9.5, 40.0, 1e3, 1e9):
        low, high = limits([scale, scale * width], log)
        assert low < scale <= scale * width < high
        found = ticks(low, high, log)
        assert 2 <= len(found) <= 12
        assert all(low * (1 - 1e-6) <= t <= high * (1 + 1e-6) for t in found)


def test_data_cannot_leave_their_place(tmp_path: Path) -> None:
    """Labels and captions are text, also inside the numbers that the script reads."""
    evil = "</script><img src=x onerror=alert(1)>&\"'"
    page = Report(evil, evil)
    page.charts([Chart([Line(evil, [0, 1], [1, np.nan])], evil, evil, title=evil)], evil)
    page.gallery({evil: np.zeros((1, 2, 2, 1))}, evil, name=evil)
    page.table([evil], [[evil]], evil)
    page.details(evil, evil)
    page.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in text
    assert text.count("</script>") == 2
    assert "script-src 'sha256-" in text


def test_curves_begin_anew_where_epochs_fall() -> None:
    rows = [{"epoch": e, "loss": float(e), "seed": s} for s in (0, 1) for e in range(3)]
    found = list(curves([*rows, {"epoch": "x"}, {"loss": 1.0}], "loss"))
    assert [label for label, _, _ in found] == ["seed 0", "seed 1"]
    assert [epochs for _, epochs, _ in found] == [[0, 1, 2]] * 2


def test_reports_of_folders(tmp_path: Path, capsys) -> None:
    trained, studied = tmp_path / "trained", tmp_path / "studied"
    for folder in (trained, studied):
        folder.mkdir()
    rows = "".join(json.dumps({"epoch": e, "loss": 1 / (e + 1)}) + "\n" for e in range(3))
    (trained / "config.toml").write_text('[network]\nkind = "mlp"\n')
    (trained / "history.jsonl").write_text(rows)
    assert run("report", trained, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    page = Path(shown["written"]).read_text()
    assert shown["written"] == str(trained / "report.html")
    assert "The run goes on" in page
    assert page.count("<svg") == 1
    head, run_lines = {"settings": {}}, [json.loads(line) for line in rows.splitlines()]
    entry = {"labels": {"method": "a"}, "rows": run_lines}
    part = studied / "history.part.jsonl"
    part.write_text(f"{json.dumps(head)}\n{json.dumps(entry)}\n")
    (studied / "report.html").write_text("the experiment's own")
    assert run("report", studied) == 0
    assert (studied / "report.html").read_text() == "the experiment's own"
    assert "a, training" in (studied / "summary.html").read_text()


def test_folders_without_a_run(tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "metrics.json").write_text("{")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "metrics.json").write_text('{"samples": [{}], "alpha": "1"}')
    (tmp_path / "half" / "x.npy").write_text("no array")
    cases = {"none": "there is no folder", "empty": "no run", "damaged": "is damaged"}
    for name, expected in {**cases, "half": "holds no whole inversion"}.items():
        assert run("report", tmp_path / name) == 2
        shown = capsys.readouterr().err
        assert expected in shown
        assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ("[]", "is no record of a run"),
        ('{"figures": 1}', "is no record of a run"),
        ("{", "is damaged"),
        ('{"samples": [{}]}', "holds no whole inversion"),
    ],
)
def test_damaged_folders_of_runs(metrics: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(metrics)
    np.savez(tmp_path / "x.npz", np.ones(1))
    (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    with pytest.raises(ValueError, match=words):
        report(tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_commands(shell: str, capsys) -> None:
    assert run("completion", shell) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("reproduce", "train", "--resume", "watch"))


def test_bash_completes_a_command(tmp_path: Path, capsys) -> None:
    assert run("completion", "bash") == 0
    (tmp_path / "complete").write_text(capsys.readouterr().out)
    script = (
        f"source {tmp_path / 'complete'}; COMP_WORDS=(liftax tr); COMP_CWORD=1; "
        'COMP_LINE="liftax tr"; COMP_POINT=9; _tyro_liftax; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["train"]


def test_details_are_parts_of_the_pictures() -> None:
    """The busiest part is the one with the edge; every pixel becomes a square."""
    pictures = np.zeros((2, 10, 8, 1))
    pictures[:, 7:, 6:] = np.arange(6).reshape(3, 2, 1) / 6
    corner = busiest(pictures[0, ..., 0])
    assert corner == (7, 6)
    found = details(pictures, [corner, (0, 0)])
    assert found.shape == pictures.shape
    np.testing.assert_array_equal(found[0, ::4, ::4], pictures[0, 7:, 6:])
    assert np.ptp(found[0, :4, 4:], axis=(0, 1)) == 0
    assert not found[1].any()
