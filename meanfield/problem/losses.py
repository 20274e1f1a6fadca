"""The losses in one table: value, derivatives in the prediction, and the labels they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from scipy import special

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.validation import CLASSES_OPTION, as_floating, as_numbers, encode_classes

Array = np.ndarray
_Checked = tuple[Array, Array]
"""Labels, and the targets they stand for."""


@dataclass(frozen=True, kw_only=True)
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
    name, code : str, int
        Canonical name; 0, 1 or 2 in the order of the table: compiled kernels switch on it.
    labels : {"real", "sign", "class"}
        What labels are: real numbers, ±1, or class labels 0..K−1.
    """

    name: str
    code: int
    labels: Literal["real", "sign", "class"]
    _value: Callable[[Array, Array], Array] = field(repr=False, compare=False)
    _derivative: Callable[[Array, Array], Array] = field(repr=False, compare=False)
    _curvature: Callable[[Array], Array] = field(repr=False, compare=False)
    _targets: Callable[[Array, str, int | None], _Checked] = field(repr=False, compare=False)

    def value(self, f: Array, targets: Array) -> Array:
        """Evaluate ``ℓ(f, y)`` at every data point, summed over outputs.

        Parameters
        ----------
        f, targets : ndarray of shape (..., n, k)
            Predictions and targets; see the table above.

        Returns
        -------
        ndarray of shape (..., n)
            In the dtype of `f`.
        """
        return self._value(*_aligned(f, targets))

    def derivative(self, f: Array, targets: Array) -> Array:
        """Evaluate the error signal ``r = ∂ℓ/∂f``.

        Parameters
        ----------
        f, targets : ndarray of shape (..., n, k)
            Predictions and targets; see the table above.

        Returns
        -------
        ndarray of shape (..., n, k)
            In the dtype of `f`.
        """
        return self._derivative(*_aligned(f, targets))

    def curvature(self, f: Array, targets: Array) -> Array:
        """Evaluate the Hessian ``∂²ℓ/∂f²``; of the losses here it is the same for all targets.

        Parameters
        ----------
        f, targets : ndarray of shape (..., n, k)
            Predictions and targets; see the table above.

        Returns
        -------
        ndarray of shape (..., n, k, k)
            In the dtype of `f`.
        """
        return self._curvature(_aligned(f, targets)[0])

    def check_labels(
        self, y: Any, *, n_points: int, name: str = "y", n_classes: int | None = None
    ) -> _Checked:
        """Return labels as given and as the targets of the loss.

        Parameters
        ----------
        y : array_like of shape (n,) or (n, k)
            Real values (squared), ±1 (logistic), or class labels 0..K−1 of shape (n,)
            (cross-entropy).
        n_points, name : int, str
            Number of rows that `y` must have, and what to call it in an error.
        n_classes : int, optional
            Number of classes when it is already known; otherwise every class must occur.

        Returns
        -------
        y, targets : ndarray
            A copy in the shape given, float64, or int64 for cross-entropy; and float64 of shape
            (n, k), one-hot for cross-entropy.

        Raises
        ------
        TypeError, ValueError
            If `y` does not hold finite real numbers, or does not suit the loss.
        """
        y = as_numbers(y, name)
        if y.ndim not in (1, 2):
            raise ArgumentError(name, f"must have shape (n,) or (n, k), got {y.shape}.")
        if len(y) != n_points:
            raise ArgumentError(
                name,
                f"has {len(y)} rows but X{name[1:]} has {n_points}; give one row per data point.",
            )
        return self._targets(y, name, n_classes)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process gets the entry of its own table.
        return get_loss, (self.name,)


def _aligned(f: Array, targets: Array) -> tuple[Array, Array]:
    checks.unmasked("targets", targets)
    f = as_floating(f)
    return f, np.asarray(targets, dtype=f.dtype)


def _squared(f: Array, targets: Array) -> Array:
    return 0.5 * np.square(f - targets).sum(axis=-1)


def _squared_derivative(f: Array, targets: Array) -> Array:
    return f - targets


def _squared_curvature(f: Array) -> Array:
    return np.broadcast_to(np.eye(f.shape[-1], dtype=f.dtype), (*f.shape, f.shape[-1]))


def _logistic(f: Array, targets: Array) -> Array:
    return np.logaddexp(-targets * f, 0).sum(axis=-1)


def _logistic_derivative(f: Array, targets: Array) -> Array:
    return -targets * special.expit(-targets * f)


def _logistic_curvature(f: Array) -> Array:
    s = special.expit(f)
    return (s * special.expit(-f))[..., None] * np.eye(f.shape[-1], dtype=f.dtype)


def _cross_entropy(f: Array, targets: Array) -> Array:
    # Relative to the true class first: a confident, right prediction keeps its small loss.
    margins = f - (f * targets).sum(axis=-1, keepdims=True)
    return special.logsumexp(margins, axis=-1)


def _cross_entropy_derivative(f: Array, targets: Array) -> Array:
    return special.softmax(f, axis=-1) - targets


def _cross_entropy_curvature(f: Array) -> Array:
    p = special.softmax(f, axis=-1)
    return p[..., None] * np.eye(f.shape[-1], dtype=f.dtype) - p[..., None] * p[..., None, :]


def _real_targets(y: Array, name: str, n_classes: int | None) -> _Checked:
    return y, y.reshape(len(y), -1).copy()


def _sign_targets(y: Array, name: str, n_classes: int | None) -> _Checked:
    if not (np.abs(y) == 1).all():
        remedy = "it is for two classes, cross-entropy for more, the squared loss for numbers"
        if name.endswith("_test"):
            remedy = "encode it as y is"
        elif len(np.unique(y)) == 2:
            signs = f"np.where(np.equal({name}, np.max({name})), 1, -1)"
            remedy = f"set {CLASSES_OPTION}, or convert with {signs}"
        raise ArgumentError(name, f"must be ±1 for the logistic loss, got {_some(y)}; {remedy}.")
    return _real_targets(y, name, n_classes)


def _class_targets(y: Array, name: str, n_classes: int | None) -> _Checked:
    if y.ndim != 1:
        call = "np.ravel" if y.shape[1] == 1 else "np.argmax"
        remedy = f"{call}({name})" if y.shape[1] == 1 else f"{call}({name}, axis=1) if one-hot"
        raise ArgumentError(
            name, f"must be 1-D class labels for cross-entropy, got shape {y.shape}; pass {remedy}."
        )
    found = np.unique(y)
    if n_classes is None:
        if len(found) < 2:
            raise ArgumentError(name, f"has one class only, {found[0]:g}; cross-entropy needs two.")
        n_classes = len(found)
        fits = np.array_equal(found, np.arange(n_classes))
        # Two classes become ±1 by that option.
        option = CLASSES_OPTION if n_classes > 2 else f"the logistic loss with {CLASSES_OPTION}"
        remedy = f"{option}, or {encode_classes(name)}"
    else:
        fits = bool(np.isin(found, np.arange(n_classes)).all())
        remedy = "the labels that y has"
    if not fits:
        raise ArgumentError(
            name,
            f"must hold the class labels 0..{n_classes - 1} for cross-entropy, "
            f"got {_some(y)}; use {remedy}.",
        )
    labels = y.astype(np.int64)
    return labels, np.eye(n_classes)[labels]


def _some(y: Array) -> str:
    """Show the distinct values, a few of them."""
    found = [f"{value:g}" for value in np.unique(y)[:6]]
    return "{" + ", ".join(found[:5]) + (", …" if len(found) > 5 else "") + "}"


_ROWS = (
    Loss(
        name="squared", code=0, labels="real", _targets=_real_targets, _value=_squared,
        _derivative=_squared_derivative, _curvature=_squared_curvature,
    ),
    Loss(
        name="logistic", code=1, labels="sign", _targets=_sign_targets, _value=_logistic,
        _derivative=_logistic_derivative, _curvature=_logistic_curvature,
    ),
    Loss(
        name="cross-entropy", code=2, labels="class", _targets=_class_targets,
        _value=_cross_entropy, _derivative=_cross_entropy_derivative,
        _curvature=_cross_entropy_curvature,
    ),
)  # fmt: skip

LOSSES: Mapping[str, Loss] = MappingProxyType({row.name: row for row in _ROWS})
"""Every loss by name, in the order of their codes."""


def get_loss(loss: str | Loss) -> Loss:
    """Look up a loss.

    Parameters
    ----------
    loss : str or Loss
        ``"squared"``, ``"logistic"`` or ``"cross-entropy"`` (case, ``-``, ``_`` and spaces do not
        matter), or an entry of `LOSSES`, which is returned as it is.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError, TypeError
        If no loss has this name, or `loss` is neither a name nor a `Loss`.
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str):
        raise ArgumentTypeError("loss", f"must be a name, not {type(loss).__name__}.")
    key = "-".join(loss.lower().replace("_", " ").replace("-", " ").split())
    key = "cross-entropy" if key == "crossentropy" else key
    return LOSSES[key if key in LOSSES else checks.choice("loss", loss, LOSSES)]
