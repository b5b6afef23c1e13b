"""1,797 handwritten digits of 8×8 pixels, part of the package.

Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning
Repository (doi:10.24432/C50P49), CC BY 4.0: its test part, as scikit-learn ships it. Pixels are
counts 0 ... 16. The file holds the samples in the order
``numpy.random.default_rng(0).permutation(1797)``, so that the split does not depend on a version of
NumPy; nothing else was changed.
"""

from pathlib import Path

import numpy as np

from liftax.data._dataset import Dataset, Split

_TRAIN = 1400


def digits() -> Split:
    """1,400 training and 397 test pictures, (samples, 8, 8), float32 in [0, 1]."""
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        x = file["x"].astype(np.float32) / np.float32(16)
        y = file["y"].astype(np.int32)
    classes = tuple("0123456789")
    first, rest = slice(None, _TRAIN), slice(_TRAIN, None)
    return Split(
        Dataset(x[first], y[first], "digits", classes), Dataset(x[rest], y[rest], "digits", classes)
    )
