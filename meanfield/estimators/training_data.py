"""Training data that scikit-learn would refuse in NumPy's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.validation import encode_texts

_REMEDIES = {
    "X": encode_texts("X"),
    "y": "take MeanFieldClassifier if they are classes, else correct them",
}


def texts_refused(given: dict[str, Any]) -> ArgumentError | None:
    """Return the error for texts in the first argument, `X` or `y`, that has any."""
    for name, values in given.items():
        found = next((entry for entry in np.ravel(values) if _is_text(entry)), None)
        if found is not None:
            return ArgumentError(
                name, f"must hold numbers, but has the text {str(found)!r}; {_REMEDIES[name]}."
            )
    return None


def _is_text(entry: Any) -> bool:
    """Tell whether an entry is a text that is no number."""
    if not isinstance(entry, str):
        return False
    try:
        float(entry)
    except ValueError:
        return True
    return False
