"""Figures of the study `references`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.chaos import guide
from meanfield.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    axes,
    count_axis,
    legend_below,
    legend_beside,
    log_scale,
    slope_text,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

# Name in the data, label, colour, marker, line style, and a shift that keeps intervals apart.
_REFERENCES = {
    "particles": ("large system", ORANGE, "s", "--", 0.93),
    "chain": ("law of the chain", BLUE, "o", "-", 1.0),
    "fokker-planck": ("Fokker–Planck", VERMILION, "^", "-.", 1.07),
    "gaussian": ("Gaussian closure", GREEN, "D", ":", 1.0),
}


def plot_reference_rates(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the coupling distance against N for every reference.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `references`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    return _against_counts(dataset, axes(ax), "coupling", r"coupling distance $D_N$")


def plot_reference_laws(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the exact distance to the limit law against N for every reference that has one.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `references`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    return _against_counts(dataset, axes(ax), "law_w2", r"$W_2^2$ to the limit law")


def _against_counts(dataset: xr.Dataset, ax: Axes, metric: str, label: str) -> Axes:
    counts, top = dataset["particles"].values, 0.0
    for name, (text, colour, marker, _, shift) in _REFERENCES.items():
        if name not in dataset["reference"].values:
            continue
        at = dataset.sel(reference=name)
        mean, low, high = (at[f"{metric}_{part}"].values for part in ("mean", "low", "high"))
        if np.isnan(mean).any():
            continue
        slope = slope_text(Estimate(*at[f"{metric}_slope"].values), digits=3)
        bars = [mean - low, high - mean]
        ax.errorbar(shift * counts, mean, bars, fmt=marker, color=colour, label=f"{text}: {slope}")
        top = max(top, float(high[0]))
    guide(ax, counts, 1.4 * top, -1.0, "slope $-1$")
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel(label)
    legend_below(ax)
    return ax


def plot_reference_gaps(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw how far the predictions of the references are from each other over time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `references`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time = dataset["time"].values
    for name in dataset["reference"].values:
        if name != dataset.attrs["base"]:
            text, colour, _, style, _ = _REFERENCES[str(name)]
            gap = dataset["gap"].sel(reference=name).values
            seen = gap > 1e-12  # at the start they agree to rounding
            ax.plot(time[seen], gap[seen], style, color=colour, label=text)
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    base = _REFERENCES[dataset.attrs["base"]][0]
    ax.set_ylabel(f"distance of predictions from the {base}")
    legend_beside(ax)
    return ax
