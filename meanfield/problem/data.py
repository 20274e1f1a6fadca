"""Data of a problem, and how raw rows become it: split, subsample, standardise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.draws import generator
from meanfield.problem.losses import get_loss
from meanfield.problem.problem import Problem
from meanfield.problem.targets import Target
from meanfield.problem.validation import as_inputs, as_numbers

Standardization = Literal["none", "zscore", "unit"]
"""Names of the ways to standardise inputs."""

Labels = Literal["numbers", "classes"]
"""What labels are: numbers to use as they are, or names of classes to encode."""


@dataclass(frozen=True, eq=False)
class Data:
    """Training data, held-out data, and the record of where they come from.

    Parameters
    ----------
    X, y : ndarray of shape (n, d), ndarray of shape (n,) or (n, k)
        Training inputs and labels.
    X_test, y_test : ndarray, optional
        Held-out inputs and labels.
    info : dict
        The source and what was done to it, in types that JSON knows.
    target : Target, optional
        The function that labels were made from, for synthetic data.
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    info: dict[str, Any] = field(default_factory=dict)
    target: Target | None = None

    def problem(self, **options: Any) -> Problem:
        """Make a problem from the data.

        Parameters
        ----------
        **options
            Arguments of `Problem` other than the data.

        Returns
        -------
        Problem
            Named after the source unless ``name`` is given.

        Raises
        ------
        ValueError
            If the labels are standardised and the loss is for classes.
        """
        loss = get_loss(options.get("loss", "squared"))
        if loss.labels != "real" and "y_mean" in self.info:
            raise ArgumentError(
                "standardize_y",
                message=f"labels are standardised, but the {loss.name} loss is for classes; drop "
                "standardize_y, or use the squared loss.",
            )
        data = {"X": self.X, "y": self.y, "X_test": self.X_test, "y_test": self.y_test}
        return Problem(**{"name": self.info.get("source"), **data, **options})

    def standardized(self, X: np.ndarray) -> np.ndarray:
        """Do to raw inputs what was done to those of the training part, ``(X − mean) / scale``.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs in the units of the source.

        Returns
        -------
        ndarray of shape (m, d)
        """
        X = as_inputs(X, n_features=self.X.shape[1])
        if "x_mean" not in self.info:
            return X
        return (X - self.info["x_mean"]) / self.info["x_scale"]

    def original_units(self, predictions: np.ndarray) -> np.ndarray:
        """Map predictions back to the units of the source's labels, ``mean + scale · predictions``.

        Parameters
        ----------
        predictions : array_like
            Predictions for the labels, standardised if these are.

        Returns
        -------
        ndarray
        """
        if "y_mean" not in self.info:
            return np.asarray(predictions)
        return np.asarray(self.info["y_mean"]) + np.asarray(self.info["y_scale"]) * predictions


def from_arrays(
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    y_test: Any = None,
    standardize: Standardization = "none",
    standardize_y: bool = False,
    labels: Labels = "numbers",
    test_fraction: float = 0.0,
    split_seed: int = 0,
    n_samples: int | None = None,
    stratify: bool = False,
    info: dict[str, Any] | None = None,
) -> Data:
    """Split, subsample and standardise arrays.

    The held-out rows are chosen first, so they do not depend on `n_samples`, and the training rows
    of a smaller `n_samples` are among those of a larger one. Statistics come from the training
    part only.

    Parameters
    ----------
    X, y : array_like of shape (n, d) and (n,) or (n, k)
        Inputs and labels.
    X_test, y_test : array_like, optional
        A held-out part of its own; then `test_fraction` must be 0.
    standardize : {"none", "zscore", "unit"}
        Inputs as they are; each column to mean 0 and variance 1; or that divided by the square
        root of the number of columns that vary, so that ``E|x|² = 1``, which suits first-layer
        weights ``w ~ N(0, I)``. Constant columns are centred, not scaled, and recorded.
    standardize_y : bool
        Whether labels are brought to mean 0 and variance 1.
    labels : {"numbers", "classes"}
        Whether labels are used as they are, or are names of classes, as text or numbers. Two
        classes become −1 and +1, for the logistic loss, more of them 0..K−1, for cross-entropy,
        in sorted order; rows are then stratified by class.
    test_fraction, split_seed : float, int
        Fraction of rows held out, 0 ≤ fraction < 1, and the seed of the choice of rows.
    n_samples : int, optional
        Number of training rows to keep; all by default.
    stratify : bool
        Whether held-out and training rows keep the proportions of the labels.
    info : dict, optional
        A record to extend.

    Returns
    -------
    Data
        With ``info`` holding the rows of the split, the statistics used and, where labels are
        classes, the class that each label stands for.

    Raises
    ------
    TypeError, ValueError
        If an array does not hold real numbers, arrays disagree in shape, or an option is out of
        range.
    """
    checks.choice("standardize", standardize, get_args(Standardization))
    if checks.choice("labels", labels, get_args(Labels)) == "classes":
        if standardize_y:
            raise ArgumentError("standardize_y", "is for numbers; drop it, or labels = 'classes'.")
        y, y_test, classes = _encode(y, y_test)
        info, stratify = {**(info or {}), "classes": classes}, True
    X, y = _pair(X, y, "")
    info = {"source": "arrays", **(info or {}), "standardize": standardize}
    rows, test_rows = _split(y, test_fraction, split_seed, n_samples, stratify)
    info |= {"split_seed": split_seed, "train_rows": rows.tolist()}
    if X_test is None and y_test is None:
        info["test_rows"] = test_rows.tolist()
        X_test, y_test = (X[test_rows], y[test_rows]) if len(test_rows) else (None, None)
    elif len(test_rows):
        raise ArgumentError("test_fraction", "must be 0 when there are X_test and y_test already.")
    else:
        X_test, y_test = _pair(X_test, y_test, "_test")
        if X_test.shape[1:] != X.shape[1:] or y_test.shape[1:] != y.shape[1:]:
            raise ArgumentError(
                "X_test",
                f"{X_test.shape} and y_test {y_test.shape} must have the columns of "
                f"X {X.shape} and y {y.shape}.",
            )
    X, y = X[rows], y[rows]
    if standardize != "none":
        mean, scale, constant = _statistics(X)
        if standardize == "unit":
            scale = scale * np.sqrt(max(1, X.shape[1] - len(constant)))
        X, X_test = _apply(X, mean, scale), _apply(X_test, mean, scale)
        info |= {"x_mean": mean.tolist(), "x_scale": scale.tolist(), "constant_features": constant}
    if standardize_y:
        mean, scale, constant = _statistics(y)
        if constant:
            raise ArgumentError("standardize_y", "needs labels that vary on the training rows.")
        y, y_test = _apply(y, mean, scale), _apply(y_test, mean, scale)
        info |= {"y_mean": mean.tolist(), "y_scale": scale.tolist()}
    return Data(X, y, X_test, y_test, info)


def class_labels(members: ArrayLike, classes: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Label members of `classes` by their places there: −1 and +1 for two classes, else 0..K−1."""
    order = np.argsort(classes)
    places = order[np.searchsorted(classes, members, sorter=order)]
    return 2 * places - 1 if len(classes) == 2 else places


def class_meanings(classes: Sequence[Any] | np.ndarray, names: Iterable[Any]) -> dict[str, Any]:
    """Return for the record what each label stands for."""
    return dict(zip(map(str, class_labels(classes, classes)), names, strict=True))


def _encode(y: Any, y_test: Any) -> tuple[np.ndarray, np.ndarray | None, dict[str, Any]]:
    """Return class labels for the losses, and the class that each of them stands for."""
    y = _class_names(y, "y")
    classes = np.unique(y)
    if len(classes) < 2:
        raise ArgumentError("y", f"has one class only, {classes[0]}; give labels of two or more.")
    if y_test is not None:
        y_test = _class_names(y_test, "y_test")
        unknown = np.setdiff1d(y_test, classes)
        if len(unknown):
            raise ArgumentError(
                "y_test", f"has the class {unknown[0]}, which y lacks; drop its rows."
            )
        y_test = class_labels(y_test, classes)
    return class_labels(y, classes), y_test, class_meanings(classes, classes.tolist())


def _class_names(labels: Any, name: str) -> np.ndarray:
    """Check names of classes: one per row, all numbers or all texts."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ArgumentError(name, f"must be one class per row, got shape {labels.shape}.")
    if all(isinstance(label, str) for label in labels):
        return labels.astype(str)
    numbers = as_numbers(labels, name)
    whole = (numbers == np.round(numbers)).all()
    return numbers.astype(np.int64) if whole else numbers


def _pair(X: Any, y: Any, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Check inputs and labels against each other."""
    if X is None or y is None:
        raise ArgumentError(
            f"{'X' if X is None else 'y'}{suffix}", "is missing; give both or neither."
        )
    X, numbers = as_inputs(X, "X" + suffix), as_numbers(y, "y" + suffix)
    y = numbers.astype(np.int64) if np.asarray(y).dtype.kind in "iu" else numbers
    if y.ndim not in (1, 2) or len(y) != len(X):
        raise ArgumentError(
            f"y{suffix}",
            f"must have one row for each of the {len(X)} rows of X{suffix}, got shape {y.shape}.",
        )
    return X, y


def _split(
    y: np.ndarray, test_fraction: float, seed: int, n_samples: int | None, stratify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Choose training and held-out rows, each in ascending order."""
    if checks.nonnegative("test_fraction", test_fraction) >= 1:
        raise ArgumentError("test_fraction", f"must be below 1, got {test_fraction}.")
    order = generator(checks.seed(seed, "split_seed"), 0).permutation(len(y))
    if stratify:
        order = order[np.argsort(_class_quantiles(y[order]), kind="stable")]
    n_test = round(test_fraction * len(y))
    if test_fraction and not n_test:
        raise ArgumentError(
            "test_fraction",
            message=f"test_fraction={test_fraction} of {len(y)} rows rounds to no held-out row; "
            "raise it, or set it to 0.",
        )
    n_left = len(y) - n_test
    if n_left == 0:
        raise ArgumentError(
            "test_fraction",
            message=f"test_fraction={test_fraction} leaves none of {len(y)} rows to train on.",
        )
    n_train = n_left if n_samples is None else checks.count("n_samples", n_samples)
    if n_train > n_left:
        raise ArgumentError(
            "n_samples", f"must be at most the {n_left} training rows, got {n_samples}."
        )
    return np.sort(order[n_test:][:n_train]), np.sort(order[:n_test])


def _class_quantiles(labels: np.ndarray) -> np.ndarray:
    """Place each row within its class, from 0 to 1: sorted by this, any stretch is balanced."""
    quantiles = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        quantiles[members] = (np.arange(len(members)) + 0.5) / len(members)
    return quantiles


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return mean, scale and the constant columns; a constant column keeps scale 1."""
    constant = (values == values[0]).all(axis=0)
    mean = np.where(constant, values[0], values.mean(axis=0))
    # Relative to the largest deviation, so that squares neither overflow nor vanish.
    largest = np.where(constant, 1.0, np.abs(values - mean).max(axis=0))
    scale = np.where(constant, 1.0, largest * ((values - mean) / largest).std(axis=0))
    return mean, scale, np.flatnonzero(constant).tolist()


def _apply(values: np.ndarray | None, mean: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    return None if values is None else (values - mean) / scale
