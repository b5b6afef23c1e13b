"""The live server: who is answered, and what."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from liftax._commands._watch import progress, server
from tests.served import served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trained").mkdir()
    rows = [
        {"epoch": e, "loss": 2.0 / (e + 1), "gap/u<1>": 0.1, "energy/out": 1.0} for e in range(3)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "trained" / "history.jsonl").write_text(lines)
    (tmp_path / "c.toml").write_text("secret")
    return tmp_path


def test_only_this_machine_is_answered(folder: Path) -> None:
    def code(path: str, host: str | None = None, method: str = "GET") -> int:
        headers = {} if host is None else {"Host": host}
        request = urllib.request.Request(address + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with served(folder / "trained") as address:
        port = address.rsplit(":", 1)[1].strip("/")
        assert code("") == code("progress.json") == code("", f"localhost:{port}") == 200
        assert code("", f"attacker.example:{port}") == 421
        assert code("", "attacker.example") == 421
        for path in ("../metrics.json", "metrics.json", "%2e%2e/c.toml", "/etc/passwd"):
            assert code(path) == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert code("", method=method) == 501


def test_progress_of_a_run(folder: Path) -> None:
    with served(folder / "trained") as address:
        with urllib.request.urlopen(address + "progress.json", timeout=10) as answer:
            found, tag = json.loads(answer.read()), answer.headers["ETag"]
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert found["html"].count("<svg") == 3
        assert "u<1>" not in found["html"]
        same = urllib.request.Request(address + "progress.json", headers={"If-None-Match": tag})
        with pytest.raises(urllib.error.HTTPError, match="304"):
            urllib.request.urlopen(same, timeout=10)


def test_folders_and_ports_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        server(tmp_path / "none")
    with server(tmp_path) as found, pytest.raises(ValueError, match="cannot be used"):
        server(tmp_path, found.server_address[1])
    with pytest.raises(ValueError, match="port 70000 cannot be used"):
        server(tmp_path, 70000)


@pytest.mark.parametrize(
    ("file", "content", "shown"),
    [
        ("status.json", "[" * 5000, "has not begun"),
        ("status.json", '{"state": [1], "epoch": {}}', "epoch 0 of None"),
        ("history.jsonl", '{"epoch": 1, "seed": {}, "loss": 1}\n{"epoch": 2, "seed": []}', "<svg"),
        ("history.jsonl", '{"epoch": 1e308, "loss": 1e308}\n{"epoch": -1e308, "loss": 0}', "<svg"),
        ("history.jsonl", '{"epoch": 0, "loss": 5e-324}\n{"epoch": 1e-320, "loss": 0}', "<svg"),
        ("history.jsonl", "[" * 5000, "is damaged"),
        ("pictures.npz", "PK", "has not begun"),
    ],
)
def test_damaged_files_are_answered_for(
    file: str, content: str, shown: str, tmp_path: Path
) -> None:
    """The server lives on, whatever a run has left behind."""
    (tmp_path / file).write_text(content)
    assert shown in "".join(progress(tmp_path).values())


@pytest.mark.slow
def test_the_command_ends_on_ctrl_c(folder: Path) -> None:
    command = [sys.executable, "-m", "liftax.cli", "watch", str(folder / "trained")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(2)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
