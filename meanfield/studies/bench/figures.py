"""Figures of the study `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.plots.style import finish, series
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_step_times(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the time per pair against the number of particles, for every dimension and threads."""
    particles, threads = dataset["n_particles"].values, dataset["threads"].values.tolist()
    for i, d in enumerate(dataset["n_features"].values):
        for j, t in enumerate(threads):
            times = Estimate.from_xarray(dataset["ns_per_pair"].sel(n_features=d, threads=t))
            style, label = ("--", "-")[j == len(threads) - 1], f"{t} thread{'s' * (t > 1)}"
            look = {"fmt": f"o{style}", "color": series(i)["color"]}
            ax.errorbar(particles, times.value, times.arms, label=f"$d$ = {d}, {label}", **look)
    x, y = "number of particles $N$", "ns per particle, datum and step"
    return finish(ax, x, y, log="xy", legend="below")
