"""Data sets that come with scikit-learn."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Unpack

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.labels import class_labels, class_meanings
from meanfield.problem.sources.images import from_images
from meanfield.problem.sources.options import RowOptions, takes

#: Pixels along one side of a patch: those of CIFAR-10.
SIDE = 32


def _sklearn_datasets() -> ModuleType:
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            'This data set comes with scikit-learn; pip install "meanfield[sklearn]".'
        ) from None
    return datasets


@takes(RowOptions, of=from_arrays, standardize="unit", test_fraction=0.2)
def digits(*, classes: list[int | list[int]] | None = None, **rows: Unpack[RowOptions]) -> Data:
    """Load 8 × 8 images of handwritten digits: 1797 rows, 64 pixels from 0 to 16.

    Parameters
    ----------
    classes : list of int, or of lists of int, optional
        The digits to keep, or groups of them such as ``[[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]``; all
        ten by default. Two classes give labels −1 (the first) and +1, for the squared and the
        logistic loss; more give 0..K−1 in this order, for cross-entropy.
    standardize, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation and choice of rows; rows are stratified by class.

    Returns
    -------
    Data
        With ``info["classes"]`` the digit, or the digits, that each label stands for.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError
        If `classes` are not at least two distinct digits or groups of them.

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.digits(classes=[3, 8], n_samples=50)
    >>> data.X.shape, sorted(set(data.y.tolist()))
    ((50, 64), [-1, 1])
    """
    bunch = _sklearn_datasets().load_digits()
    groups = [
        list(group) if isinstance(group, list | tuple) else [group]
        for group in (range(10) if classes is None else classes)
    ]
    members = [digit for group in groups for digit in group]
    known = len(set(members)) == len(members) and set(members) <= set(range(10))
    if len(groups) < 2 or not all(groups) or not known:
        raise ArgumentError(
            "classes", f"must be at least two distinct digits, or groups of them, got {classes}."
        )
    keep = np.isin(bunch.target, members)
    group_of = {digit: place for place, group in enumerate(groups) for digit in group}
    places = np.array([group_of[int(digit)] for digit in bunch.target[keep]])
    names = [group[0] if len(group) == 1 else ", ".join(map(str, group)) for group in groups]
    y = class_labels(places, list(range(len(groups))))
    info = {"source": "digits", "classes": class_meanings(list(range(len(groups))), names)}
    return from_arrays(bunch.data[keep], y, stratify=True, info=info, **rows)


@takes(RowOptions, of=from_arrays, standardize="unit", test_fraction=0.2)
def diabetes(*, standardize_y: bool = True, **rows: Unpack[RowOptions]) -> Data:
    """Load disease progression in 442 diabetes patients from ten measurements.

    Parameters
    ----------
    standardize_y, standardize, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation and choice of rows.

    Returns
    -------
    Data
        `Data.original_units` maps predictions back.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.diabetes(n_samples=100)
    >>> data.X.shape, data.X_test.shape
    ((100, 10), (88, 10))
    """
    bunch = _sklearn_datasets().load_diabetes()
    info = {"source": "diabetes", "feature_names": list(bunch.feature_names)}
    return from_arrays(bunch.data, bunch.target, standardize_y=standardize_y, info=info, **rows)


@takes(RowOptions, of=from_arrays, standardize="unit", test_fraction=0.2)
def patches(*, stride: int = SIDE, **rows: Unpack[RowOptions]) -> Data:
    """Cut 32 × 32 colour patches from two photographs: 520 rows, 3072 pixels from 0 to 255.

    Natural images of the size of CIFAR-10 without a download: a Chinese temple (label −1) and a
    flower (+1), of 427 × 640 pixels each. A patch is stored as an image of CIFAR-10 is: its red
    pixels row by row, then green, then blue.

    Parameters
    ----------
    stride : int
        Pixels from one patch to the next, down and across. Below 32 there are more patches, and
        neighbours overlap, those held out with those trained on too.
    standardize, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation and choice of rows; rows are stratified by class.

    Returns
    -------
    Data
        Rows are numbered along each photograph from left to right and down, the temple's first.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError
        If the stride leaves fewer than one patch, or rows cannot be chosen.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.problem.patches(n_samples=20).X.shape
    (20, 3072)
    """
    photographs = np.stack(_sklearn_datasets().load_sample_images().images)  # china, flower
    height, width = (size - SIDE for size in photographs.shape[1:3])
    stride = checks.count("stride", stride, maximum=width)
    shape = (len(photographs), height // stride + 1, width // stride + 1)

    def cut(numbers: np.ndarray) -> np.ndarray:
        places = zip(*np.unravel_index(numbers, shape), strict=True)
        corners = ((which, stride * down, stride * across) for which, down, across in places)
        pieces = [photographs[w, i : i + SIDE, j : j + SIDE] for w, i, j in corners]
        return np.array(pieces).transpose(0, 3, 1, 2).reshape(len(pieces), -1)

    numbers = np.arange(math.prod(shape))
    y = class_labels(numbers // (shape[1] * shape[2]), [0, 1])
    info = {"source": "patches", "classes": class_meanings([0, 1], ["china", "flower"])}
    return from_images(cut, numbers, y, {**info, "stride": stride}, rows)
