"""Whether a network has learned: R² for numbers, accuracy for classes, and a loss that rose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.problem.losses import Loss
from meanfield.statistics import score as statistics_of
from meanfield.statistics.estimate import Estimate, Note

#: A loss below this is rounding: it cannot be said to rise.
_NO_LOSS = 1e-25


def score(loss: Loss, predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Estimate:
    """Return R² for the squared loss, else the accuracy; (R, n, k) against (n, k)."""
    if loss.labels == "real":
        return statistics_of.r2(predictions, targets)
    return statistics_of.accuracy(is_right(loss, predictions, targets))


def is_right(
    loss: Loss, predictions: NDArray[np.floating], targets: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return on which rows (R, n) networks (R, n, k) choose the class of the targets (n, k)."""
    if loss.labels == "sign":
        return np.asarray((predictions * targets > 0).all(axis=2))
    return np.asarray(predictions.argmax(axis=2) == targets.argmax(axis=1))


def loss_rose(start: float, end: float) -> tuple[Note, ...]:
    """Return a caution for a training loss that is larger at the end than at the start."""
    if end <= max(start * (1 + 1e-9), _NO_LOSS):
        return ()
    text = (
        f"The run did not learn: the training loss is larger at the end ({end:.3g}) than at the "
        f"start ({start:.3g}). The step size is probably too large; lower step_size (or "
        "temperature, if there is noise)."
    )
    return (Note("loss-rose", text),)


def cautioned(estimate: Estimate, notes: tuple[Note, ...]) -> Estimate:
    """Return an estimate with further notes, these first."""
    return replace(estimate, notes=(*notes, *estimate.notes))
