"""Data sets: the embedded one, the checks of what users bring."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_digits

from liftax.data import Dataset, check_data, load, one_hot
from liftax.data._archive import FASHION_MNIST, MNIST


def test_digits_are_those_of_scikit_learn() -> None:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(1797)
    split = load("digits", fetch=False)
    x = np.concatenate([split.train.x, split.test.x])
    y = np.concatenate([split.train.y, split.test.y])  # type: ignore[list-item]
    np.testing.assert_array_equal(x * 16, np.asarray(pixels)[order].reshape(-1, 8, 8))
    np.testing.assert_array_equal(y, np.asarray(labels)[order])
    assert (len(split.train), len(split.test)) == (1400, 397)
    assert (x.dtype, y.dtype, x.min(), x.max()) == (np.float32, np.int32, 0, 1)
    assert split.train.classes == tuple("0123456789") and split.test.name == "digits"


def test_every_class_is_in_both_parts_of_digits() -> None:
    split = load("digits")
    for part, least in ((split.train, 100), (split.test, 25)):
        assert part.y is not None and np.bincount(part.y, minlength=10).min() >= least


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("digit", "digits"), ("fashion_mnist", "fashion-mnist"), ("MNIST", "mnist"), ("", "mnist")],
)
def test_unknown_names_get_the_nearest(name: str, nearest: str) -> None:
    known = "Choose among digits, fashion-mnist, mnist"
    expected = f"name: there is no data set {name!r}, did you mean {nearest!r}?"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)} {known}$"):
        load(name)


def test_published_archives_are_complete() -> None:
    for archive in (FASHION_MNIST, MNIST):
        assert len(archive.classes) == 10 and archive.address.startswith("http")
        assert len({file.sha256 for file in archive.files}) == 4
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in archive.files)


X = np.ones((3, 2, 2), np.float32)


def with_entries(**entries: float) -> np.ndarray:
    x = X.copy()
    for place, value in entries.items():
        x[tuple(int(i) for i in place[1:])] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "classes"),
    [
        (X, None, None),
        (X, [0, 1, 2], 3),
        (X, [5, 0, 0], None),
        (X, X, None),
        (X, [0.5, -1.0, 2.0], None),
        (X.astype(np.uint8), np.array([0, 1, 1], np.uint8), 2),
        (X.astype(np.float16), np.ones((3, 4)), None),
    ],
)
def test_good_data_pass(x: object, y: object, classes: int | None) -> None:
    check_data(x, y, classes=classes)


@pytest.mark.parametrize(
    ("x", "y", "classes", "words"),
    [
        (X[0, 0], None, None, r"x must have samples first, .*, got shape \(2,\); reshape it"),
        (X[:0], None, None, r"x is empty, shape \(0, 2, 2\); give at least one sample"),
        (X[:, :0], None, None, r"x is empty, shape \(3, 0, 2\)"),
        ([["a"]], None, None, "x must hold real numbers, got dtype <U1; convert it"),
        ([[1j]], None, None, "x must hold real numbers, got dtype complex128"),
        ([[1.0], [1.0, 2.0]], None, None, "x has samples of different shapes; bring them"),
        (
            with_entries(_101=np.nan, _200=-np.inf),
            None,
            None,
            r"x has 2 entries that are NaN or infinite, the first at index \(1, 0, 1\); remove",
        ),
        (X, [0, 1], None, r"y must have one entry per sample: x has 3 samples, y has shape \(2,\)"),
        (X, 1, None, r"y must have one entry .* y has shape \(\); pair them anew"),
        (X, [0.0, np.nan, 1.0], None, r"y has 1 entries .*, the first at index \(1,\)"),
        (X, [0, 3, 4], 3, r"y must be labels in 0 \.\.\. 2, got 3 at index 1 \(2 outside\); renum"),
        (X, [0, 1, -1], None, r"y must be labels in 0, 1, \.\.\., got -1 at index 2 \(1 outside\)"),
        (X, [0.0, 1.0, 2.0], 3, r"y must be integer labels of shape \(3,\), got float64 \(3,\); "),
        (X, np.eye(3, dtype=int), 3, r"y must be integer .* got int64 \(3, 3\); use y\.argmax"),
    ],
)
def test_bad_data_are_named(x: object, y: object, classes: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        check_data(x, y, classes=classes)


def test_one_hot() -> None:
    rows = one_hot([2, 0], 3)
    assert rows.dtype == np.float32 and rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot(np.array([], int), 2, np.float64).shape == (0, 2)
    with pytest.raises(ValueError, match=r"labels must be labels in 0 \.\.\. 2, got 3 at index 1"):
        one_hot([0, 3], 3)
    with pytest.raises(
        ValueError, match=r"labels must be integers of shape .*, got float64 \(1,\)"
    ):
        one_hot([0.5], 3)


def test_datasets_compare_by_identity() -> None:
    """A comparison by value would compare arrays, whose truth is ambiguous."""
    data = Dataset(X)
    assert data == data and data != Dataset(X) and len(data) == 3


@pytest.mark.slow
def test_fashion_mnist() -> None:
    """All of it, found or fetched; the figures are those of its publication."""
    split = load("fashion-mnist")
    for part, samples in ((split.train, 60_000), (split.test, 10_000)):
        assert part.x.shape == (samples, 28, 28) and part.x.dtype == np.float32
        assert part.y is not None and part.y.dtype == np.int32
        assert np.bincount(part.y).tolist() == [samples // 10] * 10
        assert (part.x.min(), part.x.max()) == (0, 1)
        check_data(part.x, part.y, classes=10)
    assert split.train.x.mean() == pytest.approx(0.2860, abs=1e-4)
    assert split.train.x.std() == pytest.approx(0.3530, abs=1e-4)
