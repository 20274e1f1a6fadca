"""Figures of the study `chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    axes,
    band,
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


# Metric, label, colour, marker, and a shift along the axis that keeps intervals apart.
_METRICS = (
    ("coupling", r"coupling $D_N$", ORANGE, "s", 0.98),
    ("matched_w2", r"matched $W_2^2$", BLUE, "o", 1.02),
    ("function", r"function distance", GREEN, "^", 1.0),
)


def plot_rates(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the distances to the limit against N, with fits and the expected slope.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    counts = dataset["particles"].values
    for metric, label, colour, marker, shift in _METRICS:
        _fitted(ax, dataset, metric, f"{metric}_peak", label, colour, marker, shift)
    # Above every interval.
    start = 1.2 * np.max(dataset["coupling_peak"].sel(bound="high").values * counts / counts[0])
    guide(ax, counts, start, -1.0, "expected: slope $-1$")
    count_axis(ax, counts)
    log_scale(ax, "y")
    ax.set_ylabel("mean at the time of its peak")
    legend_below(ax)
    return ax


def plot_law_bias(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the squared bias of the law against N, with the expected slope.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    counts = dataset["particles"].values
    bias = Estimate.from_xarray(dataset["law_bias_mean"])
    seen = bias.low > 0
    shown = dataset.isel(particles=np.flatnonzero(seen))
    if seen.any():
        _bars(ax, shown, "law_bias_mean", PURPLE, "D", r"$|\mathrm{E} f_N - \bar f|^2$")
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


def plot_constants(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    r"""Draw :math:`N \, E D_N(t)`, the coupling distance, over time: one curve per N.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    time, counts = dataset["time"].values, dataset["particles"].values
    for shift, (count, colour, marker) in zip(
        np.linspace(-0.5, 0.5, len(counts)), by_count(counts), strict=True
    ):
        at = Estimate.from_xarray(dataset["coupling_mean"].sel(particles=count))
        scaled = at.map(lambda distance, count=count: count * distance)
        shown = {"color": colour, "marker": marker, "elinewidth": 0.8, "capsize": 0}
        # Side by side, so that no interval hides another.
        shifted = time + shift * 0.02 * time[-1]
        ax.errorbar(shifted, scaled.value, scaled.arms, label=f"$N = {count}$", **shown)
    if "coupling_exact" in dataset:
        exact = dataset["coupling_exact"].values
        ax.plot(time, exact, "--", color=BLACK, zorder=3, label="exact, every $N$")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"$N \cdot \mathrm{E}\, D_N(t)$")
    legend_beside(ax)
    return ax


def plot_raw_w2(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the raw squared distance beside its sampling floor.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos`, with the raw distance measured.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
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


def plot_law_w2(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the exact squared distance to the limit law beside its sampling floor.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos` with one trained parameter.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
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
        _fitted(ax, dataset, name, f"{name}_mean", label, colour, marker, shift)


def _fitted(
    ax: Axes,
    dataset: xr.Dataset,
    metric: str,
    points: str,
    label: str,
    colour: str,
    marker: str,
    shift: float,
) -> None:
    """Draw means against N with the power law that was fitted to them."""
    slope = slope_text(Estimate.from_xarray(dataset[f"{metric}_slope"]))
    _bars(ax, dataset, points, colour, marker, f"{label}: {slope}", shift)
    counts = dataset["particles"].values
    ax.plot(counts, dataset[f"{metric}_line"].values, color=colour, linewidth=1.0)


def plot_chaos_loss(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the training loss over time for every N and in the limit.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
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


def _bars(
    ax: Axes,
    dataset: xr.Dataset,
    name: str,
    colour: str,
    marker: str,
    label: str,
    shift: float = 1.0,
) -> None:
    """Draw means with their intervals against N."""
    mean = Estimate.from_xarray(dataset[name])
    x = shift * dataset["particles"].values
    ax.errorbar(x, mean.value, mean.arms, fmt=marker, color=colour, label=label)


def guide(
    ax: Axes, counts: np.ndarray, start: float, slope: float, label: str, style: str = "--"
) -> None:
    """Draw a line of a given slope from the smallest N on."""
    line = start * (counts / counts[0]) ** slope
    ax.plot(counts, line, style, color="0.45", linewidth=1.0, label=label)


def by_count(counts: np.ndarray) -> list[tuple[int, Any, str]]:
    """Give each N a colour, from light to dark, and a marker."""
    from matplotlib import colormaps

    shades = colormaps["cividis_r"](np.linspace(0.15, 1.0, len(counts)))
    markers = "osD^vP*X"
    return [
        (int(count), shade, markers[i % len(markers)])
        for i, (count, shade) in enumerate(zip(counts, shades, strict=True))
    ]
