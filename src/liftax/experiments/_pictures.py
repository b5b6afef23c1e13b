"""Pictures of several methods under a slider, with a detail of each."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from liftax._report import Report

Pictures = Float[np.ndarray, "n h w 1"]

_ZOOM = 4
_LARGE = 96  # pixels of a side from which a detail shows more than the picture


def comparison(report: Report, rows: Mapping[str, Pictures], caption: str) -> None:
    """Add the pictures to a page: first the second row over the last one, others by choice.

    Large pictures are followed by their busiest parts, enlarged.

    Args:
        report: the page.
        rows: label → pictures in [0, 1]; the first row, the truth, says which parts are shown.
        caption: below.
    """
    truth, last = next(iter(rows.values())), len(rows) - 1
    note = ""
    if min(truth.shape[1:3]) >= _LARGE:
        corners = [busiest(picture[..., 0]) for picture in truth]
        rows = {
            label: np.concatenate([pictures, details(pictures, corners)])
            for label, pictures in rows.items()
        }
        note = f"; then the busiest part of each, enlarged {_ZOOM} times"
    report.gallery(rows, caption + note, pair=(min(1, last - 1), last))


def busiest(picture: Float[np.ndarray, "h w"]) -> tuple[int, int]:
    """Corner of the part, a quarter of each side, whose grey levels vary most."""
    height, width = (-(-size // _ZOOM) for size in picture.shape)
    corners = [
        (top, left)
        for top in range(0, picture.shape[0] - height + 1, max(1, height // 2))
        for left in range(0, picture.shape[1] - width + 1, max(1, width // 2))
    ]
    return max(corners, key=lambda c: picture[c[0] : c[0] + height, c[1] : c[1] + width].std())


def details(pictures: Pictures, corners: list[tuple[int, int]]) -> Pictures:
    """The parts at these corners, every pixel a square of pixels, as large as the pictures."""
    whole = pictures.shape[1:3]
    height, width = (-(-size // _ZOOM) for size in whole)
    parts = np.stack(
        [
            picture[top : top + height, left : left + width]
            for picture, (top, left) in zip(pictures, corners, strict=True)
        ]
    )
    return parts.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)[:, : whole[0], : whole[1]]
