"""Which rows are held out, and which are trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.draws import generator


def split_rows(
    y: np.ndarray,
    test_fraction: float,
    seed: int,
    n_samples: int | None,
    stratify: bool,
    classes: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose training and held-out rows, each in ascending order.

    `classes` are the names of the labels, of which every one must be trained on.
    """
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
    if classes:
        _check_every_class(y[order], n_test, n_train, test_fraction, classes)
    return np.sort(order[n_test:][:n_train]), np.sort(order[:n_test])


def _check_every_class(
    ordered: np.ndarray,
    n_test: int,
    n_train: int,
    test_fraction: float,
    classes: Mapping[str, Any],
) -> None:
    """Refuse a choice of rows that leaves a class untrained; name it and the option."""
    left = ordered[n_test:]
    rows = {name: np.flatnonzero(ordered == int(label)) for label, name in classes.items()}
    # Not all of the names need occur.
    last = min(int(found[-1]) for found in rows.values() if len(found))
    for label, name in classes.items():
        places = np.flatnonzero(left == int(label))
        if len(places) and places[0] < n_train:
            continue
        if not len(rows[name]):
            continue
        has = f"the class {name!r}, which has {len(rows[name])} of {len(ordered)} rows"
        if len(places):
            needed = max(
                int(np.flatnonzero(left == int(other))[0]) + 1
                for other in classes
                if (left == int(other)).any()
            )
            raise ArgumentError(
                "n_samples",
                message=f"n_samples={n_train} leaves out {has}; raise it to {needed} or more.",
            )
        most = math.floor(1000 * last / len(ordered)) / 1000
        remedy = f"lower it to {most:g}" if most else "set it to 0"
        raise ArgumentError(
            "test_fraction",
            message=f"test_fraction={test_fraction} holds out all of {has}; {remedy}.",
        )


def _class_quantiles(labels: np.ndarray) -> np.ndarray:
    """Place each row within its class, from 0 to 1: sorted by this, any stretch is balanced."""
    quantiles = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        quantiles[members] = (np.arange(len(members)) + 0.5) / len(members)
    return quantiles
