"""Large images in pieces."""

import itertools
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float


def tiled(
    function: Callable[[np.ndarray], np.ndarray],
    image: Float[np.ndarray, "h w c"],
    tile: int,
    overlap: int,
) -> Float[np.ndarray, "h w c"]:
    """A local function of an image, applied to squares that overlap.

    Where a pixel of the result depends on no pixel that is farther than `overlap` (along either
    axis), the result is that of the whole image. All squares have the same shape, the last ones
    begin earlier; a side that is not longer than `tile` is not cut. A terminal shows a bar.

    Args:
        function: image → image of the same height and width.
        image: (height, width, channels).
        tile: side of a square, more than twice the overlap.
        overlap: pixels at each inner edge that are thrown away.

    Raises:
        ValueError: for a tile that is too small.
    """
    if tile <= 2 * overlap:
        raise ValueError(f"tile must be more than {2 * overlap}, twice the overlap, got {tile}")
    out = np.empty_like(image)
    spans = [_spans(n, tile, overlap) for n in image.shape[:2]]
    for (top, first, end), (left, begin, stop) in _shown([*itertools.product(*spans)]):
        square = function(image[top : top + tile, left : left + tile])
        out[first:end, begin:stop] = square[first - top : end - top, begin - left : stop - left]
    return out


def _shown(squares: list) -> Iterable:
    """With a progress bar if there are several, on a terminal."""
    if len(squares) < 2:
        return squares
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(squares, "tiles", console=console, transient=True, disable=hidden)


def _spans(length: int, tile: int, overlap: int) -> list[tuple[int, int, int]]:
    """Where each tile starts, and from where to where its result is kept."""
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(min(starts[-1] + tile - 2 * overlap, length - tile))
    edges = [0, *(start + overlap for start in starts[1:]), length]
    return list(zip(starts, edges[:-1], edges[1:], strict=True))
