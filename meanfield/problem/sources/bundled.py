"""Data sets that come with scikit-learn."""

from __future__ import annotations

from types import ModuleType
from typing import Unpack

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.labels import class_labels, class_meanings
from meanfield.problem.sources.options import RowOptions, takes


def _sklearn_datasets() -> ModuleType:
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            'This data set comes with scikit-learn; pip install "meanfield[sklearn]".'
        ) from None
    return datasets


@takes(RowOptions, of=from_arrays, standardize="unit", test_fraction=0.2)
def digits(*, classes: list[int] | None = None, **rows: Unpack[RowOptions]) -> Data:
    """Load 8 × 8 images of handwritten digits: 1797 rows, 64 pixels from 0 to 16.

    Parameters
    ----------
    classes : list of int, optional
        The digits to keep; all ten by default. Two give labels −1 (the first) and +1, for the
        squared and the logistic loss; more give 0..K−1 in this order, for cross-entropy.
    standardize, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation and choice of rows; rows are stratified by class.

    Returns
    -------
    Data
        With ``info["classes"]`` the digit that each label stands for.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError
        If `classes` are not at least two distinct digits.
    """
    bunch = _sklearn_datasets().load_digits()
    classes = list(range(10)) if classes is None else list(classes)
    distinct = set(classes)
    if len(classes) < 2 or len(distinct) < len(classes) or not distinct <= set(range(10)):
        raise ArgumentError("classes", f"must be at least two distinct digits, got {classes}.")
    keep = np.isin(bunch.target, classes)
    y = class_labels(bunch.target[keep], classes)
    info = {"source": "digits", "classes": class_meanings(classes, map(int, classes))}
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
    """
    bunch = _sklearn_datasets().load_diabetes()
    info = {"source": "diabetes", "feature_names": list(bunch.feature_names)}
    return from_arrays(bunch.data, bunch.target, standardize_y=standardize_y, info=info, **rows)
