"""Settings from a TOML file: every key is asked for by name, and any other one is an error."""

import difflib
import inspect
import math
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST = 2**20  # bytes: nobody writes longer settings by hand
_HEAD = re.compile(r"\s*\[\s*([\w.\s-]+?)\s*\]\s*(#.*)?")
_KEY = re.compile(r"\s*([\w.-]+)\s*=")

Check = Callable[["Value"], Any]


class Value(NamedTuple):
    """What stands in the file, and where.

    Attributes:
        content: as TOML gives it.
        path: of the key, such as ``network.hidden``.
        lines: numbers of the lines by path, as far as they are known.
    """

    content: Any
    path: str
    lines: dict[str, int]

    def error(self, text: str) -> ValueError:
        """An error that says where it is."""
        return ValueError(f"{_place(self.path, self.lines)} {text}")


class Table:
    """A table of the file; `close` refuses the keys that nothing asked for."""

    def __init__(self, content: dict[str, Any], path: str, lines: dict[str, int]):
        self.content, self.path, self.lines = content, path, lines
        self._asked: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def __iter__(self) -> Iterable[str]:
        return iter(self.content)

    def take(self, key: str, check: Check, default: Any = None) -> Any:
        """The value of a key, checked; the default if the key is not there."""
        self._asked[key] = None
        if key not in self.content:
            return default
        return check(Value(self.content[key], self._below(key), self.lines))

    def need(self, key: str, check: Check, example: str) -> Any:
        """The value of a key that has to be there."""
        if key not in self.content:
            self._asked[key] = None
            near = difflib.get_close_matches(key, [k for k in self.content if k not in self._asked])
            instead = f"; there is {near[0]!r}" if near else ""
            raise self.error(f"needs the key {key!r}, such as {key} = {example}{instead}")
        return self.take(key, check)

    def some(self, checks: dict[str, Check]) -> dict[str, Any]:
        """The values of those keys that are there, checked."""
        found = {key: self.take(key, check) for key, check in checks.items()}
        return {key: value for key, value in found.items() if key in self.content}

    def table(self, key: str) -> "Table":
        """The table of a key, empty if it is not there."""
        return self.take(key, table, Table({}, self._below(key), self.lines))

    def close(self) -> None:
        """Refuse unknown keys.

        Raises:
            ValueError: naming the first one and the nearest that is known.
        """
        for key in self.content:
            if key not in self._asked:
                value = Value(self.content[key], self._below(key), self.lines)
                known = [*self._asked]
                raise value.error(f"is not known{hint(key, known)} (known: {', '.join(known)})")

    def error(self, text: str) -> ValueError:
        """An error that says where it is."""
        return ValueError(f"{_place(self.path, self.lines)} {text}")

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def read_settings(path: str | Path) -> tuple[Table, str]:
    """The table of a TOML file, and its text.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is no TOML, no text, or larger than a MiB.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"config: there is no file {str(path)!r}; `liftax train --example` prints one"
        )
    if path.stat().st_size > _LARGEST:
        raise ValueError(
            f"config: {str(path)!r} is larger than {_LARGEST:,} bytes; no settings are"
        )
    try:
        text = path.read_bytes().decode("utf-8")
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or "nested too deeply"
        raise ValueError(f"config: {str(path)!r} is no TOML file: {reason}") from None
    return Table(content, "", _lines(text)), text


def hint(name: Any, known: Iterable[str]) -> str:
    """``, did you mean 'x'?`` with the nearest of the known names."""
    known = [*known]
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.0)
    return f", did you mean {near[0]!r}?" if near else ""


def _place(path: str, lines: dict[str, int]) -> str:
    line = f" (line {lines[path]})" if path in lines else ""
    return f"{path}{line}" if path else "the file"


def _lines(text: str) -> dict[str, int]:
    """Numbers of lines on which a table or a plain key begins; the first of each.

    A line within a text of several lines may look like a key; it is never the first that TOML
    would let stand, for keys stand once, so that at worst an error names another line.
    """
    head, found = "", {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEAD.fullmatch(line):
            head = ".".join(part.strip() for part in match[1].split("."))
            found.setdefault(head, number)
        elif match := _KEY.match(line):
            found.setdefault(f"{head}.{match[1]}" if head else match[1], number)
    return found


def table(value: Value) -> Table:
    """A table."""
    if not isinstance(value.content, dict):
        raise value.error(f"must be a table, got {_shown(value.content)}")
    return Table(value.content, value.path, value.lines)


def flag(value: Value) -> bool:
    """True or false."""
    if not isinstance(value.content, bool):
        raise value.error(f"must be true or false, got {_shown(value.content)}")
    return value.content


def text(value: Value) -> str:
    """A text that is not empty."""
    if not isinstance(value.content, str) or not value.content:
        raise value.error(f"must be a text in quotes, got {_shown(value.content)}")
    return value.content


def whole(least: int) -> Check:
    """A whole number that is not below `least`."""

    def check(value: Value) -> int:
        number = value.content
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise value.error(f"must be a whole number of at least {least}, got {_shown(number)}")
        if number >= 2**31:
            raise value.error(f"must be below 2147483648, got {number}")
        return number

    return check


def number(least: float = -math.inf, most: float = math.inf, open: bool = False) -> Check:
    """A finite number from `least` to `most`, `least` itself excluded if `open`."""

    def check(value: Value) -> float:
        found = value.content
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise value.error(f"must be a number, got {_shown(found)}")
        low = found > least if open else found >= least
        if not (low and found <= most and abs(found) < 1e300):
            bounds = f"{'above' if open else 'at least'} {least:g}" if least > -math.inf else ""
            upper = f"at most {most:g}" if most < math.inf else ""
            asked = " and ".join(filter(None, (bounds, upper))) or "finite"
            raise value.error(f"must be {asked}, got {_shown(found)}")
        return float(found)

    return check


positive = number(0.0, open=True)


def list_of(check: Check, length: int | None = None) -> Check:
    """A list, of that many entries if `length` is given."""

    def entries(value: Value) -> list[Any]:
        found = value.content
        if not isinstance(found, list) or (length is not None and len(found) != length):
            count = "" if length is None else f" of {length}"
            raise value.error(f"must be a list{count} in brackets, got {_shown(found)}")
        return [
            check(Value(entry, f"{value.path}[{i}]", value.lines)) for i, entry in enumerate(found)
        ]

    return entries


def one_of(names: Iterable[str]) -> Check:
    """One of these texts."""
    known = [*names]

    def check(value: Value) -> str:
        if value.content not in known:
            near = hint(value.content, known) if isinstance(value.content, str) else ""
            shown = _shown(value.content)
            raise value.error(f"{shown} is not known{near} (known: {', '.join(known)})")
        return value.content

    return check


def kind_table(names: Iterable[str]) -> Callable[[Value], tuple[str, Table]]:
    """A name alone, or a table with the name as its ``kind`` beside further keys."""
    check = one_of(names)

    def split(value: Value) -> tuple[str, Table]:
        if not isinstance(value.content, dict):
            return check(value), Table({}, value.path, value.lines)
        found = table(value)
        return found.need("kind", check, '"' + next(iter(names)) + '"'), found

    return split


def scalars(function: Callable[..., Any], without: Iterable[str] = ()) -> dict[str, Check]:
    """Checks of a function's parameters that are flags or numbers by default or annotation."""
    found: dict[str, Check] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        if name in without or (isinstance(default, int) and not isinstance(default, bool)):
            continue
        if isinstance(default, bool):
            found[name] = flag
        elif isinstance(default, float) or "float" in str(parameter.annotation).lower():
            found[name] = number()
    return found


def made(table: Table, build: Callable[..., Any], checks: dict[str, Check], *given: Any) -> Any:
    """What a function makes of a table's keys; its refusal names the table."""
    chosen = table.some(checks)
    table.close()
    try:
        return build(*given, **chosen)
    except (ValueError, TypeError) as error:
        raise table.error(f"is refused: {error}") from None


def _shown(content: Any) -> str:
    shown = repr(content)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
