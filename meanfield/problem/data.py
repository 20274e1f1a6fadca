"""Data of a problem, and how raw rows become it: split, subsample, standardise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.labels import class_labels, class_meanings, class_names, sorted_classes
from meanfield.problem.losses import get_loss
from meanfield.problem.problem import Problem
from meanfield.problem.scaling import column_statistics, extreme_rows
from meanfield.problem.split import split_rows
from meanfield.problem.targets import Target
from meanfield.problem.validation import LARGEST, as_inputs, as_numbers, check_magnitude

Standardization = Literal["none", "zscore", "unit"]
"""Names of the ways to standardise inputs."""

Labels = Literal["numbers", "classes", "one-hot"]
"""What labels are: numbers to use as they are, or names of classes to encode in one of two ways."""

Missing = Literal["refuse", "drop", "mean"]
"""What becomes of missing values, NaN."""


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

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.load("single-index", n_features=2, n_train=20, n_test=10)
    >>> data.problem(activation="tanh", l2=0.01).n_data, data.X_test.shape
    (20, (10, 2))
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
            If the labels do not suit the loss: they are standardised or one-hot and it is for
            classes, or they number more than two classes and it is the squared loss.
        """
        loss = get_loss(options.get("loss", "squared"))
        if loss.labels != "real" and "y_mean" in self.info:
            raise ArgumentError(
                "standardize_y",
                message=f"labels are standardised, but the {loss.name} loss is for classes; drop "
                "standardize_y, or use the squared loss.",
            )
        kind = self.info.get("labels")
        if loss.labels != "real" and kind == "one-hot":
            other = "classes" if len(self.info["classes"]) == 2 or loss.labels == "class" else ""
            raise ArgumentError(
                "labels",
                message=f'labels = "one-hot" is for the squared loss, not the {loss.name} loss; '
                'set loss = "squared"' + (f', or labels = "{other}".' if other else "."),
            )
        if loss.labels == "real" and self.y.ndim == 1 and self._n_classes > 2:
            way_out = {"classes": 'labels = "one-hot"', "class": 'labels = "real"'}
            raise ArgumentError(
                "loss",
                message=f"the squared loss would treat the numbers 0..{self._n_classes - 1} of "
                'classes as quantities, as if neighbours were alike; set loss = "cross-entropy", '
                f"or {way_out.get(str(kind), 'choose two classes')}.",
            )
        if kind == loss.labels == "class":
            self._check_drawn_classes()
        data = {"X": self.X, "y": self.y, "X_test": self.X_test, "y_test": self.y_test}
        return Problem(**{"name": self.info.get("source"), **data, **options})

    def _check_drawn_classes(self) -> None:
        """Refuse rows drawn from a target of which none is of a class that others are numbered by.

        A second class is always asked for.
        """
        drawn = self.y if self.y_test is None else np.concatenate([self.y, self.y_test])
        lacking = np.setdiff1d(np.arange(max(int(drawn.max()), 1) + 1), self.y)
        if lacking.size:
            raise ArgumentError(
                "n_train",
                f"= {len(self.y)} leaves class {lacking[0]} without a training row; raise n_train, "
                "or draw rows by another seed.",
            )

    @property
    def _n_classes(self) -> int:
        """Number of classes that labels number, 0 where they are numbers."""
        if self.info.get("labels") == "class":
            return len(np.unique(self.y))
        return len(self.info.get("classes", ()))

    def standardized(self, X: np.ndarray) -> np.ndarray:
        """Do to raw inputs what was done to those of the training part, ``(X − mean) / scale``.

        Where missing values were filled in, NaN becomes the mean of its column here too.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs in the units of the source.

        Returns
        -------
        ndarray of shape (m, d)
        """
        fill = self.info.get("x_fill")
        X = as_inputs(X, n_features=self.X.shape[1], gaps=fill is not None)
        if fill is not None:
            X = np.where(np.isnan(X), fill, X)
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
        checks.unmasked("predictions", predictions)
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
    missing: Missing = "refuse",
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
        weights ``w ~ N(0, I)``. Columns that are constant, up to rounding, are centred, not
        scaled, and recorded.
    standardize_y : bool
        Whether labels are brought to mean 0 and variance 1.
    labels : {"numbers", "classes", "one-hot"}
        Whether labels are used as they are, or are names of classes, as text or numbers. As
        ``"classes"`` two of them become −1 and +1, for the logistic loss, more of them 0..K−1, for
        cross-entropy, in sorted order; ``"one-hot"`` makes one column of 0 and 1 for each class,
        for the squared loss. Rows are then stratified by class.
    missing : {"refuse", "drop", "mean"}
        What becomes of missing values, NaN, or None for a class: refused; their rows left out; or
        the mean of the column over the training rows put in their place, which labels do not have.
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
        With ``info`` holding the rows of the split, counted as they were given, what was done
        about missing values, the statistics used and, where labels are classes, the class that
        each label stands for.

    Raises
    ------
    TypeError, ValueError
        If an array does not hold real numbers, arrays disagree in shape, or an option is out of
        range.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    >>> data = mf.problem.from_arrays(X, X[:, 0], standardize="unit", test_fraction=0.2)
    >>> data.X.shape, data.X_test.shape, float((data.X**2).sum(axis=1).mean().round(6))
    ((40, 4), (10, 4), 1.0)
    """
    checks.choice("standardize", standardize, get_args(Standardization))
    checks.choice("labels", labels, get_args(Labels))
    checks.choice("missing", missing, get_args(Missing))
    if labels != "numbers" and standardize_y:
        raise ArgumentError("standardize_y", f"is for numbers; drop it, or labels = {labels!r}.")
    info = {"source": "arrays", **(info or {}), "standardize": standardize}
    X, y, kept, n_rows = *_rows(X, y, "", labels, missing), len(X)
    given_test = X_test is not None or y_test is not None
    if given_test:
        if test_fraction:
            raise ArgumentError(
                "test_fraction", "must be 0 when there are X_test and y_test already."
            )
        n_given = len(X_test) if X_test is not None else 0
        X_test, y_test, kept_test = _rows(X_test, y_test, "_test", labels, missing)
        if X_test.shape[1:] != X.shape[1:] or y_test.shape[1:] != y.shape[1:]:
            raise ArgumentError(
                "X_test",
                f"{X_test.shape} and y_test {y_test.shape} must have the columns of "
                f"X {X.shape} and y {y.shape}.",
            )
    if labels != "numbers":
        y, y_test, meanings = _encode(y, y_test)
        info |= {"labels": labels, "classes": meanings}
        stratify = True
    classes = info.get("classes")
    rows, test_rows = split_rows(y, test_fraction, split_seed, n_samples, stratify, classes)
    info |= {"split_seed": split_seed, "train_rows": kept[rows].tolist()}
    if not given_test:
        info["test_rows"] = kept[test_rows].tolist()
        X_test, y_test = (X[test_rows], y[test_rows]) if len(test_rows) else (None, None)
    X, y = X[rows], y[rows]
    if labels == "one-hot":
        info["classes"] = {str(i): name for i, name in enumerate(meanings.values())}
        values = np.array([int(label) for label in meanings])
        y, y_test = (None if v is None else 1.0 * (v[:, None] == values) for v in (y, y_test))
    if missing == "drop":
        info["missing"] = {"rule": "drop", "rows": _left_out(kept, n_rows)}
        if given_test:
            info["missing"]["test_rows"] = _left_out(kept_test, n_given)
    elif missing == "mean":
        fill = _known_means(X, info.get("feature_names"))
        gaps = np.isnan(X).sum(axis=0) + (0 if X_test is None else np.isnan(X_test).sum(axis=0))
        names = info.get("feature_names") or [str(j) for j in range(X.shape[1])]
        counts = {name: int(n) for name, n in zip(names, gaps, strict=True) if n}
        info |= {"missing": {"rule": "mean", "filled": counts}, "x_fill": fill.tolist()}
        X = np.where(np.isnan(X), fill, X)
        X_test = None if X_test is None else np.where(np.isnan(X_test), fill, X_test)
    whole, places = [(X, y)], kept[rows]
    if X_test is not None and not given_test:
        whole, places = [*whole, (X_test, y_test)], kept[np.concatenate([rows, test_rows])]
    seen, told = (np.concatenate(part) for part in zip(*whole, strict=True))
    notes = _extremes(seen, told if labels == "numbers" else None, info, places)
    if notes:
        info["notes"] = [*info.get("notes", ()), *notes]
    if standardize != "none":
        mean, scale, constant = column_statistics(X)
        if standardize == "unit":
            scale = scale * np.sqrt(max(1, X.shape[1] - len(constant)))
        X, X_test = _apply(X, mean, scale, "X"), _apply(X_test, mean, scale, "X")
        info |= {"x_mean": mean.tolist(), "x_scale": scale.tolist(), "constant_features": constant}
    if standardize_y:
        mean, scale, constant = column_statistics(y)
        if constant:
            raise ArgumentError("standardize_y", "needs labels that vary on the training rows.")
        y, y_test = _apply(y, mean, scale, "y"), _apply(y_test, mean, scale, "y")
        info |= {"y_mean": mean.tolist(), "y_scale": scale.tolist()}
    return Data(X, y, X_test, y_test, info)


def _extremes(
    X: np.ndarray, y: np.ndarray | None, info: dict[str, Any], places: np.ndarray
) -> list[str]:
    """Note labels and inputs of a few rows that have nearly all of the variance."""
    names = info.get("feature_names") or [f"number {j + 1}" for j in range(X.shape[1])]
    found = [(f"the input {names[j]}", *at) for j, at in extreme_rows(X).items()]
    if y is not None:
        found[:0] = [("the label", *at) for at in extreme_rows(y.reshape(len(y), -1)).values()]
    return [
        f"{what[:1].upper()}{what[1:]} of row {', '.join(map(str, places[rows[:5]]))}, counted "
        f"from 0, is {far:.2g} times as far from the median as nine rows in ten are, and has "
        "nearly all of the variance, so that little else is learned; correct it or leave it out if "
        "it is an error, or take logarithms."
        for what, rows, far in found[:5]
    ]


def _rows(
    X: Any, y: Any, suffix: str, labels: Labels, missing: Missing
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check inputs and labels against each other; return them and the places of their rows."""
    if X is None or y is None:
        raise ArgumentError(
            f"{'X' if X is None else 'y'}{suffix}", "is missing; give both or neither."
        )
    X = as_inputs(X, "X" + suffix, gaps=True)
    check_magnitude(X, "X" + suffix, LARGEST)
    if labels == "numbers":
        given, y = y, as_numbers(y, "y" + suffix, gaps=True)
        check_magnitude(y, "y" + suffix, LARGEST)
        if np.asarray(given).dtype.kind in "iu" and np.abs(y).max() < 2**63:
            y = y.astype(np.int64)
        gaps = np.isnan(y.reshape(len(y), -1)).any(axis=1) if y.ndim else np.isnan(y)
    else:
        names = class_names(y, "y" + suffix)
        y = np.empty(len(names), dtype=object)
        y[:] = names
        gaps = np.array([name is None for name in names])
    if y.ndim not in (1, 2) or len(y) != len(X):
        raise ArgumentError(
            f"y{suffix}",
            f"must have one row for each of the {len(X)} rows of X{suffix}, got shape {y.shape}.",
        )
    x_gaps = np.isnan(X).any(axis=1)
    for name, lacking, remedies in (("X", x_gaps, ("drop", "mean")), ("y", gaps, ("drop",))):
        if lacking.any() and missing not in remedies:
            options = " or ".join(f'"{option}"' for option in remedies)
            raise ArgumentError(
                name + suffix,
                f"has missing values in {lacking.sum()} of {len(X)} rows, the first at index "
                f"{int(lacking.argmax())}; fill them in, or set missing = {options}.",
            )
    keep = ~(x_gaps | gaps) if missing == "drop" else np.ones(len(X), dtype=bool)
    if not keep.any():
        raise ArgumentError(
            "missing", f'= "drop" leaves no row: all {len(X)} have a missing value; leave the '
            'columns out that lack most, or set missing = "mean".'
        )  # fmt: skip
    return X[keep], y[keep], np.flatnonzero(keep)


def _encode(y: np.ndarray, y_test: np.ndarray | None) -> tuple[Any, Any, dict[str, Any]]:
    """Return class labels for the losses, and the class that each of them stands for."""
    classes = sorted_classes(y)
    if len(classes) < 2:
        raise ArgumentError("y", f"has one class only, {classes[0]}; give labels of two or more.")
    if y_test is not None:
        unknown = sorted_classes(set(y_test) - set(classes))
        if unknown:
            raise ArgumentError(
                "y_test", f"has the class {unknown[0]}, which y lacks; drop its rows."
            )
        y_test = class_labels(y_test, classes)
    return class_labels(y, classes), y_test, class_meanings(classes, classes)


def _left_out(kept: np.ndarray, n_rows: int) -> list[int]:
    """Return the places of the rows that were not kept."""
    return sorted(set(range(n_rows)) - set(kept.tolist()))


def _known_means(X: np.ndarray, names: list[str] | None) -> np.ndarray:
    """Return the mean of the values that each column has."""
    known = ~np.isnan(X)
    empty = np.flatnonzero(~known.any(axis=0))
    if len(empty):
        column = repr(names[empty[0]]) if names else f"{empty[0]}, counted from 0,"
        raise ArgumentError(
            "missing", f'= "mean" needs a value on some training row, but column {column} has '
            "none; leave it out."
        )  # fmt: skip
    return np.array([column[here].mean() for column, here in zip(X.T, known.T, strict=True)])


def _apply(
    values: np.ndarray | None, mean: np.ndarray, scale: np.ndarray, name: str
) -> np.ndarray | None:
    """Standardise; rows that are held out can be far beyond the scale of the others."""
    if values is None:
        return None
    with np.errstate(over="ignore"):
        scaled = (values - mean) / scale
    if not np.isfinite(scaled).all():
        raise ArgumentError(
            name,
            f"has held-out rows as large as {np.abs(values).max():.2g} where training rows vary by "
            f"{scale.min():.2g}: standardised they are no numbers; leave them out.",
        )
    return scaled
