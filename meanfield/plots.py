"""Figures from saved results: a dataset and axes in, the axes out; nothing is computed here.

Each function draws one figure on the axes it is given, or on new ones. `render` turns any of them
into PNG and PDF. Colours are those of Okabe and Ito, which colour-blind readers tell apart; every
series also has its own marker.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

#: Okabe–Ito palette.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "errorbar.capsize": 2.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}

_SIZE = (5.6, 3.4)


def render(
    plot: Callable[[xr.Dataset, Axes], Axes],
    dataset: xr.Dataset,
    size: tuple[float, float] = _SIZE,
) -> tuple[bytes, bytes]:
    """Draw a figure in the common style.

    Parameters
    ----------
    plot : callable
        ``plot(dataset, ax) -> ax``.
    dataset : xarray.Dataset
        Saved results.
    size : pair of float
        Width and height in inches.

    Returns
    -------
    png, pdf : bytes
        The same figure, at 200 dots per inch and as vectors.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        plot(dataset, figure.subplots())
        png, pdf = io.BytesIO(), io.BytesIO()
        # No dates: the same results give the same files.
        figure.savefig(png, format="png", metadata={"Software": None})
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    return png.getvalue(), pdf.getvalue()


def _axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        return pyplot.figure(figsize=_SIZE, layout="constrained").subplots()


def _legend_beside(ax: Axes) -> None:
    """Put the legend to the right of the axes, where it covers nothing."""
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def plot_loss(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the loss over time with its interval.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `simulate`.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = _axes(ax)
    time = dataset["loss_time"].values
    for name, label, colour, style in (
        ("loss", "training", BLUE, "-"),
        ("test_loss", "held out", VERMILION, "--"),
    ):
        if name in dataset:
            low, high = dataset[f"{name}_low"].values, dataset[f"{name}_high"].values
            ax.fill_between(time, low, high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(time, dataset[f"{name}_mean"].values, style, color=colour, label=label)
    ax.set_xscale("symlog", linthresh=time[1], linscale=0.3)
    ax.set_yscale("log")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"loss $R(f_N)$")
    _legend_beside(ax)
    return ax


def plot_particles(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Draw every particle at the first and the last kept step.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of the study `simulate`; with several outputs the length of ``a`` is shown.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    ax = _axes(ax)
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
    ax.set_xlabel(r"length of the input weights $|w_i|$")
    ax.set_ylabel(r"output weight $|a_i|$" if "output" in dataset.dims else r"output weight $a_i$")
    _legend_beside(ax)
    return ax
