"""Settings of all tests: double precision, strict promotion, eight devices, cheap compilation."""

import functools
import gc
import importlib.util
import os

import jax
import pytest
from jax._src.interpreters import mlir

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 8)
# Small programs compile in half the time without most optimisations; no test measures speed.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"  # of the processes that tests start, too
# XLA reads its flags at the first program; the older code generator compiles in half the time, and
# a small program split among 32 compilers takes longer than one that is not. From 0.11 on the first
# is gone, and XLA ends the process at a flag that it does not know.
_FLAGS = ["--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
    # JAX makes a context of MLIR for every program and keeps it: 5 ms each, and half the memory of
    # the tests. One serves all of them. It is private to JAX, as newer versions may have none.
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_FLAGS]).strip()
# Hardly a program is met twice: finding and writing files takes longer than compiling. The commands
# would turn the user's own cache on.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    jax.config.update("jax_enable_compilation_cache", False)
# Programs kept by JAX are millions of objects; going through all of them again and again in search
# of garbage takes a tenth of the tests' time.
gc.set_threshold(50_000, 20, 100)

# PyTorch is large: `make .venv/.torch` (and CI) installs it; without it these files are left out.
HAS_TORCH = importlib.util.find_spec("torch") is not None
NEED_TORCH = ["importing/test_torch.py", "exporting/test_torch.py"]
# The same holds for a browser: `make .venv/.browser`, and Debian's chromium.
HAS_BROWSER = importlib.util.find_spec("playwright") is not None
NEED_BROWSER = ["browser"]
collect_ignore = ([] if HAS_TORCH else NEED_TORCH) + ([] if HAS_BROWSER else NEED_BROWSER)


def pytest_terminal_summary(terminalreporter) -> None:
    if not HAS_BROWSER:
        terminalreporter.write_line(f"left out, playwright is not installed: {NEED_BROWSER}")
    if not HAS_TORCH:
        terminalreporter.write_line(f"left out, PyTorch is not installed: {NEED_TORCH}")


def pytest_collection_finish() -> None:
    """What was imported and collected stays."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """One search for garbage, whose warnings count, before pytest's five through all programs."""
    gc.collect()
    gc.freeze()
