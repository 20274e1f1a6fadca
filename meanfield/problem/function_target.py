"""Target functions of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.targets import Target


@dataclass(frozen=True, eq=False)
class FunctionTarget(Target):
    """A function of the user's own.

    Parameters
    ----------
    function : callable
        Takes inputs (n, d) and returns finite numbers, (n,) or (n, k).
    n_features : int
        Input dimension ``d``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.problem.FunctionTarget(lambda x: np.sin(x[:, 0]), 1)([[0.0]])
    array([0.])
    """

    function: Callable[[np.ndarray], ArrayLike]
    n_features: int

    def __post_init__(self) -> None:
        self._store(n_features=checks.count("n_features", self.n_features))

    def _evaluate(self, X: np.ndarray) -> np.ndarray:
        return function_values(self.function, X).astype(float)

    @property
    def info(self) -> dict[str, Any]:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return {"kind": "function", "name": name, "n_features": self.n_features}

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, FunctionTarget) and self.function == other.function
        return same and super().__eq__(other)

    __hash__ = Target.__hash__


def as_target(target: Any, n_features: int | None = None) -> Target:
    """Return a target, or a function with what its inputs are, as a target."""
    known: Any = getattr(target, "n_features", n_features)
    if not callable(target):
        raise ArgumentTypeError(
            "target", f"must be a Target or a function of the rows, got {type(target).__name__}."
        )
    if known is None:
        raise ArgumentError(
            "n_features",
            "is needed: a function does not tell how many inputs it takes; give, for example, "
            "n_features=2.",
        )
    if n_features is not None and known != n_features:
        raise ArgumentError("n_features", f"is {n_features} but the target has {known} inputs.")
    if isinstance(target, Target):
        return target
    return FunctionTarget(target, known)


def function_values(target: Callable[[np.ndarray], ArrayLike], X: np.ndarray) -> np.ndarray:
    """Return the values of a function at inputs (n, d), checked: (n,) or (n, k)."""
    values = np.asarray(target(X))
    if values.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            "target", f"must return real numbers, got an array of {values.dtype}."
        )
    if values.ndim not in (1, 2) or len(values) != len(X):
        text = f"must return shape (n,) or (n, k) for n inputs, got {values.shape} for {len(X)} "
        raise ArgumentError("target", text + "inputs.")
    if not np.isfinite(values).all():
        raise ArgumentError(
            "target", "is NaN or infinite at some inputs; it must be finite wherever inputs fall."
        )
    return values
