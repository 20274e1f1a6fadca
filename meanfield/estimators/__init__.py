"""Estimators in the conventions of scikit-learn: networks of N neurons trained by the flow.

Needs scikit-learn, the extra ``sklearn``.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ImportError(
        "The estimators need scikit-learn; install it with: pip install 'meanfield[sklearn]'."
    )

from meanfield.estimators.classifier import MeanFieldClassifier
from meanfield.estimators.regressor import MeanFieldRegressor

__all__ = ["MeanFieldClassifier", "MeanFieldRegressor"]
