"""The losses: value per data point and derivative in the prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy import special

from meanfield.errors import ArgumentError, ArgumentTypeError, suggest

_Function = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Loss:
    """A loss ``ℓ(f, y)``, convex in the prediction ``f``.

    =============  =========================================  ===============================
    name           value                                      targets
    =============  =========================================  ===============================
    squared        ``½ Σ_o (f_o − y_o)²``                     real
    logistic       ``Σ_o log(1 + exp(−y_o f_o))``             ±1
    cross-entropy  ``log Σ_o exp(f_o) − f_class``             one-hot rows
    =============  =========================================  ===============================

    Attributes
    ----------
    name : str
        Canonical name.
    code : int
        0 squared, 1 logistic, 2 cross-entropy; compiled kernels switch on it.
    """

    name: str
    code: int
    _value: _Function = field(repr=False, compare=False)
    _derivative: _Function = field(repr=False, compare=False)

    def value(self, f: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Evaluate the loss at every data point, summed over outputs.

        Parameters
        ----------
        f : ndarray of shape (..., n, k)
            Predictions.
        targets : ndarray of shape (..., n, k)
            Targets, see the table above.

        Returns
        -------
        ndarray of shape (..., n)
            ``ℓ(f, y)`` in the dtype of `f`.
        """
        f, targets = _aligned(f, targets)
        return self._value(f, targets)

    def derivative(self, f: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Evaluate the error signal ``r = ∂ℓ/∂f``.

        Parameters
        ----------
        f : ndarray of shape (..., n, k)
            Predictions.
        targets : ndarray of shape (..., n, k)
            Targets, see the table above.

        Returns
        -------
        ndarray of shape (..., n, k)
            ``∂ℓ/∂f`` in the dtype of `f`.
        """
        f, targets = _aligned(f, targets)
        return self._derivative(f, targets)

    def __reduce__(self) -> tuple:
        # A worker process gets the entry of its own table.
        return get_loss, (self.name,)


def _aligned(f: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    f = np.asarray(f)
    if not np.issubdtype(f.dtype, np.floating):
        f = f.astype(np.float64)
    return f, np.asarray(targets, dtype=f.dtype)


def _squared(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return 0.5 * np.square(f - targets).sum(axis=-1)


def _squared_derivative(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return f - targets


def _logistic(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.logaddexp(-targets * f, 0).sum(axis=-1)


def _logistic_derivative(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -targets * special.expit(-targets * f)


def _cross_entropy(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # Relative to the true class first: a confident, right prediction keeps its small loss.
    margins = f - (f * targets).sum(axis=-1, keepdims=True)
    return special.logsumexp(margins, axis=-1)


def _cross_entropy_derivative(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return special.softmax(f, axis=-1) - targets


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "squared": Loss("squared", 0, _squared, _squared_derivative),
        "logistic": Loss("logistic", 1, _logistic, _logistic_derivative),
        "cross-entropy": Loss("cross-entropy", 2, _cross_entropy, _cross_entropy_derivative),
    }
)
"""Every loss by name, in the order of their codes."""


def get_loss(loss: str | Loss) -> Loss:
    """Look up a loss.

    Parameters
    ----------
    loss : str or Loss
        ``"squared"``, ``"logistic"`` or ``"cross-entropy"`` (case, ``-``, ``_`` and spaces do not
        matter), or an entry of the table, which is returned as it is.

    Returns
    -------
    Loss
        The entry of `LOSSES`.

    Raises
    ------
    ValueError
        If no loss has this name.
    TypeError
        If `loss` is neither a name nor a `Loss`.
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str):
        raise ArgumentTypeError("loss", f"must be a name, not {type(loss).__name__}.")
    key = "-".join(loss.lower().replace("_", " ").replace("-", " ").split())
    key = "cross-entropy" if key == "crossentropy" else key
    if key not in LOSSES:
        raise ArgumentError("loss", message=f"Unknown loss {loss!r}.{suggest(loss, LOSSES)}")
    return LOSSES[key]
