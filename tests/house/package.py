"""What the house tests ask the imported package: its modules, classes and public names."""

import ast
import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import equinox as eqx

import liftax
from tests.house.sources import tree


@functools.cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the package, imported."""
    found = pkgutil.walk_packages(liftax.__path__, "liftax.")
    names = [m.name for m in found if not m.name.endswith("__main__")]
    return (liftax, *(importlib.import_module(name) for name in names))


def classes() -> list[type]:
    """Every Equinox module that the package defines."""
    modules()
    found: set[type] = set()
    pending: list[type] = [eqx.Module]
    while pending:
        new = [c for c in pending.pop().__subclasses__() if c not in found]
        found.update(new)
        pending.extend(new)
    ours = [c for c in found if c.__module__.split(".")[0] == "liftax"]
    return sorted(ours, key=lambda c: (c.__module__, c.__qualname__))


def public_packages() -> list[ModuleType]:
    """The sub-packages that a user may import from."""
    return [
        m
        for m in modules()
        if m is not liftax and hasattr(m, "__path__") and "._" not in m.__name__
    ]


def public_names(package: ModuleType) -> list[str]:
    """What a package's ``__init__`` exports: its ``from ... import X as X``, in a stub if lazy."""
    assert package.__file__ is not None
    path = Path(package.__file__)
    stub = path.with_suffix(".pyi")
    return [
        alias.asname
        for node in tree(stub if stub.exists() else path).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    ]
