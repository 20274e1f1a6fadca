"""The figure of an error budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    axes,
    in_order,
    small_text,
)
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


def plot_budget(
    dataset: xr.Dataset,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    color: str | None = None,
) -> Axes:
    """Draw what the components contribute, one after the other, and the total error below.

    Contributions are solid; each ends where the next begins, and the last at the total. Norms are
    pale, behind them.

    Parameters
    ----------
    dataset : xarray.Dataset
        That of `decompose_error`, or the result of the study `errors`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.
    label : str, optional
        Title of the axes.
    color : str, optional
        A colour of matplotlib's for all components; by default each has its own.

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
    >>> import xarray as xr, meanfield as mf
    >>> result = xr.open_dataset("results/mine/result.nc")  # doctest: +SKIP
    >>> ax = mf.plots.plot_budget(result)  # doctest: +SKIP
    """
    maker = "the dataset of `decompose_error` or of the study `errors`"
    dataset = in_order(dataset, "component_contribution", maker)
    ax = axes(ax)
    estimated = () if dataset.attrs["closed_form"] else ("tail", "regularisation")
    names = [str(name) for name in dataset["component"].values]
    parts = Estimate.from_xarray(dataset["component_contribution"])
    norms = dataset["component_norm"].sel(bound="value").values
    values = parts.value
    starts = np.concatenate([[0.0], np.cumsum(values[:-2]), [0.0]])
    ends = starts + values
    directions = np.where(values < 0, -1.0, 1.0)
    for row, name in enumerate(names):
        colour = COMPONENT_COLOURS[name] if color is None else color
        hatch = "//" if name in estimated else None
        shown = {"left": starts[row], "color": colour}
        ax.barh(row, directions[row] * norms[row], height=0.56, alpha=0.25, **shown)
        shown |= {"hatch": hatch, "edgecolor": "white" if hatch else "none"}
        ax.barh(row, values[row], height=0.3, **shown)
    rows = np.arange(len(names))
    ax.errorbar(ends, rows, xerr=parts.arms, fmt="none", ecolor=BLACK, elinewidth=0.9)
    for row in rows[:-1]:
        ax.plot([ends[row]] * 2, [row, row + 1], color="0.6", linewidth=0.6, zorder=0)
    # A wide interval may leave the axes, so that the bars stay in sight; an unknown one is none.
    bars = np.concatenate([starts, ends, starts + directions * norms])
    span = np.ptp(bars)
    below, above = np.nan_to_num(parts.arms)
    low = max(min(bars.min(), (ends - below).min()), bars.min() - span)
    high = min(max(bars.max(), (ends + above).max()), bars.max() + span)
    ax.axvline(0.0, color="0.6", linewidth=0.6, zorder=0)
    ax.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    # Within the axes, so that they need no room of a figure that others may share.
    for row, name in enumerate(names):
        norm = f" (norm {norms[row]:.2g})" if name != "total" else ""
        text = f"{name}{'*' if name in estimated else ''}: {values[row]:.2g}{norm}"
        ax.annotate(
            text.replace("-", "−"),
            (0.0, row - 0.32),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=7.5,
            va="bottom",
        )
    ax.set_yticks([])
    ax.set_ylim(-0.95, len(names) - 0.5)
    ax.invert_yaxis()
    if label is not None:
        ax.set_title(label)
    note = ", * estimate" if estimated else ""
    ax.set_xlabel(f"contribution to the error (pale: norm{note})")
    small_text(ax)
    return ax
