"""The losses: value, derivatives in the prediction, and the labels they are for.

The known ones stand in one table; others are made from functions by `Loss.from_function`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem import loss_functions as of
from meanfield.problem.loss_labels import TARGETS, Checked
from meanfield.problem.scalar.own import loss_program, name_of
from meanfield.problem.scalar.program import parse
from meanfield.problem.scalar.reference import Reference, load_reference
from meanfield.problem.validation import as_floating, as_numbers

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss ``ℓ(f, y)``: an entry of `LOSSES`, or made by `from_function`.

    =============  =========================================  ===============================
    name           value                                      targets
    =============  =========================================  ===============================
    squared        ``½ Σ_o (f_o − y_o)²``                     real
    logistic       ``Σ_o log(1 + exp(−y_o f_o))``             ±1
    cross-entropy  ``log Σ_o exp(f_o) − f_class``             one-hot rows
    huber(δ)       ``Σ_o ½ r² or δ (|r| − ½ δ)``, r = f − y    real
    quantile(q)    ``Σ_o max(q (y − f), (q − 1) (y − f))``    real
    =============  =========================================  ===============================

    The last two are made by `from_function`, too. What a loss computes is named by its code alone:
    an entry that was changed is refused.

    Attributes
    ----------
    name, code : str, int or str
        Canonical name; the place in the table, or the operations of the value and its two
        derivatives, for one of one's own.
    labels : {"real", "sign", "class"}
        What labels are: real numbers, ±1, or class labels 0..K−1.
    convex : bool
        Whether the loss is convex in the prediction.

    Raises
    ------
    ValueError
        If the code is that of an entry of the table and something else is not.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.problem.LOSSES["logistic"].value(np.zeros((1, 1)), np.ones((1, 1))).round(4).item()
    0.6931
    """

    name: str
    code: int | str = field(repr=False)
    labels: Literal["real", "sign", "class"]
    convex: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.code, str):
            if len(parse(self.code).outputs) != 3:
                raise ArgumentError("code", "must have three results: ℓ and two derivatives.")
            if self.labels not in ("real", "sign"):
                raise ArgumentError("labels", f"must be 'real' or 'sign', got {self.labels!r}.")
            if _key(self.name) in _BY_KEY:
                raise ArgumentError("name", f"{self.name!r} is that of a known loss; give another.")
        elif _BY_KEY and LOSSES.get(self.name) != self:
            raise ArgumentError(
                "loss",
                f"{self.name!r} is no entry of the table, which is not changed by hand; make one "
                "of your own with mf.Loss.from_function(value, derivative, curvature, name=…).",
            )

    @classmethod
    def from_function(
        cls,
        value: Callable[[float, float], float],
        derivative: Callable[[float, float], float] | None = None,
        curvature: Callable[[float, float], float] | None = None,
        *,
        name: str | None = None,
        labels: Literal["real", "sign"] = "real",
    ) -> Loss:
        """Make a loss of Python functions of a prediction f and a target y, one output at a time.

        Several outputs are summed. What the functions may do is said at `Activation.from_function`.

        Parameters
        ----------
        value : callable
            ``ℓ(f, y)``, finite at least for f in [−10, 10].
        derivative, curvature : callable, optional
            ``∂ℓ/∂f`` and ``∂²ℓ/∂f²`` at (f, y), which are checked against differences. Without
            them, they are derived.
        name : str, optional
            What reports call it, no name of a known loss; that of `value` by default.
        labels : {"real", "sign"}
            What targets are: real numbers, or ±1.

        Returns
        -------
        Loss

        Raises
        ------
        TypeError, ValueError
            If a function cannot be called with two numbers, does something that has no compiled
            form, or is not finite, or a derivative is not that of what comes before it.

        Examples
        --------
        >>> import math
        >>> import meanfield as mf
        >>> loss = mf.Loss.from_function(lambda f, y: math.log(math.cosh(f - y)), name="log-cosh")
        >>> loss.convex, loss.derivative(np.ones((1, 1)), np.zeros((1, 1))).round(6).item()
        (True, 0.761594)
        """
        if labels not in ("real", "sign"):
            raise ArgumentError("labels", f"must be 'real' or 'sign', got {labels!r}.")
        targets = (-2.3, -1.0, 0.37, 1.0, 4.1) if labels == "real" else (-1.0, 1.0)
        program, convex = loss_program(value, derivative, curvature, targets)
        return cls(name=name_of(value, name), code=program.text, labels=labels, convex=convex)

    @property
    def identity(self) -> str:
        """What tells it from others: its name, or a digest of the operations of one's own."""
        return self.name if isinstance(self.code, int) else parse(self.code).digest

    def _entrywise(self, which: int, f: Array, targets: Array) -> Array:
        """Evaluate one result of the operations of one's own."""
        f, targets = np.broadcast_arrays(f, targets)
        return parse(str(self.code)).part(which).evaluate(f, targets)[0]

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
        f, targets = _aligned(f, targets)
        if isinstance(self.code, int):
            return _FUNCTIONS[self.code].value(f, targets)
        return self._entrywise(0, f, targets).sum(axis=-1)

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
        f, targets = _aligned(f, targets)
        if isinstance(self.code, int):
            return _FUNCTIONS[self.code].derivative(f, targets)
        return self._entrywise(1, f, targets)

    def curvature(self, f: Array, targets: Array) -> Array:
        """Evaluate the Hessian ``∂²ℓ/∂f²``; of the table's it is the same for all targets.

        Parameters
        ----------
        f, targets : ndarray of shape (..., n, k)
            Predictions and targets; see the table above.

        Returns
        -------
        ndarray of shape (..., n, k, k)
            In the dtype of `f`.
        """
        f, targets = _aligned(f, targets)
        if isinstance(self.code, int):
            return _FUNCTIONS[self.code].curvature(f)
        return self._entrywise(2, f, targets)[..., None] * np.eye(f.shape[-1], dtype=f.dtype)

    def check_labels(
        self, y: Any, *, n_points: int, name: str = "y", n_classes: int | None = None
    ) -> Checked:
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
        return TARGETS[self.labels](y, name, n_classes, self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.code, int):
            # A worker process gets the entry of its own table.
            return get_loss, (self.name,)
        return partial(Loss, **{f.name: getattr(self, f.name) for f in fields(self)}), ()


def _aligned(f: Array, targets: Array) -> tuple[Array, Array]:
    checks.unmasked("targets", targets)
    f = as_floating(f)
    return f, np.asarray(targets, dtype=f.dtype)


class _Functions(NamedTuple):
    """What an entry of the table computes."""

    value: Callable[[Array, Array], Array]
    derivative: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array]


_FUNCTIONS = (
    _Functions(of.squared, of.squared_derivative, of.squared_curvature),
    _Functions(of.logistic, of.logistic_derivative, of.logistic_curvature),
    _Functions(of.cross_entropy, of.cross_entropy_derivative, of.cross_entropy_curvature),
)
_BY_KEY: dict[str, Loss] = {}
"""The entries by the key of their names, once they are all there."""


def _key(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


LOSSES: Mapping[str, Loss] = MappingProxyType({
    "squared": Loss(name="squared", code=0, labels="real"),
    "logistic": Loss(name="logistic", code=1, labels="sign"),
    "cross-entropy": Loss(name="cross-entropy", code=2, labels="class"),
})  # fmt: skip
"""The losses of the table by name, in the order of their codes."""
_BY_KEY.update((_key(name), loss) for name, loss in LOSSES.items())


@cache
def huber(delta: float = 1.0) -> Loss:
    """Return Huber's loss: squared up to a distance δ, and linear beyond.

    Parameters
    ----------
    delta : float
        δ > 0.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError, TypeError
        If δ is not positive.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> loss = mf.problem.huber(1.0)
    >>> loss.value(np.array([[3.0]]), np.zeros((1, 1))).item()  # linear beyond 1: 3 − 1/2
    2.5
    """
    delta = checks.positive("delta", delta)

    def value(f: float, y: float) -> float:
        r = abs(f - y)
        return 0.5 * r * r if r <= delta else delta * (r - 0.5 * delta)

    def derivative(f: float, y: float) -> float:
        return max(-delta, min(delta, f - y))

    return Loss.from_function(value, derivative, name=f"huber({delta:g})")


@cache
def quantile(level: float = 0.5) -> Loss:
    """Return the quantile loss, whose best constant is a quantile of the targets.

    Parameters
    ----------
    level : float
        q in (0, 1); of one half it is half the absolute deviation.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError, TypeError
        If q is not inside (0, 1).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> loss = mf.problem.quantile(0.9)
    >>> zero = np.zeros((1, 1))
    >>> loss.value(zero + 1, zero).round(6).item(), loss.value(zero - 1, zero).round(6).item()
    (0.1, 0.9)
    """
    level = checks.positive("level", level)
    if level >= 1:
        raise ArgumentError("level", f"must be below 1, got {level!r}.")

    def value(f: float, y: float) -> float:
        return max(level * (y - f), (level - 1) * (y - f))

    return Loss.from_function(value, name=f"quantile({level:g})")


_FAMILIES = {"huber": huber, "quantile": quantile}


def get_loss(loss: str | Loss) -> Loss:
    """Look up a loss.

    Parameters
    ----------
    loss : str or Loss
        ``"squared"``, ``"logistic"``, ``"cross-entropy"`` (case, ``-``, ``_`` and spaces do not
        matter), ``"huber"``, ``"huber(0.5)"``, ``"quantile(0.9)"``; or ``"module:name"``, a `Loss`
        or a function of f and y in a file of Python; or a `Loss`, which is returned as it is.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError, TypeError
        If no loss has this name, or `loss` is neither a name nor a `Loss`.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.problem.get_loss("squared").value(np.ones((1, 1)), np.zeros((1, 1))).item()
    0.5
    """
    if isinstance(loss, Reference):
        return get_loss(loss.found)
    if type(loss) is Loss:
        return loss
    if not isinstance(loss, str):
        remedy = ""
        if callable(loss) or isinstance(loss, Loss):
            remedy = "; make one of a function with mf.Loss.from_function"
        kind = type(loss).__name__
        raise ArgumentTypeError("loss", f"must be a name or a Loss, not {kind}{remedy}.")
    if ":" in loss:
        return loss_from_reference(loss)
    family, bracket, number = loss.lower().replace(" ", "").partition("(")
    if family in _FAMILIES and (not bracket or number.endswith(")")):
        try:
            values = [float(number[:-1])] if bracket else []
        except ValueError:
            said = f"{number[:-1]!r} is no number; write one, such as {_FAMILIES[family]().name}."
            raise ArgumentError("loss", message=f"loss {loss!r}: {said}") from None
        try:
            return _FAMILIES[family](*values)
        except ValueError as error:
            raise ArgumentError("loss", message=f"loss {loss!r}: {error}") from None
    known = _BY_KEY.get(_key(loss))
    return known or LOSSES[checks.choice("loss", loss, [*LOSSES, *_FAMILIES])]


def loss_from_reference(reference: str, folder: str | os.PathLike[str] | None = None) -> Loss:
    """Return the loss that stands under ``module:name`` in a file of Python.

    Parameters
    ----------
    reference : str
        The module and, after a colon, the name in it of a `Loss` or of a function of f and y.
    folder : str or path, optional
        Where the module is looked for first; then in the working directory, then where Python
        looks.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If there is no such thing, or it is no loss; see `Loss.from_function`.
    """
    found = load_reference("loss", reference, folder)
    if isinstance(found, Loss):
        return get_loss(found)
    try:
        derivatives = (getattr(found, name, None) for name in ("derivative", "curvature"))
        return Loss.from_function(found, *derivatives)
    except (ArgumentError, ArgumentTypeError) as error:
        raise ArgumentError("loss", message=f"{reference!r} is no loss: {error}") from None
