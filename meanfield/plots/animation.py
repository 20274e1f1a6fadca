"""Particles over time, as an animated picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.plots.style import BLACK, BLUE, SIZE, STYLE, VERMILION, load_matplotlib

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.floating]

_DOTS_PER_INCH = 100


def animated_particles(
    dataset: xr.Dataset,
    *,
    atoms: tuple[Array, Array] | None = None,
    replica: int = 0,
    projection: Array | None = None,
    frames_per_second: float = 10.0,
) -> bytes:
    """Draw the particles of a run at its saved steps; return an animated GIF.

    A dot's size follows its output weight, its colour the sign; `atoms` (w, b) are rings. With one
    input w and b are shown, with two both input weights, with more their `projection` (2, d), by
    default onto the two directions that hold most of the last step's neurons.
    """
    mpl = load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    one = dataset.isel(replica=replica)
    w, d = one["w"].values.astype(float), one.sizes["feature"]  # (T, N, d)
    a = one["a"].values.astype(float)
    size = np.abs(a) if a.ndim == 2 else np.linalg.norm(a, axis=-1)
    colour = np.where(a < 0, VERMILION, BLUE) if a.ndim == 2 else np.full(size.shape, BLUE)
    if d == 1:
        second = one["b"].values if "b" in one else (a if a.ndim == 2 else size)
        places, labels = np.stack([w[..., 0], second], axis=-1), ("w", "b" if "b" in one else "a")
        rings = None if atoms is None else np.column_stack([atoms[0][:, 0], atoms[1]])
    else:
        if projection is None:
            projection = np.eye(2) if d == 2 else _main_directions(w[-1], size[-1])
        places, labels = w @ projection.T, _labels(d)
        rings = None if atoms is None else atoms[0] @ projection.T
    reach = 1.1 * np.nanquantile(np.abs(places), 0.998, axis=(0, 1))
    if rings is not None and len(rings):
        reach = np.maximum(reach, 1.15 * np.abs(rings).max(axis=0))
    reach = np.where(reach > 0, reach, 1.0)
    scale = 40.0 / max(float(np.quantile(size[-1], 0.95)), 1e-300)
    pictures = []
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for t, time in enumerate(one["time"].values):
            figure = Figure(figsize=SIZE, layout="constrained")
            FigureCanvasAgg(figure)
            ax = figure.subplots()
            dots: dict[str, Any] = {"c": colour[t], "s": np.clip(scale * size[t], 1.0, 80.0)}
            ax.scatter(*places[t].T, **dots, alpha=0.5, linewidths=0)
            if rings is not None:
                ring: dict[str, Any] = {"facecolors": "none", "edgecolors": BLACK, "s": 90}
                ax.scatter(*rings.T, **ring, linewidths=1.0)
            ax.set(
                xlim=(-reach[0], reach[0]), ylim=(-reach[1], reach[1]), xlabel=labels[0],
                ylabel=labels[1], title=f"time {time:.6g}",
            )  # fmt: skip
            frame = io.BytesIO()
            figure.savefig(frame, format="png", dpi=_DOTS_PER_INCH)
            pictures.append(Image.open(frame).convert("RGB").quantize(128))
    out, pause = io.BytesIO(), round(1000 / frames_per_second)
    pauses = [pause] * (len(pictures) - 1) + [max(pause, 1500)]
    first, *rest = pictures
    first.save(out, "GIF", save_all=True, append_images=rest, duration=pauses, loop=0)
    return out.getvalue()


def _labels(d: int) -> tuple[str, str]:
    if d == 2:
        return "input weight $w_1$", "input weight $w_2$"
    return "input weights along the first direction", "along the second direction"


def _main_directions(w: Array, size: Array) -> Array:
    """Return the two directions (2, d) that hold most of the neurons, by their output weights."""
    directions = np.linalg.svd(size[:, None] * w, full_matrices=False)[2][:2]
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[[0, 1], largest])[:, None]
