"""Figures of an experiment: those of its parts, and atoms against the penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import BLUE, ORANGE, VERMILION, log_scale
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def of_part(part: str, plot: Callable[[Any, Axes], Axes], tree: xr.DataTree, ax: Axes) -> Axes:
    """Draw a figure of one part."""
    return plot(tree[part].to_dataset(), ax)


def plot_penalties(tree: xr.DataTree, ax: Axes) -> Axes:
    """Draw the number of atoms, and the score, against the penalty."""
    overview = tree["overview"].to_dataset()
    l2, counts = overview["l2"].values, overview["path_n_atoms"].values
    sure = overview["path_confident"].values > 0
    ax.plot(l2, counts, "-", color=BLUE, linewidth=0.9)
    for chosen, fill in ((sure, BLUE), (~sure, "none")):
        ax.plot(l2[chosen], counts[chosen], "o", color=BLUE, markerfacecolor=fill)
    ax.axvline(overview.attrs["l2"], color=VERMILION, linestyle="--", linewidth=0.9)
    ax.set_ylim(0, 1.15 * max(counts.max(), 1))
    ax.locator_params("y", integer=True)
    score = Estimate.from_xarray(overview["path_score"])
    right = ax.twinx()
    right.errorbar(
        l2, score.value, yerr=score.arms, fmt="s--", color=ORANGE, markersize=4, elinewidth=0.8
    )
    right.set_ylabel("score (squares)", color=ORANGE)
    right.set_ylim(min(0.0, float(np.nanmin(score.value))), 1.02)
    log_scale(ax, "x")
    ax.set_xlabel("penalty $\\lambda$")
    ax.set_ylabel("number of atoms $S^*$ (circles)", color=BLUE)
    return ax
