"""A tensor of a foreign network: whose output it is, and where its entries lie there."""

import dataclasses
import math

import numpy as np

from liftax.affine import Reshape

MOST_ENTRIES = 2**24  # of one example

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Value:
    """One example of a tensor.

    Attributes:
        piece: name of the piece whose output holds the entries.
        order: in the foreign shape (channels first), the place of each entry in that output,
            flattened.
    """

    piece: str
    order: np.ndarray

    @property
    def shape(self) -> Shape:
        """The foreign shape, without samples."""
        return self.order.shape

    def reshaped(self, shape: Shape) -> "Value":
        """The same entries in another foreign shape; one size may be -1."""
        known = math.prod(size for size in shape if size != -1)
        size = self.order.size
        whole = size == known if -1 not in shape else known > 0 and size % known == 0
        if shape.count(-1) > 1 or min(shape, default=1) < -1 or not whole:
            raise ValueError(f"the shape {self.shape} cannot become {shape}")
        return Value(self.piece, self.order.reshape(shape))

    def transposed(self, axes: tuple[int, ...]) -> "Value":
        """The foreign axes permuted."""
        if sorted(axes) != list(range(self.order.ndim)):
            raise ValueError(f"{axes} is no permutation of the axes of {self.shape}")
        return Value(self.piece, self.order.transpose(axes))


def native(shape: Shape) -> Shape:
    """Shape of the library's example: channels last where there are height and width."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def checked(shape: Shape) -> Shape:
    """A foreign shape of one example.

    Raises:
        ValueError: for sizes below 1, or more entries than `MOST_ENTRIES`.
    """
    if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
        raise ValueError(f"input_shape must be sizes of at least 1 without samples, got {shape}")
    if math.prod(shape) > MOST_ENTRIES:
        raise ValueError(f"an example of shape {shape} has more than {MOST_ENTRIES} entries")
    return shape


def natural(piece: str, shape: Shape) -> Value:
    """The value that a piece of the native shape holds."""
    order = np.arange(math.prod(checked(shape)), dtype=np.int32).reshape(native(shape))
    return Value(piece, np.moveaxis(order, -1, 0) if len(shape) == 3 else order)


def reordering(value: Value) -> Reshape:
    """The map from the piece's output to the natural place of every entry.

    Raises:
        ValueError: if it is no permutation of axes.
    """
    after = native(value.shape)
    last = np.moveaxis(value.order, 0, -1) if len(value.shape) == 3 else value.order
    flat = last.ravel()
    sizes, strides = _runs(flat)
    ranks = sorted(range(len(sizes)), key=lambda axis: -strides[axis])
    split = tuple(sizes[axis] for axis in ranks)
    axes = tuple(ranks.index(axis) for axis in range(len(sizes)))
    found = np.arange(flat.size).reshape(split).transpose(axes).ravel()
    if not np.array_equal(found, flat):
        raise ValueError("its entries are permuted in a way that is no permutation of axes")
    return Reshape(after) if len(split) < 2 else Reshape(after, split, axes)


def _runs(flat: np.ndarray) -> tuple[list[int], list[int]]:
    """Sizes and strides of the axes of which a permutation may consist, outermost first."""
    sizes, strides, rest = [], [], flat
    while rest.size > 1:
        stride = int(rest[1]) - int(rest[0])
        regular = rest == rest[0] + stride * np.arange(rest.size)
        count = rest.size if regular.all() else int(np.argmin(regular))
        if rest.size % count or stride < 1:
            break
        sizes.insert(0, count)
        strides.insert(0, stride)
        rest = rest[::count]
    return sizes or [flat.size], strides or [1]
