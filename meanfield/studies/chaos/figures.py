"""Figures of the study `chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.rates import by_count, fitted_points, guide, points
from meanfield.plots.style import (
    BLACK,
    PURPLE,
    VERMILION,
    band,
    count_axis,
    legend_below,
    legend_beside,
    log_scale,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_law_bias(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared bias of the law against N, with the expected slope."""
    counts = dataset["particles"].values
    bias = Estimate.from_xarray(dataset["law_bias_mean"])
    seen = bias.low > 0
    shown = dataset.isel(particles=np.flatnonzero(seen))
    if seen.any():
        points(ax, shown, "law_bias_mean", PURPLE, "D", r"$|\mathrm{E} f_N - \bar f|^2$")
        first = np.flatnonzero(seen)[0]
        start = 1.8 * bias.value[first]
        guide(ax, counts[first:], start, -2.0, "expected: slope $-2$")
    if not seen.all():
        bound = {"color": PURPLE, "fillstyle": "none", "label": "upper bound"}
        ax.plot(counts[~seen], bias.high[~seen], "v", **bound)
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel("squared bias of the law")
    legend_beside(ax)
    return ax


def plot_raw_w2(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the raw squared distance beside its sampling floor."""
    counts = dataset["particles"].values
    _beside_floor(ax, dataset, "raw_w2", "sampling_floor")
    p = int(dataset.attrs["n_parameters"])
    start = dataset["sampling_floor_mean"].sel(bound="value").values[0]
    if p > 4:
        guide(ax, counts, start, -2.0 / p, rf"independent: slope $-2/{p}$")
    guide(ax, counts, start, -1.0, "for comparison: slope $-1$", style=":")
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel(r"raw $W_2^2$ at the last time")
    legend_below(ax)
    return ax


def plot_law_w2(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the exact squared distance to the limit law beside its sampling floor."""
    counts = dataset["particles"].values
    _beside_floor(ax, dataset, "law_w2", "law_floor")
    start = 1.5 * dataset["law_w2_mean"].sel(bound="value").values[0]
    guide(ax, counts, start, -1.0, "for comparison: slope $-1$", style=":")
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel(r"$W_2^2$ to the limit law, last time")
    legend_below(ax)
    return ax


def _beside_floor(ax: Axes, dataset: xr.Dataset, metric: str, floor: str) -> None:
    """Draw a distance and its sampling floor against N, with their fits."""
    for name, label, colour, marker, shift in (
        (metric, "trained particles", VERMILION, "o", 1.02),
        (floor, "sampling floor", BLACK, "s", 0.98),
    ):
        fitted_points(ax, dataset, name, f"{name}_mean", label, colour, marker, shift)


def plot_chaos_loss(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the training loss over time for every N and in the limit."""
    time, counts = dataset["time"].values, dataset["particles"].values
    for count, colour, marker in by_count(counts):
        loss = Estimate.from_xarray(dataset["loss_mean"].sel(particles=count))
        band(ax, time, loss, color=colour, marker=marker, label=f"$N = {count}$")
    limit = dataset["mean_field_loss"].values
    ax.plot(time, limit, "--", color=BLACK, label=r"limit $N \to \infty$")
    log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"mean loss $R(f_N)$")
    legend_beside(ax)
    return ax
