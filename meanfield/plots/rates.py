"""Figures of the rates at which N particles approach their limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    TIME,
    axes,
    by_count,
    count_axis,
    finish,
    in_order,
    slope_text,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_MAKER = "the dataset of `chaos_rates` or of the study `chaos`"

# Metric, label, colour, marker, and a shift along the axis that keeps intervals apart.
_METRICS = (
    ("coupling", r"coupling $D_N$", ORANGE, "s", 0.98),
    ("matched_w2", r"matched $W_2^2$", BLUE, "o", 1.02),
    ("function", r"function", GREEN, "^", 1.0),
    ("w1_squared", r"(mean distance)$^2$", PURPLE, "D", 1.04),
)


def plot_rates(
    dataset: xr.Dataset,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    color: str | None = None,
) -> Axes:
    """Draw the distances to the limit against N, with fits and the expected slope.

    Parameters
    ----------
    dataset : xarray.Dataset
        That of `chaos_rates`, or the result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.
    label : str, optional
        What the legend says before each distance, to tell several rates on the same axes apart.
    color : str, optional
        A colour of matplotlib's for all distances, which their markers tell apart; by default each
        has its own.

    Returns
    -------
    matplotlib Axes
        The axes.

    Raises
    ------
    ValueError
        The dataset is of something else.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0], l2=0.1, temperature=0.05)
    >>> rates = mf.chaos_rates(problem, [4, 8, 16], n_replicas=4, n_steps=10, cloud_replicas=0)
    >>> mf.plots.plot_rates(rates.dataset).get_xscale()
    'log'
    """
    dataset = in_order(dataset, "coupling_peak", _MAKER)
    ax = axes(ax)
    counts = dataset["particles"].values
    before = "" if label is None else f"{label}, "
    for metric, name, own, marker, shift in _METRICS:
        colour = own if color is None else color
        look = {"color": colour, "fmt": marker}
        fitted_points(ax, dataset, metric, f"{metric}_peak", before + name, shift, **look)
        if (line := f"{metric}_predicted_line") in dataset:
            ax.plot(counts, dataset[line], ":", color=colour, label=f"{before}{metric}: predicted")
    # Above every interval.
    top = dataset["coupling_peak"].sel(bound="high").values * counts / counts[0]
    start = 1.2 * np.nanmax(top, initial=0.0)
    expected = "expected: slope $-1$"
    if all(line.get_label() != expected for line in ax.get_lines()):
        guide(ax, counts, start, -1.0, expected)
    count_axis(ax, counts)
    late = "precision" in dataset.attrs
    y = "mean over the second half" if late else "mean at the time of its peak"
    return finish(ax, y=y, log="y", legend="above")


def plot_constants(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    r"""Draw :math:`N \, E D_N(t)`, the coupling distance, over time: one curve per N.

    Parameters
    ----------
    dataset : xarray.Dataset
        That of `chaos_rates`, or the result of the study `chaos`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.

    Raises
    ------
    ValueError
        The dataset is of something else.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0], l2=0.1, temperature=0.05)
    >>> rates = mf.chaos_rates(problem, [4, 8, 16], n_replicas=4, n_steps=10, cloud_replicas=0)
    >>> mf.plots.plot_constants(rates.dataset).get_xscale()
    'linear'
    """
    dataset = in_order(dataset, "coupling_mean", _MAKER)
    ax = axes(ax)
    time, counts = dataset["time"].values, dataset["particles"].values
    # Side by side, so that no interval hides another, and none before the start.
    gaps = np.minimum(np.diff(time, prepend=0.0), np.diff(time, append=np.inf))
    room = np.minimum(0.02 * time[-1], 0.6 * np.maximum(gaps, 0.0))
    for shift, (count, colour, marker) in zip(
        np.linspace(-0.5, 0.5, len(counts)), by_count(counts), strict=True
    ):
        at = Estimate.from_xarray(dataset["coupling_mean"].sel(particles=count))
        scaled = at.map(partial(np.multiply, count))
        shown = {"color": colour, "marker": marker, "elinewidth": 0.8, "capsize": 0}
        ax.errorbar(time + shift * room, scaled.value, scaled.arms, label=f"$N = {count}$", **shown)
    if "coupling_exact" in dataset:
        exact = dataset["coupling_exact"].values
        ax.plot(time, exact, "--", color=BLACK, zorder=3, label="exact, every $N$")
    finish(ax, TIME, r"$N \cdot \mathrm{E}\, D_N(t)$", legend="above")
    ax.set_ylim(bottom=0)
    return ax


def fitted_points(
    ax: Axes, dataset: xr.Dataset, metric: str, means: str, label: str, shift: float, **look: Any
) -> None:
    """Draw means against N with the power law that was fitted to them."""
    slope = slope_text(Estimate.from_xarray(dataset[f"{metric}_slope"]))
    points(ax, dataset, means, f"{label}: {slope}", shift, **look)
    counts = dataset["particles"].values
    ax.plot(counts, dataset[f"{metric}_line"].values, color=look["color"], linewidth=1.0)


def points(
    ax: Axes, dataset: xr.Dataset, name: str, label: str, shift: float = 1.0, **look: Any
) -> None:
    """Draw means with their intervals against N, `shift` times it, in a colour and a format."""
    mean = Estimate.from_xarray(dataset[name])
    ax.errorbar(shift * dataset["particles"].values, mean.value, mean.arms, label=label, **look)


def guide(
    ax: Axes, counts: np.ndarray, start: float, slope: float, label: str, style: str = "--"
) -> None:
    """Draw a line of a given slope from the smallest N on; none from zero or from nowhere."""
    if not len(counts) or not 0 < start < np.inf:
        return
    line = start * (counts / counts[0]) ** slope
    ax.plot(counts, line, style, color="0.45", linewidth=1.0, label=label)
