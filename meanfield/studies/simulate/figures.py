"""Figures of the study `simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLUE, ORANGE, legend_beside

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_particles(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw every particle at the first and the last kept step."""
    for position, colour, marker in ((0, ORANGE, "x"), (-1, BLUE, "o")):
        at = dataset.isel(step=position)
        a, w = at["a"].values, at["w"].values
        size = 400 / np.sqrt(a.size)
        ax.scatter(
            np.linalg.norm(w, axis=-1).ravel(),
            (np.linalg.norm(a, axis=-1) if "output" in at["a"].dims else a).ravel(),
            s=min(size, 9.0),
            marker=marker,
            linewidths=0.6 if marker == "x" else 0,
            color=colour,
            alpha=0.6,
            rasterized=True,
            label=f"time {float(at['time']):g}",
        )
    ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    output = r"output weight $|a_i|$" if "output" in dataset.dims else r"output weight $a_i$"
    ax.set(xlabel=r"length of the input weights $|w_i|$", ylabel=output)
    for handle in filter(None, legend_beside(ax).legend_handles):
        handle.set(sizes=[16.0], alpha=1.0)
    return ax
