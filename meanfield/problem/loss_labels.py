"""Labels as losses take them: checked, and as the targets that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.validation import CLASSES_OPTION, encode_classes

Array = np.ndarray
Checked = tuple[Array, Array]
"""Labels, and the targets they stand for."""


def _real_targets(y: Array, name: str, n_classes: int | None, loss: str) -> Checked:
    return y, y.reshape(len(y), -1).copy()


def _sign_targets(y: Array, name: str, n_classes: int | None, loss: str) -> Checked:
    if not (np.abs(y) == 1).all():
        remedy = "it is for two classes, cross-entropy for more, the squared loss for numbers"
        if name.endswith("_test"):
            remedy = "encode it as y is"
        elif len(np.unique(y)) == 2:
            signs = f"np.where(np.equal({name}, np.max({name})), 1, -1)"
            remedy = f"set {CLASSES_OPTION}, or convert with {signs}"
        raise ArgumentError(name, f"must be ±1 for the {loss} loss, got {_some(y)}; {remedy}.")
    return _real_targets(y, name, n_classes, loss)


def _class_targets(y: Array, name: str, n_classes: int | None, loss: str) -> Checked:
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


TARGETS: dict[str, Callable[[Array, str, int | None, str], Checked]] = {
    "real": _real_targets,
    "sign": _sign_targets,
    "class": _class_targets,
}
"""By what labels are; called with them, their name, the number of classes and the loss's name."""
