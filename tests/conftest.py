"""Settings of all tests: double precision, strict promotion, eight devices, a cache."""

import importlib.util
import os
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 8)
# Small programs compile in half the time without most optimisations; no test measures speed.
jax.config.update("jax_disable_most_optimizations", True)
# XLA reads its flags at the first program; the older code generator compiles in half the time.
# From 0.11 on it is gone, and XLA ends the process at a flag that it does not know.
if jax.__version_info__ < (0, 11):
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()
    )
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "programs"
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

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
