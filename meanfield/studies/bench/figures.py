"""Figures of the study `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    legend_below,
    log_scale,
)
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)


def plot_step_times(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the time per pair against the number of particles, for every dimension and threads."""
    particles, threads = dataset["n_particles"].values, dataset["threads"].values.tolist()
    for i, d in enumerate(dataset["n_features"].values):
        for j, t in enumerate(threads):
            times = Estimate.from_xarray(dataset["ns_per_pair"].sel(n_features=d, threads=t))
            ax.errorbar(
                particles,
                times.value,
                (times.value - times.low, times.high - times.value),
                color=_COLOURS[i % len(_COLOURS)],
                linestyle=("--", "-")[j == len(threads) - 1],
                marker="o",
                label=f"$d$ = {d}, {t} thread{'s' * (t > 1)}",
            )
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlabel("number of particles $N$")
    ax.set_ylabel("ns per particle, datum and step")
    legend_below(ax)
    return ax
