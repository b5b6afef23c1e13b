"""Max-pooling as a few nodes with ReLU."""

from collections.abc import Iterator

from liftax.affine import AbstractAffine, Identity, Selection, Sum
from liftax.networks._node import Node

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def max_pooling(
    name: str,
    parent: str,
    shape: tuple[int, ...],
    window: Pair | int,
    stride: Pair | int | None = None,
    padding: Pads = ((0, 0), (0, 0)),
) -> tuple[Node, ...]:
    r"""Nodes whose last one is the maximum over windows of a picture.

    The maximum is no proximal map, but $\max(a, b) = b + \mathrm{relu}(a - b)$ is one of an affine
    map, followed by an affine map, so that max-pooling is lifted without an approximation. First
    along the rows, with the columns $S_iu$ of all windows: $d_i = \mathrm{relu}(d_{i-1} + S_{i-1}u
    - S_iu)$ and $d_0 = 0$; the maximum of k columns is $S_{k-1}u + d_{k-1}$. Then the same along
    the columns. A window of k × l entries has $k + l - 2$ nodes with ReLU, and one with the
    identity, which is the maximum; so 2 × 2 has three nodes.

    What is padded never is the maximum, as in PyTorch and ONNX.

    Args:
        name: of the last node; those before it are named after it, with a dot and a number.
        parent: whose maxima these are.
        shape: of it, (height, width, channels).
        window: (height, width), or one number for both.
        stride: of the windows; None for the window.
        padding: rows above and below, columns to the left and right; less than the window.

    Raises:
        ValueError: for sizes below 1, and windows that do not fit.

    Source: Arora et al. (2018), for maxima as networks with ReLU.
    """
    sizes = (window, window) if isinstance(window, int) else window
    steps = sizes if stride is None else (stride, stride) if isinstance(stride, int) else stride
    if len(shape) != 3 or min(*sizes, *steps) < 1:
        raise ValueError(
            f"window and stride must be at least 1 and shape (height, width, channels), got "
            f"{sizes}, {steps} and {shape}"
        )
    rows = _places(shape[0], sizes[0], steps[0], padding[0])
    columns = _places(shape[1], sizes[1], steps[1], padding[1])
    return tuple(_nodes(name, parent, rows, columns, tuple(range(shape[0]))))


def _places(size: int, window: int, step: int, pads: Pair) -> list[tuple[int, ...]]:
    """The first entries of all windows, the second ones, and so on."""
    count = (size + sum(pads) - window) // step + 1
    if count < 1 or min(pads) < 0 or max(pads) >= window:
        raise ValueError(
            f"window {window} with padding {pads} does not fit a size of {size}; the padding is "
            "less than the window"
        )
    # An entry outside is replaced by the nearest one, which lies in the same window.
    starts = [place * step - pads[0] for place in range(count)]
    return [tuple(min(max(s + i, 0), size - 1) for s in starts) for i in range(window)]


def _nodes(
    name: str,
    parent: str,
    rows: list[tuple[int, ...]],
    columns: list[tuple[int, ...]],
    every: tuple[int, ...],
) -> Iterator[Node]:
    along, down = None, None
    for i in range(1, len(columns)):
        step = Selection(every, columns[i - 1], (every, columns[i]))
        label = f"{name}.{i}"
        yield _node(label, "relu", [(parent, step), (along, Identity())])
        along = label
    last, wide = columns[-1], tuple(range(len(columns[-1])))
    for i in range(1, len(rows)):
        of_input = Selection(rows[i - 1], last, (rows[i], last))
        of_columns = Selection(rows[i - 1], wide, (rows[i], wide))
        label = f"{name}.{len(columns) - 1 + i}"
        terms = [(parent, of_input), (along, of_columns), (down, Identity())]
        yield _node(label, "relu", terms)
        down = label
    ends = [
        (parent, Selection(rows[-1], last)),
        (along, Selection(rows[-1], wide)),
        (down, Identity()),
    ]
    yield _node(name, "identity", ends)


def _node(name: str, activation: str, terms: list[tuple[str | None, AbstractAffine]]) -> Node:
    """Of the terms, those with a parent are added up."""
    given = [(parent, affine) for parent, affine in terms if parent is not None]
    maps = tuple(affine for _, affine in given)
    affine = maps[0] if len(maps) == 1 else Sum(maps)
    return Node(name, affine, activation, tuple(parent for parent, _ in given))
