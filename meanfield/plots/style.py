"""The common look of all figures, and how one becomes PNG and PDF."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.estimate_parts import BOUND

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

#: Okabe–Ito palette, without its yellow, which is hard to see on white.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
#: Label, colour and marker of the parametrizations.
SCHEMES = {
    "sp": ("SP", VERMILION, "s"),
    "ntp": ("NTP", ORANGE, "^"),
    "ip": ("IP (mean field)", GREEN, "D"),
    "mup": ("µP", BLUE, "o"),
}

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

SIZE = (5.6, 3.6)
TIME = "time (step × step size)"

_BACKEND, _MODULE = "MPLBACKEND", "module://"


def load_matplotlib() -> Any:
    """Import matplotlib, whatever ``MPLBACKEND`` says; a backend that is not there counts as Agg.

    A notebook hands its own backend down to what it starts, which may not have it.
    """
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    wanted = os.environ.pop(_BACKEND, None)
    try:
        import matplotlib as mpl
    finally:
        if wanted is not None:
            os.environ[_BACKEND] = wanted
    if wanted:
        try:
            mpl.rcParams["backend"] = wanted
            if wanted.startswith(_MODULE):
                import_module(wanted.removeprefix(_MODULE))
        except (ValueError, ImportError):
            mpl.use("Agg")
    return mpl


def render(
    plot: Callable[[Any, Axes], Axes], dataset: Any, size: tuple[float, float] = SIZE
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

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.simulate(mf.Problem(np.eye(3), [1.0, 0.0, -1.0]), 32, 0.2, 20)
    >>> png, pdf = mf.plots.render(mf.plots.plot_loss, run.to_xarray())
    >>> png[1:4], pdf[1:4]
    (b'PNG', b'PDF')
    """
    return render_figure(lambda figure: plot(dataset, figure.subplots()), size)


def render_figure(
    draw: Callable[[Figure], object], size: tuple[float, float] = SIZE
) -> tuple[bytes, bytes]:
    """Draw on a new figure in the common style; return it as PNG and PDF."""
    mpl = load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        if any(ax.get_aspect() != "auto" for ax in figure.axes):
            # Axes of fixed proportions find their place, and their ticks, in a few rounds.
            for _ in range(2):
                figure.draw_without_rendering()
        png, pdf = io.BytesIO(), io.BytesIO()
        # No dates: the same results give the same files.
        figure.savefig(png, format="png", metadata={"Software": None})
        figure.set_layout_engine("none")  # all stays where it was found to have room
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    return png.getvalue(), pdf.getvalue()


def axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    load_matplotlib()
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):  # type: ignore[arg-type]
        return pyplot.figure(figsize=SIZE, layout="constrained").subplots()


def log_scale(ax: Axes, which: str) -> None:
    """Make an axis logarithmic; a short one is labelled at 1, 2 and 5 in plain decimals.

    One on which nothing is positive stays linear.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    limits = ax.dataLim
    if not np.isfinite(limits.minposx if which == "x" else limits.minposy):
        return
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_minor_locator(LogLocator(subs=range(2, 10)))
    axis.set_minor_formatter(NullFormatter())
    if high < 50 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        if low > 1e-4 and high < 1e5:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def finish(
    ax: Axes,
    x: str | None = None,
    y: str | None = None,
    *,
    log: str = "",
    legend: Literal["beside", "below", "above"] = "beside",
) -> Axes:
    """Make the axes in `log` logarithmic, name the axes, and place the legend.

    Beside or below the axes it takes a figure that makes room; ``"above"`` the data, within the
    axes, it can be read in any.
    """
    for which in log:
        log_scale(ax, which)
    if x is not None:
        ax.set_xlabel(x)
    if y is not None:
        ax.set_ylabel(y)
    {"beside": legend_beside, "below": legend_below, "above": legend_above}[legend](ax)
    if legend == "above":
        small_text(ax)
    return ax


def small_text(ax: Axes) -> None:
    """Keep the letters of narrow axes, one of several, off their neighbours."""
    if _inches(ax)[0] < 3.0:
        ax.tick_params(labelsize=7)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_fontsize(7.5)
            axis.labelpad = 1.0


def count_axis(ax: Axes, counts: np.ndarray, label: str = "number of particles $N$") -> None:
    """Make a logarithmic axis of counts with the counts as ticks."""
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log")
    # As many labels as there is room for, the last among them.
    ratio = np.log(counts[-1] / counts[0]) / max(len(counts) - 1, 1)
    room = _inches(ax)[0] * ratio / max(np.log(counts[-1] / counts[0]), 1e-9)
    every = max(int(np.ceil(0.09 * len(str(counts[-1])) / room)), 1)
    shown = [(len(counts) - 1 - i) % every == 0 for i in range(len(counts))]
    ax.set_xticks(counts, [str(n) if show else "" for n, show in zip(counts, shown, strict=True)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(label)


def width_axis(ax: Axes, widths: np.ndarray) -> None:
    """Make a logarithmic axis of widths with the widths as ticks."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(widths)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{width}" for width in widths], rotation=45)
    ax.set_xlabel("width $n$")


def series(i: int) -> dict[str, Any]:
    """Return colour and marker of the i-th of many curves."""
    return {"color": SERIES[i % len(SERIES)], "marker": "os^Dvp<>"[i % 8]}


def by_count(counts: np.ndarray) -> list[tuple[int, Any, str]]:
    """Give each N a colour, from light to dark, and a marker."""
    from matplotlib import colormaps

    shades = colormaps["cividis_r"](np.linspace(0.15, 1.0, len(counts)))
    markers = "osD^vP*X"
    return [
        (int(count), shade, markers[i % len(markers)])
        for i, (count, shade) in enumerate(zip(counts, shades, strict=True))
    ]


def band(ax: Axes, x: np.ndarray, curve: Estimate, **line: Any) -> None:
    """Draw a curve with its intervals as a band around it."""
    ax.fill_between(x, curve.low, curve.high, color=line["color"], alpha=0.2, linewidth=0)
    ax.plot(x, curve.value, **line)


def slope_text(slope: Estimate, digits: int = 2) -> str:
    """Return a slope with its interval, for a legend."""
    value, low, high = (f"{part:.{digits}f}" for part in (slope.value, slope.low, slope.high))
    return f"{value} [{low}, {high}]".replace("-", "−")


def in_order(dataset: xr.Dataset, needed: str, maker: str) -> xr.Dataset:
    """Return a dataset with its dimensions in the order in which figures read them.

    An ArgumentError tells of one without the variable `needed`, which `maker` has.
    """
    if needed not in dataset:
        raise ArgumentError(
            "dataset",
            f"must hold the variable {needed!r}, as {maker} does; this one holds "
            f"{', '.join(map(str, dataset.data_vars)) or 'nothing'}.",
        )
    return dataset.transpose("replica", "particles", ..., BOUND, missing_dims="ignore")


def _inches(ax: Axes) -> tuple[float, float]:
    """Return about how wide and high axes are."""
    figure, place = ax.get_figure(root=True), ax.get_position()
    assert figure is not None  # axes that are drawn on belong to one
    width, height = figure.get_size_inches()
    return width * place.width, height * place.height


def measured_first(ax: Axes) -> tuple[list[Any], list[str]]:
    """Return the entries of a legend: what was measured first, then the guides."""
    handles, labels = ax.get_legend_handles_labels()
    lines = [not hasattr(handle, "has_yerr") for handle in handles]
    order = sorted(range(len(handles)), key=lines.__getitem__)
    return [handles[i] for i in order], [labels[i] for i in order]


def legend_below(ax: Axes) -> Legend:
    """Put a legend with long entries under the axes."""
    return ax.legend(
        *measured_first(ax),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=2,
        columnspacing=1.5,
    )


def legend_beside(ax: Axes) -> Legend:
    """Put the legend to the right of the axes, where it covers nothing."""
    return ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def legend_above(ax: Axes) -> Legend:
    """Put the legend into the axes, and the upper end of the axis above what is drawn.

    So it needs no room of a figure that others may share. Its letters and columns suit the width.
    """
    width, height = _inches(ax)
    handles, labels = measured_first(ax)
    # Letters of a legend are about half as wide as high; a handle takes four.
    longest = max((len(label.replace("$", "")) for label in labels), default=1) + 4
    columns = max(min(int(width / (8 / 72 * 0.48 * longest)), 2, len(labels)), 1)
    size = float(np.clip(width / (0.58 * longest * columns) * 72, 5.0, 8.0))
    rows = -(-len(labels) // columns)
    share = min((rows * 1.4 + 1.0) * size / 72 / height, 0.6)
    ax.autoscale(axis="y")  # again, where something was drawn before
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        ax.set_ylim(low, low * (high / low) ** (1 / (1 - share)))
    else:
        ax.set_ylim(low, low + (high - low) / (1 - share))
    look: dict[str, Any] = {
        "fontsize": size,
        "frameon": False,
        "handlelength": 1.8,
        "columnspacing": 1.5,
    }
    return ax.legend(handles, labels, loc="upper center", ncols=columns, **look)
