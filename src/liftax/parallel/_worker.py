"""One process of ``liftax launch``: joins the others, then runs the script.

Started as ``python -m liftax.parallel._worker SCRIPT ARGUMENTS``; the environment tells who it is.
"""

import os
import runpy
import sys
import threading
import time
import traceback

PREFIX = "LIFTAX_LAUNCH_"


def main() -> None:
    """Run the script; a failure ends the process at once, without waiting for the others."""
    given = {name: os.environ[PREFIX + name] for name in ("ADDRESS", "PROCESSES", "PROCESS")}
    threading.Thread(target=_beat, args=(int(os.environ[PREFIX + "PULSE"]),), daemon=True).start()
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", int(os.environ[PREFIX + "DEVICES"]))
    jax.distributed.initialize(
        given["ADDRESS"],
        num_processes=int(given["PROCESSES"]),
        process_id=int(given["PROCESS"]),
        # The launcher notices sooner; a busy machine must not end what is well.
        heartbeat_timeout_seconds=int(float(os.environ[PREFIX + "PATIENCE"])) + 90,
        shutdown_timeout_seconds=10,
    )
    script, sys.argv = sys.argv[1], sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0, 143):
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            _leave(end.code if isinstance(end.code, int) else 1)
        raise
    except BaseException:
        traceback.print_exc()
        _leave(1)


def _beat(pulse: int) -> None:
    """A byte every quarter of a second says that this process is alive."""
    while True:
        os.write(pulse, b".")
        time.sleep(0.25)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the usual end would wait for processes that wait for this one


if __name__ == "__main__":
    main()
