"""Measured against predicted constants: their ratio, with nothing fitted."""

from __future__ import annotations

import numpy as np

from meanfield.statistics.estimate import Estimate


def ratio(measured: Estimate, predicted: Estimate) -> Estimate:
    r"""Return measured over predicted, of independent positive estimates of one shape.

    The intervals of both add in the logarithm, as squares; 1 is expected.
    """
    value = measured.value / predicted.value
    up, down = (
        np.hypot(np.log(getattr(a, end) / a.value), np.log(getattr(b, other) / b.value))
        for a, b, end, other in (
            (measured, predicted, "high", "low"), (measured, predicted, "low", "high")
        )
    )  # fmt: skip
    return Estimate(
        value, value * np.exp(-down), value * np.exp(up), expected=1.0, resampled="replicas"
    )
