"""Imports point downwards, name what they take, form no cycle, and load nothing heavy."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import SOURCE, module_name, place, python_files, tree

# Lowest first; a module imports from its own part (one name here) and from layers below.
LAYERS = (
    (
        "_types",
        "_tree",
        "_iterate",
        "_fusion",
        "_files",
        "_kinds",
        "_pixels",
        "_solution",
        "_versions",
    ),
    ("_report",),
    ("data", "potentials"),
    ("imaging",),
    ("affine",),
    ("networks",),
    ("penalties",),
    ("objectives",),
    ("blocks",),
    ("methods", "diagnostics", "parallel"),
    ("training",),
    ("importing", "exporting"),
    ("restoration",),
    ("inversion",),
    ("experiments", "estimators"),
    ("_commands",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HEAVY = (
    *("matplotlib", "onnx", "PIL", "scipy.optimize", "skimage", "sklearn", "torch", "tyro"),
    "rich",
)


def own_imports(path: Path) -> Iterator[tuple[ast.stmt, str, str]]:
    """Imports of the package itself as (statement, module, imported name or "")."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node, a.name, "") for a in node.names if is_own(a.name))
        elif isinstance(node, ast.ImportFrom) and node.module and is_own(node.module):
            yield from ((node, node.module, alias.name) for alias in node.names)


def is_own(module: str) -> bool:
    """Whether a dotted name lies in the package."""
    return module.split(".")[0] == "liftax"


def part(module: str) -> str:
    """``affine`` of ``liftax.affine._dense``; empty for ``liftax``."""
    return [*module.split("."), ""][1]


def imported(module: str, name: str, known: set[str]) -> str:
    """The module that ``from module import name`` makes use of."""
    return f"{module}.{name}" if f"{module}.{name}" in known else module


def library() -> list[Path]:
    """All source files but the package's ``__init__``, which imports lazily what its stub names."""
    return [path for path in python_files(SOURCE) if path != SOURCE / "__init__.py"]


def test_every_module_has_a_layer() -> None:
    unknown = {part(module_name(path)) for path in library()} - set(RANK)
    assert not unknown, f"give {sorted(unknown)} a place in LAYERS"


def test_imports_point_downwards() -> None:
    known = {module_name(path) for path in python_files(SOURCE)}
    upwards = []
    for path in library():
        mine = part(module_name(path))
        for node, module, name in own_imports(path):
            theirs = part(imported(module, name, known))
            if theirs != mine and RANK.get(theirs, len(LAYERS)) >= RANK[mine]:
                upwards.append(f"{place(path, node)} {mine} imports {theirs or 'liftax'}")
    assert not upwards


def test_no_cycles() -> None:
    paths = python_files(SOURCE)
    known = {module_name(path) for path in paths}
    graph = {
        module_name(path): {imported(module, name, known) for _, module, name in own_imports(path)}
        for path in paths
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_private_modules_are_private() -> None:
    """Another package is reached through its exports."""
    known = {module_name(path) for path in python_files(SOURCE)}
    reached = [
        f"{place(path, node)} {target}"
        for path in library()
        for node, module, name in own_imports(path)
        for target in [imported(module, name, known)]
        if "._" in target.removeprefix("liftax.") and part(target) != part(module_name(path))
    ]
    assert not reached


def test_no_star_and_no_relative_imports() -> None:
    refused = [
        place(path, node)
        for path in python_files(SOURCE)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*")
    ]
    assert not refused


@pytest.mark.parametrize(
    "path",
    [SOURCE / "__init__.pyi", *(p for p in library() if p.name == "__init__.py")],
    ids=module_name,
)
def test_init_only_exports(path: Path) -> None:
    """A docstring, then ``from module import X as X``."""
    docstring, *statements = tree(path).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    others = [
        place(path, node)
        for node in statements
        if not isinstance(node, ast.ImportFrom)
        or any(alias.asname != alias.name for alias in node.names)
    ]
    assert not others


def test_modules_of_packages_are_private() -> None:
    public = [
        place(path)
        for path in python_files(SOURCE)
        if path.parent != SOURCE and not path.name.startswith("_")
    ]
    assert not public


def test_importing_loads_nothing_heavy() -> None:
    assert _loaded("from liftax import *", HEAVY) == []


def test_the_command_line_starts_without_jax() -> None:
    script = "import liftax.cli as c, contextlib\nwith contextlib.suppress(SystemExit): c.main()"
    assert _loaded(script, ("jax", "equinox", "numpy")) == []


def _loaded(script: str, names: tuple[str, ...]) -> list[str]:
    """Which of the modules a script has loaded at its end, by the last line it prints."""
    script += f"\nimport sys\nprint()\nprint(*[m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.slow
def test_importing_is_quick() -> None:
    """Under half a second beyond ``import jax``; the best of five, since machines are shared."""
    script = (
        "import jax, time; start = time.perf_counter(); from liftax import *; "
        "print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", script]
    seconds = [float(subprocess.check_output(command, text=True)) for _ in range(5)]
    assert min(seconds) < 0.5
