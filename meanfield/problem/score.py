"""Whether a network has learned: R² for numbers, accuracy for classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.problem.losses import Loss
from meanfield.statistics import score as statistics_of
from meanfield.statistics.estimate import Estimate


def score(loss: Loss, predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Estimate:
    """Return R² for the squared loss, else the accuracy; (R, n, k) against (n, k)."""
    if loss.labels == "real":
        return statistics_of.r2(predictions, targets)
    if loss.labels == "sign":
        right = (predictions * targets > 0).all(axis=2)
    else:
        right = np.equal(predictions.argmax(axis=2), targets.argmax(axis=1)[None])
    return statistics_of.accuracy(np.asarray(right))
