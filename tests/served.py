"""A run's folder, served as `liftax watch` does it."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from liftax._commands._watch import server


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    with server(folder) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_address[1]}/"
        finally:
            found.shutdown()
            thread.join()
