"""Pictures side by side, with a detail of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from liftax._report import new_figure


def comparison(
    columns: Mapping[str, Float[np.ndarray, "n h w 1"]], side: int = 48, zoom: int = 3
) -> Any:
    """A row for every picture, a column for every method; the busiest square enlarged below.

    Args:
        columns: label → pictures in [0, 1]; the first column says which detail is shown.
        side: of the detail, in pixels; at most a quarter of the picture's.
        zoom: how much the detail is enlarged, at most the picture's side.
    """
    labels, count = list(columns), len(next(iter(columns.values())))
    figure, grid = new_figure(len(labels), count, size=(2.6, 2.7))
    for row in range(count):
        reference = columns[labels[0]][row][..., 0]
        side = min(side, min(reference.shape) // 4)
        top, left = busiest(reference, side)
        # In the corner that the detail does not come from.
        right = left + side / 2 < reference.shape[1] / 2
        for label, axes in zip(labels, grid[row], strict=True):
            image = np.clip(columns[label][row][..., 0], 0, 1)
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            detail = image[top : top + side, left : left + side]
            share = min(0.45, zoom * side / min(image.shape))
            inset = axes.inset_axes(((1 - share) * right, 0, share, share))
            inset.imshow(detail, cmap="gray", vmin=0, vmax=1)
            for place in (axes, inset):
                place.set_xticks([])
                place.set_yticks([])
            for edge in inset.spines.values():
                edge.set_color("#e07a1f")
            axes.add_patch(_frame(left, top, side))
            if row == 0:
                axes.set_title(label, fontsize=10)
    return figure


def busiest(picture: Float[np.ndarray, "h w"], side: int) -> tuple[int, int]:
    """Corner of the square of a grid whose grey levels vary most."""
    step = max(1, side // 2)
    corners = [
        (top, left)
        for top in range(0, max(1, picture.shape[0] - side + 1), step)
        for left in range(0, max(1, picture.shape[1] - side + 1), step)
    ]
    return max(corners, key=lambda c: picture[c[0] : c[0] + side, c[1] : c[1] + side].std())


def _frame(left: int, top: int, side: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), side, side, fill=False, edgecolor="#e07a1f", linewidth=0.8)
