"""A file is one thing, a function fits on a screen."""

import statistics

from tests.house.sources import (
    SOURCE,
    TESTS,
    Function,
    code_lines,
    docstring_lines,
    functions,
    place,
    python_files,
)

LONGEST_FILE = 500
MEDIAN_FILE = 200
LONGEST_FUNCTION = 50
MOST_PARAMETERS = 8
# The front door: a user sets everything about a run in one call, by keyword.
FRONT_DOORS = {"fit"}


def parameters(function: Function) -> list[str]:
    """Names of a function's parameters, without ``self`` and ``cls``."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return [p.arg for p in every if p.arg not in {"self", "cls"}]


def test_files_are_short() -> None:
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(SOURCE, TESTS)
    }
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FILE}
    assert statistics.median(lengths.values()) <= MEDIAN_FILE


def test_functions_are_short() -> None:
    """Code lines: neither docstring nor comment nor blank."""
    long = {}
    for path in python_files(SOURCE, TESTS):
        for function in functions(path):
            assert function.end_lineno is not None
            span = set(range(function.lineno, function.end_lineno + 1))
            lines = len((span & code_lines(path)) - docstring_lines(function))
            if lines > LONGEST_FUNCTION:
                long[f"{place(path, function)} {function.name}"] = lines
    assert not long


def test_functions_have_few_parameters() -> None:
    many = {
        f"{place(path, function)} {function.name}": len(parameters(function))
        for path in python_files(SOURCE, TESTS)
        for function in functions(path)
        if len(parameters(function)) > MOST_PARAMETERS and function.name not in FRONT_DOORS
    }
    assert not many
