"""Networks for classification."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from meanfield.estimators.network import Array, MeanFieldNetwork, shared_docstring
from meanfield.problem.labels import class_places


class MeanFieldClassifier(ClassifierMixin, MeanFieldNetwork):  # type: ignore[misc]
    __doc__ = (
        """A two-layer network of N neurons for classification, trained by the mean-field flow.

    ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``: logistic loss for two classes, cross-entropy for
    more, weighted by `sample_weight`. Every datum of weight m counts as m data.
"""
        + shared_docstring()
        + """    classes_ : ndarray
        The classes, sorted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from meanfield import MeanFieldClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MeanFieldClassifier(random_state=0).fit(X, y)
    >>> model.predict_proba(X[:3]).shape
    (3, 3)
    """
    )

    _label_checks: ClassVar[dict[str, bool]] = {}

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Train networks from their initial law.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs; a data frame gives its names of columns too.
        y : array_like of shape (n,)
            Classes: numbers or strings, at least two of them.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss, not negative; all alike by default.

        Returns
        -------
        MeanFieldClassifier
            This estimator.
        """
        X, y, weights = self._checked(X, y, sample_weight, reset=True)
        check_classification_targets(y)
        self.classes_ = _at_least_two(np.unique(y))
        return self._fit(X, y, weights)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Make one step on a batch; the first batch fixes the standardization.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.
        y : array_like of shape (n,)
            Classes.
        classes : array_like, optional
            All classes that will ever come; needed at the first call.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss.

        Returns
        -------
        MeanFieldClassifier
            This estimator.
        """
        first = not hasattr(self, "particles_")
        if first and classes is None:
            raise ValueError("classes must be given at the first call of partial_fit.")
        if classes is not None:
            classes = _at_least_two(np.unique(classes))
            if not first and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes are {classes.tolist()}, but at the first call they were "
                    f"{self.classes_.tolist()}."
                )
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        if first:
            self.classes_ = classes
            self._begin(X, y, weights)
        places = class_places(y, self.classes_)
        if (places < 0).any():
            raise ValueError(
                f"y holds {y[places < 0].tolist()[0]!r}, which is not among the classes."
            )
        y = self.classes_[places]  # of one type: joined with other integers they would be rounded
        # One datum of no weight per class: a batch need not hold them all.
        self._advance_by_one(X, y, weights, self.classes_)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the outputs of the network.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,) or (m, K)
            For two classes the log-odds of the second one; else one output per class.
        """
        return self._outputs(X)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of every class.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m, K)
            Rows sum to 1; columns in the order of `classes_`.
        """
        outputs = self._outputs(X)
        if outputs.ndim == 1:
            return np.stack([special.expit(-outputs), special.expit(outputs)], axis=1)
        return special.softmax(outputs, axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,)
            Entries of `classes_`.
        """
        outputs = self._outputs(X)
        best = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        return self.classes_[best]

    def _loss(self, y: NDArray[Any]) -> str:
        return "logistic" if len(self.classes_) == 2 else "cross-entropy"

    def _counted(self, y: NDArray[Any], weights: Array) -> NDArray[np.bool_]:
        # Every output needs its class, with or without weight.
        return (weights > 0) | ~np.isin(y, y[weights > 0])

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        places = class_places(y, self.classes_)
        return 2.0 * places - 1 if len(self.classes_) == 2 else places


def _at_least_two(classes: NDArray[Any]) -> NDArray[Any]:
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}; a classifier needs two."
        )
    return classes
