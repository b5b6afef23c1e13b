"""Every public name says what it is."""

import inspect
from types import ModuleType

import pytest

from tests.house.package import public_names, public_packages


def members(cls: type) -> list[str]:
    """Public methods and properties that ``cls`` defines itself."""
    return [
        name
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
    ]


def undocumented(name: str, thing: object) -> list[str]:
    """Names in ``thing`` without a docstring; an implementation may inherit its interface's."""
    missing = []
    if (inspect.isclass(thing) or inspect.isroutine(thing)) and not vars(thing).get("__doc__"):
        missing.append(name)
    if inspect.isclass(thing):
        missing += [f"{name}.{m}" for m in members(thing) if not inspect.getdoc(getattr(thing, m))]
    return missing


@pytest.mark.parametrize("package", public_packages(), ids=lambda p: p.__name__)
def test_public_names_have_docstrings(package: ModuleType) -> None:
    assert package.__doc__
    assert public_names(package)
    missing = [m for n in public_names(package) for m in undocumented(n, getattr(package, n))]
    assert not missing
