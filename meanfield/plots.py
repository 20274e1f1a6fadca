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

_SIZE = (5.6, 3.6)


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


def _log_scale(ax: Axes, which: str) -> None:
    """Make an axis logarithmic; a short one is labelled at 1, 2 and 5 in plain decimals."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_minor_locator(LogLocator(subs=np.arange(2, 10)))
    axis.set_minor_formatter(NullFormatter())
    if high < 50 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        if low > 1e-4 and high < 1e5:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend_below(ax: Axes) -> None:
    """Put a legend with long entries under the axes: what was measured first, then the guides."""
    handles, labels = ax.get_legend_handles_labels()
    lines = [not hasattr(handle, "has_yerr") for handle in handles]
    order = sorted(range(len(handles)), key=lines.__getitem__)
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=2,
        columnspacing=1.5,
    )


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
    _log_scale(ax, "y")
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
    for handle in ax.get_legend().legend_handles:
        handle.set(sizes=[16.0], alpha=1.0)
    return ax


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
    ax = _axes(ax)
    counts = dataset["particles"].values
    for metric, label, colour, marker, shift in _METRICS:
        fit = dataset[f"{metric}_fit"]
        label = f"{label}: {_slope_text(fit)}"
        _bars(ax, dataset, f"{metric}_sup", colour, marker, label, shift)
        ax.plot(counts, fit.values, color=colour, linewidth=1.0)
    start = 1.8 * dataset["coupling_sup_mean"].values[0]
    _guide(ax, counts, start, -1.0, "expected: slope $-1$")
    _count_axis(ax, counts)
    _log_scale(ax, "y")
    ax.set_ylabel("largest mean over time")
    _legend_below(ax)
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
    ax = _axes(ax)
    counts = dataset["particles"].values
    high = dataset["law_bias_high"].values
    seen = dataset["law_bias_low"].values > 0
    shown = dataset.isel(particles=np.flatnonzero(seen))
    if seen.any():
        _bars(ax, shown, "law_bias", PURPLE, "D", r"$|\mathrm{E} f_N - \bar f|^2$")
    if not seen.all():
        ax.plot(
            counts[~seen], high[~seen], "v", color=PURPLE, fillstyle="none", label="upper bound"
        )
    start = dataset["law_bias_mean"].values[0] if seen[0] else high[0]
    _guide(ax, counts, start, -2.0, r"slope $-2$")
    _count_axis(ax, counts)
    _log_scale(ax, "y")
    ax.set_ylabel("squared bias of the law")
    _legend_beside(ax)
    return ax


def plot_constants(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    r"""Draw :math:`N \, E W_2^2` (matched) over time, one curve per N.

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
    ax = _axes(ax)
    time, counts = dataset["time"].values, dataset["particles"].values
    for shift, (count, colour, marker) in zip(
        np.linspace(-0.5, 0.5, len(counts)), _by_count(counts), strict=True
    ):
        at = dataset.sel(particles=count)
        mean, low, high = (
            count * at[f"matched_w2_{part}"].values for part in ("mean", "low", "high")
        )
        shown = {"color": colour, "marker": marker, "elinewidth": 0.8, "capsize": 0}
        # Side by side, so that no interval hides another.
        shifted = time + shift * 0.02 * time[-1]
        ax.errorbar(shifted, mean, [mean - low, high - mean], label=f"$N = {count}$", **shown)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"$N \cdot \mathrm{E} \, W_2^2(\mu_t^N, \bar\mu_t^N)$")
    _legend_beside(ax)
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
    ax = _axes(ax)
    counts = dataset["particles"].values
    for name, label, colour, marker, shift in (
        ("raw_w2", "trained particles", VERMILION, "o", 1.02),
        ("sampling_floor", "sampling floor", BLACK, "s", 0.98),
    ):
        fit = dataset[f"{name}_fit"]
        _bars(ax, dataset, name, colour, marker, f"{label}: {_slope_text(fit)}", shift)
        ax.plot(counts, fit.values, color=colour, linewidth=1.0)
    p = int(dataset.attrs["n_parameters"])
    start = dataset["sampling_floor_mean"].values[0]
    if p > 4:
        _guide(ax, counts, start, -2.0 / p, rf"independent: slope $-2/{p}$")
    _guide(ax, counts, start, -1.0, "for comparison: slope $-1$", style=":")
    _count_axis(ax, counts)
    _log_scale(ax, "y")
    ax.set_ylabel(r"raw $W_2^2$ at the last time")
    _legend_below(ax)
    return ax


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
    ax = _axes(ax)
    time, counts = dataset["time"].values, dataset["particles"].values
    for count, colour, marker in _by_count(counts):
        at = dataset.sel(particles=count)
        low, high = at["loss_low"].values, at["loss_high"].values
        ax.fill_between(time, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(time, at["loss_mean"].values, color=colour, marker=marker, label=f"$N = {count}$")
    limit = dataset["mean_field_loss"].values
    ax.plot(time, limit, "--", color=BLACK, label=r"limit $N \to \infty$")
    _log_scale(ax, "y")
    ax.set_xlabel("time (step × step size)")
    ax.set_ylabel(r"mean loss $R(f_N)$")
    _legend_beside(ax)
    return ax


def _slope_text(fit: xr.DataArray) -> str:
    """Return the slope of a fitted line with its interval."""
    slope, low, high = (fit.attrs[name] for name in ("slope", "slope_low", "slope_high"))
    return f"{slope:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


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
    mean, low, high = (dataset[f"{name}_{part}"].values for part in ("mean", "low", "high"))
    ax.errorbar(
        shift * dataset["particles"].values,
        mean,
        yerr=[mean - low, high - mean],
        fmt=marker,
        color=colour,
        label=label,
    )


def _guide(
    ax: Axes, counts: np.ndarray, start: float, slope: float, label: str, style: str = "--"
) -> None:
    """Draw a line of a given slope from the smallest N on."""
    line = start * (counts / counts[0]) ** slope
    ax.plot(counts, line, style, color="0.45", linewidth=1.0, label=label)


def _by_count(counts: np.ndarray) -> list[tuple[int, Any, str]]:
    """Give each N a colour, from light to dark, and a marker."""
    from matplotlib import colormaps

    shades = colormaps["cividis_r"](np.linspace(0.15, 1.0, len(counts)))
    markers = "osD^vP*X"
    return [
        (int(count), shade, markers[i % len(markers)])
        for i, (count, shade) in enumerate(zip(counts, shades, strict=True))
    ]


def _count_axis(ax: Axes, counts: np.ndarray) -> None:
    """Make a logarithmic axis of particle counts with the counts as ticks."""
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log")
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("number of particles $N$")
