"""The figure of an error budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, axes
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

COMPONENT_COLOURS = {
    "tail": SKY,
    "regularisation": PURPLE,
    "statistical": BLUE,
    "optimisation": ORANGE,
    "chaos": GREEN,
    "sparse": VERMILION,
    "total": "0.35",
}


def plot_budget(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the components one after the other, and the total error below them.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `errors`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = axes(ax)
    estimated = () if dataset.attrs["closed_form"] else ("tail", "regularisation")
    names = [str(name) for name in dataset["component"].values]
    norms = Estimate.from_xarray(dataset["component_norm"])
    values = norms.value
    ends = np.concatenate([np.cumsum(values[:-1]), [values[-1]]])
    starts = np.concatenate([[0.0], ends[:-2], [0.0]])
    labels = [f"{name} (estimate)" if name in estimated else name for name in names]
    rows = np.arange(len(names))
    for row, name in enumerate(names):
        hatch = "//" if name in estimated else None
        ax.barh(
            row,
            values[row],
            left=starts[row],
            color=COMPONENT_COLOURS[name],
            hatch=hatch,
            edgecolor="white" if hatch else "none",
            height=0.7,
        )
    ax.errorbar(ends, rows, xerr=norms.arms, fmt="none", ecolor=BLACK, elinewidth=0.9)
    # A wide interval may leave the axes, so that the bars stay in sight; an unknown one is none.
    reach = ends + np.nan_to_num(norms.high - values, posinf=np.inf)
    top = min(float(reach.max()), 2 * float(ends.max()))
    for row, value in enumerate(values):
        ax.annotate(
            f"{value:.2g}",
            (min(reach[row], top), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    for row in rows[:-2]:
        ax.plot([ends[row]] * 2, [row - 0.35, row + 1.35], color="0.6", linewidth=0.6)
    ax.set_yticks(rows, labels)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * top)
    ax.set_xlabel(r"$L^2$ norm on held-out inputs")
    return ax
