"""Measured against predicted constants: their ratio, with nothing fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.chaos.response.prediction import METRICS, ChaosPrediction
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr


def ratio(measured: Estimate, predicted: Estimate) -> Estimate:
    r"""Return measured over predicted, of independent positive estimates of one shape.

    The intervals of both add in the logarithm, as squares; 1 is expected.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = measured.value / predicted.value
        up, down = (
            np.hypot(np.log(getattr(a, end) / a.value), np.log(getattr(b, other) / b.value))
            for a, b, end, other in (
                (measured, predicted, "high", "low"),
                (measured, predicted, "low", "high"),
            )
        )
        low, high = value * np.exp(-down), value * np.exp(up)
    return Estimate(value, low, high, expected=1.0, resampled="replicas")


def add_prediction(dataset: xr.Dataset, prediction: ChaosPrediction) -> xr.Dataset:
    """Add what is predicted to the dataset of rates, whose times it was predicted for.

    ``*_predicted`` (time): the constant; ``*_ratio`` (particles, time): N times the mean over
    replicas, over that; ``*_predicted_line`` (particles): the constant at the time that was fitted,
    over N. Where there is no constant there is nothing.
    """
    added = dataset.copy()
    counts = dataset["particles"].values
    reference = float(dataset.attrs.get("reference_particles", np.inf))
    against = 1 / (1 / counts + 1 / reference)
    for metric in METRICS:
        predicted = prediction.estimate(metric)
        if not predicted.known:
            continue
        measured = Estimate.from_xarray(dataset[f"{metric}_mean"])
        scaled = measured.map(lambda mean: against[:, None] * mean)
        whole = Estimate.stack([predicted] * len(counts))
        added[f"{metric}_predicted"] = predicted.to_xarray(["time"])
        added[f"{metric}_ratio"] = ratio(scaled, whole).to_xarray(["particles", "time"])
        peak = int(np.abs(
            dataset[f"{metric}_mean"].sel(bound="value").values[-1]
            - dataset[f"{metric}_peak"].sel(bound="value").values[-1]
        ).argmin())  # fmt: skip
        added[f"{metric}_predicted_line"] = ("particles", predicted.value[peak] / against)
    return added
