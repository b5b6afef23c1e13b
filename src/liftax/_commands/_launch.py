"""``liftax launch``: a script in several processes of this machine."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

_PREFIX = "LIFTAX_LAUNCH_"
_WORKER = "liftax.parallel._worker"
# Starting Python takes a while on a busy machine.
_START = 120.0
_TURN = 0.05
# What the collectives' library says of every group that it makes.
_CHATTER = b"connected peer ranks"


def launch(
    script: Path, arguments: Sequence[str], processes: int, devices: int, patience: float
) -> int:
    """Run the script in so many processes, which form one group of JAX; 0 if all end well.

    The first that fails, or gives no sign of life for `patience` seconds, ends the others, within a
    second of being noticed. SIGTERM is passed on, so that runs with checkpoints save and leave.

    Raises:
        ValueError: for a script that is not there, and for numbers out of range.
    """
    if not script.is_file():
        raise ValueError(f"script: there is no file {str(script)!r}; check it")
    if processes < 1 or devices < 1 or not patience >= 1:
        raise ValueError(
            "n and devices-per-process must be at least 1 and patience at least 1 second, got "
            f"{processes}, {devices} and {patience:g}"
        )
    group = [_Process(k, processes) for k in range(processes)]
    told = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        told.set()
        for process in group:
            process.send(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        address = f"127.0.0.1:{_free_port()}"
        for process in group:
            process.start(address, [str(script), *arguments], devices, patience)
        return _watch(group, patience, told)
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in group:
            process.send(signal.SIGKILL)
            process.finish()


class _Process:
    """One of the processes, and what is known of it."""

    def __init__(self, number: int, count: int):
        self.number, self._count = number, count
        self._child: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []
        self._last = self._began = time.monotonic()

    def start(self, address: str, command: list[str], devices: int, patience: float) -> None:
        reading, writing = os.pipe()
        given = {
            "ADDRESS": address,
            "PROCESS": str(self.number),
            "PROCESSES": str(self._count),
            "DEVICES": str(devices),
            "PATIENCE": str(patience),
            "PULSE": str(writing),
        }
        self._began = self._last = time.monotonic()
        self._child = subprocess.Popen(
            [sys.executable, "-u", "-m", _WORKER, *command],
            env={**os.environ, **{_PREFIX + name: value for name, value in given.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        streams = ((self._child.stdout, sys.stdout), (self._child.stderr, sys.stderr))
        for source, out in streams:
            self._readers.append(threading.Thread(target=self._copy, args=(source, out)))
        self._readers.append(threading.Thread(target=self._listen, args=(reading,)))
        for reader in self._readers:
            reader.daemon = True
            reader.start()

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        assert self._child is not None
        return self._child.poll()

    def silent(self) -> float:
        """Seconds without a sign of life, those of the start left out."""
        begun = self._last > self._began
        return time.monotonic() - self._last - (0 if begun else _START)

    def excuse(self, seconds: float) -> None:
        """Seconds that do not count."""
        self._last += seconds
        self._began += seconds

    def send(self, number: int) -> None:
        if self._child is not None and self._child.poll() is None:
            try:
                os.killpg(self._child.pid, number)
            except ProcessLookupError:
                return

    def finish(self) -> None:
        """Until it has ended and its last words are passed on."""
        if self._child is None:
            return
        self._child.wait()
        for reader in self._readers:
            reader.join(timeout=1)

    def _copy(self, source: IO[bytes], out: Any) -> None:
        for line in source:
            if _CHATTER in line:
                continue
            out.write(f"[{self.number}] {line.decode(errors='replace').rstrip()}\n")
            out.flush()

    def _listen(self, pulse: int) -> None:
        while os.read(pulse, 64):
            self._last = time.monotonic()
        os.close(pulse)


def _watch(group: list[_Process], patience: float, told: threading.Event) -> int:
    """Until all have ended, or one has failed."""
    before = time.monotonic()
    while True:
        now = time.monotonic()
        if now - before > 1:  # the machine slept, and all of them with it
            for process in group:
                process.excuse(now - before)
        before = now
        codes = [process.code for process in group]
        # A killed process takes others with it: its own signal tells it from them.
        failed = sorted(
            (code >= 0, process.number)
            for process, code in zip(group, codes, strict=True)
            if code is not None and code not in (0, *((143,) if told.is_set() else ()))
        )
        if failed:
            number = failed[0][1]
            return _report(number, _ending(codes[number] or 0), group)
        if all(code is not None for code in codes):
            return max(code or 0 for code in codes)
        silent = [p for p, code in zip(group, codes, strict=True) if code is None]
        silent = [p for p in silent if p.silent() > patience]
        if silent:
            why = f"has given no sign of life for {patience:g} seconds: it is stopped or frozen"
            return _report(silent[0].number, why, group)
        time.sleep(_TURN)


def _report(number: int, why: str, group: list[_Process]) -> int:
    rest = "" if len(group) == 1 else "; the other processes are stopped"
    print(f"liftax: process {number} {why}{rest}", file=sys.stderr, flush=True)
    return 1


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with the exit code {code}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
