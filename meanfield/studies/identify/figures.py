"""Figures of the study `identify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import VERMILION

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_depths(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Write both depths into a table of cells, coloured by the orbit depth."""
    order = ("activation", "bias", "d", "atoms")
    names = ("variety", "orbit", "at_least")
    variety, orbit, least = (dataset[name].transpose(*order).values for name in names)
    n_activations, n_bias, n_dims, n_sizes = orbit.shape
    variety, orbit, least = (table.reshape(-1, n_sizes) for table in (variety, orbit, least))
    most = max(np.nanmax(orbit), 1) if np.isfinite(orbit).any() else 1
    ax.imshow(orbit, cmap="cividis", vmin=0, vmax=most, aspect="auto")
    for (row, column), depth in np.ndenumerate(orbit):
        first, second = (
            f"{v:.0f}" if np.isfinite(v) else "–" for v in (variety[row, column], depth)
        )
        if np.isfinite(least[row, column]):
            second = f"≥ {least[row, column]:.0f}"
        colour, text = "white" if depth < 0.55 * most else "black", f"{first} · {second}"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        if variety[row, column] < depth:
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.46
            ax.plot(*(np.array([column, row]) + corners).T, color=VERMILION, linewidth=2, zorder=3)
    rows = [
        f"{name}{' + bias' if bias else ''}, d = {d}"
        for name in dataset["activation"].values
        for bias in dataset["bias"].values
        for d in dataset["d"].values
    ]
    ax.set_yticks(range(len(rows)), rows, fontsize=7)
    ax.set_xticks(range(n_sizes), [str(size) for size in dataset["atoms"].values])
    for i in range(1, n_activations * n_bias):
        ax.axhline(i * n_dims - 0.5, color="white", linewidth=3)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("$D^*_{var}$ · $D^*_{orb}$")
    ax.set(xlabel="number of atoms $S$", ylabel="activation and input dimension")
    return ax
