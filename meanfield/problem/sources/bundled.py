"""Data sets that come with scikit-learn."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.data import Data, Standardization, from_arrays


def _sklearn_datasets() -> ModuleType:
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(
            'This data set comes with scikit-learn; pip install "meanfield[sklearn]".'
        ) from None
    return datasets


def digits(
    *,
    classes: list[int] | None = None,
    standardize: Standardization = "unit",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    n_samples: int | None = None,
) -> Data:
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
    labels = np.argsort(classes)[np.searchsorted(np.sort(classes), bunch.target[keep])]
    names = list(range(len(classes)))
    if len(classes) == 2:
        labels, names = 2 * labels - 1, [-1, 1]
    return from_arrays(
        bunch.data[keep],
        labels,
        standardize=standardize,
        test_fraction=test_fraction,
        split_seed=split_seed,
        n_samples=n_samples,
        stratify=True,
        info={
            "source": "digits",
            "classes": {str(name): int(c) for name, c in zip(names, classes, strict=True)},
        },
    )


def diabetes(
    *,
    standardize: Standardization = "unit",
    standardize_y: bool = True,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    n_samples: int | None = None,
) -> Data:
    """Load disease progression in 442 diabetes patients from ten measurements.

    Parameters
    ----------
    standardize, standardize_y, test_fraction, split_seed, n_samples : as for `from_arrays`
        Standardisation and choice of rows.

    Returns
    -------
    Data
        The data; `Data.original_units` maps predictions back.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    bunch = _sklearn_datasets().load_diabetes()
    return from_arrays(
        bunch.data,
        bunch.target,
        standardize=standardize,
        standardize_y=standardize_y,
        test_fraction=test_fraction,
        split_seed=split_seed,
        n_samples=n_samples,
        info={"source": "diabetes", "feature_names": list(bunch.feature_names)},
    )
