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


def has_docstring(thing: object) -> bool:
    """Its own, and not the signature that a dataclass or named tuple writes by itself."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return bool(text) and not text.startswith(f"{getattr(thing, '__name__', '')}(")


def undocumented(name: str, thing: object) -> list[str]:
    """Names in ``thing`` without a docstring; an implementation may inherit its interface's."""
    described = inspect.isclass(thing) or inspect.isroutine(thing)
    missing = [name] if described and not has_docstring(thing) else []
    if inspect.isclass(thing):
        missing += [f"{name}.{m}" for m in members(thing) if not inspect.getdoc(getattr(thing, m))]
    return missing


@pytest.mark.parametrize("package", public_packages(), ids=lambda p: p.__name__)
def test_public_names_have_docstrings(package: ModuleType) -> None:
    assert package.__doc__
    assert public_names(package)
    missing = [m for n in public_names(package) for m in undocumented(n, getattr(package, n))]
    assert not missing
