"""Networks for regression."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from meanfield.estimators.network import Array, MeanFieldNetwork, shared_docstring
from meanfield.problem.scaling import weighted_moments


class MeanFieldRegressor(RegressorMixin, MeanFieldNetwork):  # type: ignore[misc]
    __doc__ = (
        """A two-layer network of N neurons for regression, trained by the mean-field flow.

    ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``, least squares, weighted by `sample_weight`.
    Multi-output, and every datum of weight m counts as m data.
"""
        + shared_docstring(";\n        labels are scaled to variance 1")
        + """
    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from meanfield import MeanFieldRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MeanFieldRegressor(random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    """
    )

    _label_checks: ClassVar[dict[str, bool]] = {"multi_output": True, "y_numeric": True}

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Train networks from their initial law.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs; a data frame gives its names of columns too.
        y : array_like of shape (n,) or (n, k)
            Real labels.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss, not negative; all alike by default.

        Returns
        -------
        MeanFieldRegressor
            This estimator.
        """
        return self._fit(*self._checked(X, y, sample_weight, reset=True))

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Make one step on a batch; the first batch fixes the standardization.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.
        y : array_like of shape (n,) or (n, k)
            Real labels.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss.

        Returns
        -------
        MeanFieldRegressor
            This estimator.
        """
        first = not hasattr(self, "particles_")
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._begin(X, y, weights)
        elif np.shape(y)[1:] != np.shape(self._y_centre):
            raise ValueError(
                f"y has shape {np.shape(y)}, but earlier batches had {np.size(self._y_centre)} "
                "outputs; use one layout."
            )
        self._advance_by_one(X, y, weights)
        return self

    def predict(self, X: Any) -> Array:
        """Predict labels.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,) or (m, k)
            Labels, in their own units.
        """
        return self._outputs(X) * self._y_scale + self._y_centre

    def _loss(self, y: Array) -> str:
        return "squared"

    def _begin_output(self, y: Array, weights: Array) -> None:
        columns = y.reshape(len(y), -1)
        still = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        centre, scale = weighted_moments(columns, weights) if self.standardize else still
        self._y_centre, self._y_scale = centre.reshape(y.shape[1:]), scale.reshape(y.shape[1:])

    def _encode(self, y: Array) -> Array:
        return (y - self._y_centre) / self._y_scale

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags
