"""``liftax watch``: a run's progress in a browser on the same machine."""

import functools
import http.server
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liftax._commands._page import read_history, sections
from liftax._report import Report, script, style

ADDRESS = "127.0.0.1"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>liftax watch</title><link rel="stylesheet" href="page.css"></head>
<body><p class="note" role="status" id="state">Waiting for the run.</p><main></main>
<script src="page.js"></script><script src="watch.js"></script></body></html>
"""


def serve(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `say` is told the address.

    Raises:
        ValueError: for a folder that is not there, and a port that is taken.
    """
    with server(folder, port) as found:
        say(f"http://{ADDRESS}:{found.server_address[1]}/")
        found.serve_forever(poll_interval=0.2)


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of four fixed addresses on the loopback interface; it reads, and changes nothing.

    Only requests that name this machine as host are answered: a page from elsewhere whose name was
    made to point here (DNS rebinding) still says its own name.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}; give the folder of a run")
    handler = functools.partial(_Handler, folder)
    try:
        found = http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"port {port} cannot be used ({error}); take another, or 0") from None
    found.daemon_threads = True
    return found


def progress(folder: Path) -> dict[str, str]:
    """How the run stands: a sentence, and the charts and pictures as HTML."""
    state = _state(folder)
    page = Report(folder.resolve().name, "As the run wrote it down last.")
    try:
        sections(page, read_history(folder), folder)
    except ValueError as error:
        page.text(str(error))
    return {"state": state, "html": page.body()}


def _state(folder: Path) -> str:
    try:
        found: Any = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        epoch, epochs, state = (found.get(key) for key in ("epoch", "epochs", "state"))
    except (OSError, ValueError, AttributeError, RecursionError):
        done = (folder / "metrics.json").is_file()
        return "The run is complete." if done else "The run goes on, or has not begun."
    return f"{str(state).capitalize()}: epoch {epoch or 0} of {epochs}."


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET; anything else is refused by the base class."""

    server_version, sys_version = "liftax", ""

    def __init__(self, folder: Path, *given: Any):
        self.folder = folder
        # The base class answers its request while it is made.
        http.server.BaseHTTPRequestHandler.__init__(self, *given)

    def do_GET(self) -> None:
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"{ADDRESS}:{port}", f"localhost:{port}"):
            self.send_error(421, "Misdirected Request")
            return
        contents: dict[str, tuple[str, Callable[[], str]]] = {
            "/": ("text/html", lambda: _PAGE),
            "/page.css": ("text/css", style),
            "/page.js": ("text/javascript", script),
            "/watch.js": ("text/javascript", _poll),
            "/progress.json": ("application/json", lambda: json.dumps(progress(self.folder))),
        }
        if self.path not in contents:
            self.send_error(404)
            return
        kind, content = contents[self.path]
        self._answer(kind, content().encode())

    def _answer(self, kind: str, body: bytes) -> None:
        tag = f'"{zlib.crc32(body):08x}-{len(body)}"'
        same = self.headers.get("If-None-Match") == tag
        self.send_response(304 if same else 200)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", "0" if same else str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


def _poll() -> str:
    return Path(__file__).with_name("watch.js").read_text(encoding="utf-8")
