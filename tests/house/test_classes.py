"""Abstract or final: interfaces are never instantiated, final classes never subclassed.

Which code runs when a method is called is then known from the class alone.
"""

import inspect

import pytest

from tests.house.package import classes
from tests.house.sources import SOURCE, calls, place, python_files


def is_abstract(cls: type) -> bool:
    """Equinox keeps abstract fields apart from abstract methods."""
    fields = ("__abstractvars__", "__abstractclassvars__")
    return inspect.isabstract(cls) or any(getattr(cls, name, ()) for name in fields)


def ancestors(cls: type) -> list[type]:
    """The package's own classes that ``cls`` inherits from."""
    known = set(classes())
    return [base for base in cls.__mro__[1:] if base in known]


def own_fields(cls: type) -> set[str]:
    """Names of the instance fields that ``cls`` itself declares."""
    annotations = inspect.get_annotations(cls)
    return {name for name, kind in annotations.items() if not is_class_level(kind)}


def is_class_level(annotation: object) -> bool:
    """Whether an annotation declares a class variable or an abstract field."""
    return any(word in str(annotation) for word in ("ClassVar", "Abstract"))


def overrides(cls: type) -> list[str]:
    """Implemented methods of its ancestors that ``cls`` overrides."""
    return [
        f"{cls.__qualname__}.{name} overrides {base.__qualname__}.{name}"
        for name, method in vars(cls).items()
        if inspect.isfunction(method) and not name.startswith("__")
        for base in ancestors(cls)
        if inspect.isfunction(vars(base).get(name))
        and not getattr(vars(base)[name], "__isabstractmethod__", False)
    ]


def test_there_are_classes() -> None:
    assert len(classes()) > 10


@pytest.mark.parametrize("cls", classes(), ids=lambda c: c.__qualname__)
def test_abstract_or_final(cls: type) -> None:
    concrete = [base.__qualname__ for base in ancestors(cls) if not is_abstract(base)]
    assert not concrete, f"{cls.__qualname__} subclasses the final {concrete}"


@pytest.mark.parametrize("cls", classes(), ids=lambda c: c.__qualname__)
def test_named_abstract_exactly_if_abstract(cls: type) -> None:
    assert cls.__name__.lstrip("_").startswith("Abstract") == is_abstract(cls)


@pytest.mark.parametrize("cls", classes(), ids=lambda c: c.__qualname__)
def test_no_implemented_method_is_overridden(cls: type) -> None:
    assert not overrides(cls)


@pytest.mark.parametrize("cls", classes(), ids=lambda c: c.__qualname__)
def test_fields_and_initialiser_stand_in_one_class(cls: type) -> None:
    owners = [base.__qualname__ for base in (cls, *ancestors(cls)) if own_fields(base)]
    assert len(owners) <= 1, f"the fields of {cls.__qualname__} are spread over {owners}"


def test_no_cooperative_inheritance_and_no_duck_dispatch() -> None:
    refused = [
        f"{place(path, node)} {name}()"
        for path in python_files(SOURCE)
        for name, node in calls(path)
        if name in {"super", "hasattr"}
    ]
    assert not refused
