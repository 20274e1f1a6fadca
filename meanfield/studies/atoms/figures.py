"""Figures of the study `atoms`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.plots.style import BLUE, ORANGE, SKY, VERMILION, finish
from meanfield.workbench.report.formatting import format_number

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

LEAST = 1e-8


def plot_residual(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw what the best dictionary of each size leaves, and the size that is chosen."""
    last = dataset.isel(look=-1)
    sizes = dataset["size"].values
    for i in range(dataset.sizes["replica"]):
        residual = np.maximum(last["residual"].values[i], LEAST)
        known = np.isfinite(residual)
        labels = ("network", "chosen") if i == 0 else (None, None)
        ax.plot(sizes[known], residual[known], ".-", color=SKY, linewidth=0.8, label=labels[0])
        chosen = int(last["n_atoms"].values[i])
        ring: dict[str, Any] = {"color": BLUE, "markerfacecolor": "none", "markersize": 8}
        ax.plot(chosen, residual[chosen], "o", label=labels[1], **ring)
    modal = dataset.attrs["modal"]
    ax.axvline(modal, color=VERMILION, linestyle="--", linewidth=0.9, label="$S^*$")
    ax.locator_params("x", integer=True)
    return finish(ax, "number of atoms $S$", "relative residual", log="y")


def plot_atoms(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw neurons and atoms modulo symmetry in a plane."""
    d = dataset.sizes["feature"]
    reference = int(dataset.attrs["reference"])
    place = _in_plane(dataset["particle_w"].values[reference], dataset)[0]
    if d == 1:
        place[:, 1] = dataset["particle_b"].values[reference]
    size = dataset["particle_size"].values[reference]
    shown = np.isfinite(place).all(axis=1)
    scale = 40 / max(np.sort(size)[-max(1, len(size) // 20)], 1e-300)
    x, y = place[shown].T
    dots: dict[str, Any] = {"color": "0.45", "alpha": 0.5, "linewidths": 0, "zorder": 2}
    ax.scatter(x, y, s=np.clip(scale * size[shown], 1.0, 60.0), label="neuron", **dots)
    last = dataset.isel(look=-1)
    atoms, signs = [], []
    for i in range(dataset.sizes["replica"]):
        w = last["w"].values[i]
        kept = np.isfinite(w).all(axis=1)
        at, turned = _in_plane(w[kept], dataset)
        if d == 1:
            at[:, 1] = last["b"].values[i][kept]
        atoms.append(at)
        c = last["c"].values[i][kept]
        c = c * np.where(turned, dataset.attrs["flip_sign"], 1)[:, None]
        signs.append(c[:, 0] > 0 if c.shape[1] == 1 else np.ones(len(c), dtype=bool))
    at, sign = np.concatenate(atoms), np.concatenate(signs)
    one = last["c"].shape[-1] == 1
    for positive, colour, label in (
        (True, BLUE, "atom, $c > 0$"),
        (False, VERMILION, "atom, $c < 0$"),
    ):
        chosen = sign == positive
        if chosen.any():
            ring: dict[str, Any] = {"markerfacecolor": "none", "markersize": 9, "zorder": 3}
            ax.plot(*at[chosen].T, "o", color=colour, label=label if one else "atom", **ring)
    _regions(ax, dataset)
    if d == 1:
        return finish(ax, "input weight $w$", "bias $b$")
    # A few neurons far out, which contribute nothing, must not shrink the rest.
    carried = shown & (size > 0.02 * size.max())
    seen = np.vstack([at, place[carried]])  # empty where nothing contributes
    reach = 1.15 * np.linalg.norm(seen, axis=1).max(initial=1e-6)
    _rays(ax, reach, float(dataset.attrs["cut"]))
    ax.set_xlim(-reach, reach)
    ax.set_ylim(seen[:, 1].min(initial=0) - 0.05 * reach, reach)
    ax.set_aspect("equal")
    if d == 2:
        return finish(ax, "$w_1$", "$w_2$")
    return finish(ax, "weight along the first direction", "along the second")


def _regions(ax: Axes, dataset: xr.Dataset) -> None:
    """Draw 95 % regions of the places of the reference network's atoms."""
    from matplotlib.patches import Ellipse

    last = dataset.isel(replica=int(dataset.attrs["reference"]))
    w, b = (last[name].isel(look=-1).values for name in ("w", "b"))
    covariance = last["place_covariance"].values
    d, width = w.shape[1], covariance.shape[1]
    axes = np.eye(2, width) if d == 1 else np.pad(dataset["axes"].values, ((0, 0), (0, width - d)))
    known = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(w[: len(covariance)]).all(axis=1)
    centre = np.column_stack([w[:, 0], b]) if d == 1 else _in_plane(w, dataset)[0]
    for i in np.flatnonzero(known):
        sizes, vectors = np.linalg.eigh(axes @ covariance[i] @ axes.T)
        # Of two dimensions 95 % lie within √(−2 log 0.05) standard deviations.
        height, length = 2 * np.sqrt(np.maximum(sizes, 0) * -2 * np.log(0.05))
        turn = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        ax.add_patch(
            Ellipse(tuple(centre[i]), length, height, angle=turn, color=ORANGE, alpha=0.4, lw=0)
        )


def _in_plane(w: np.ndarray, dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Project weights (m, d) into the half plane beyond the cut; also tell which are turned."""
    place = w @ dataset["axes"].values.T
    if w.shape[1] == 1:
        return place, np.zeros(len(w), dtype=bool)
    beyond = np.degrees(np.arctan2(place[:, 1], place[:, 0])) - dataset.attrs["cut"]
    turned = (np.floor(beyond / 180) % 2 == 1) & (dataset.attrs["flip_sign"] != 0)
    return np.where(turned[:, None], -place, place), turned


def _rays(ax: Axes, reach: float, cut: float) -> None:
    """Draw the grid of a polar plot over the half plane beyond the cut, dashed."""
    for degrees in (cut, *range(30 * int(np.ceil(cut / 30)), int(cut) + 180, 30), cut + 180):
        x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        colour, style = ("0.6", "--") if degrees in (cut, cut + 180) else ("0.85", "-")
        line = [0, 2 * reach * x], [0, 2 * reach * y]
        ax.plot(*line, style, color=colour, linewidth=0.6, zorder=0)
    turn = np.radians(cut + np.linspace(0, 180, 91))
    for radius in np.arange(1, 6) * _round(reach / 4):
        circle = radius * np.cos(turn), radius * np.sin(turn)
        ax.plot(*circle, color="0.85", linewidth=0.6, zorder=0)


def _round(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, near `value`."""
    power = float(10.0 ** np.floor(np.log10(value)))
    return power * max((1, 2, 5), key=lambda m: m * (m * power <= 1.2 * value))


def plot_tiles(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the input weights of the reference network's atoms as images."""
    height, width = (int(n) for n in dataset.attrs["image"])
    last = dataset.isel(look=-1, replica=int(dataset.attrs["reference"]))
    n = int(last["n_atoms"])
    columns = min(n, 6)
    rows = -(-n // columns)
    w, c, mass = (last[name].values for name in ("w", "c", "mass"))
    if dataset.attrs["flip_sign"] < 0 and c.shape[1] == 1:
        # Of an odd activation: the side on which a neuron pushes up.
        w, c = w * np.where(c < 0, -1, 1), np.abs(c)
    # A pixel that is hardly ever inked has a weight far above the others, which must stay visible.
    largest = max(float(np.nanquantile(np.abs(w), 0.98)), 1e-300)
    gap, top = 1, 4
    for i in range(n):
        left, up = (i % columns) * (width + gap), -(i // columns) * (height + top)
        place = (left, left + width, up - height, up)
        picture = ax.imshow(
            w[i].reshape(height, width), cmap="PuOr_r", vmin=-largest, vmax=largest, extent=place
        )
        value = f"c = {c[i, 0]:.2g}" if c.shape[1] == 1 else f"|c| = {np.linalg.norm(c[i]):.2g}"
        text = f"{value}\n{100 * mass[i]:.0f}%".replace("-", "−")
        ax.text(left + width / 2, up + 0.3, text, ha="center", va="bottom", fontsize=7)
    ax.set_xlim(-0.5, columns * (width + gap) - gap + 0.5)
    ax.set_ylim(-rows * (height + top) + top - 0.5, top)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_xlabel("column of pixels")
    ax.set_ylabel("row of pixels")
    ax.figure.colorbar(picture, ax=ax, label="input weight", shrink=0.8, extend="both")
    return ax


def plot_mass(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the share of neurons that belong to each atom."""
    mass = 100 * dataset["matched_mass"].values
    x = np.arange(1, mass.shape[1] + 1)
    ax.bar(x, np.nanmean(mass, axis=0), width=0.6, color=SKY, label="mean")
    spread = np.linspace(-0.2, 0.2, len(mass)) if len(mass) > 1 else np.zeros(1)
    for i, row in enumerate(mass):
        ax.plot(x + spread[i], row, "o", color=BLUE, markersize=3, label=None if i else "network")
    ax.set_xticks(x)
    ax.set_xlim(0.4, max(len(x), 4) + 0.6)
    ax.set_ylim(0, max(5.0, 1.1 * np.nanmax(mass)))
    return finish(ax, "atom", "share of the neurons (%)")


def plot_cooling(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the number of atoms against the temperature, which falls to the right."""
    temperature = dataset["temperature"].values
    number, sure = dataset["n_atoms"].values, dataset["confident"].values == 1
    n = len(number)
    shift = 0.5 * (np.arange(n) - (n - 1) / 2) / max(n, 4)
    for i in range(n):
        x = np.arange(len(temperature)) + shift[i]
        ax.plot(x, number[i], "-", color="0.8", linewidth=0.7, zorder=0)
        for chosen, face, label in ((sure[i], BLUE, "reliable"), (~sure[i], "white", "in doubt")):
            (line,) = ax.plot(x[chosen], number[i][chosen], "o", label=None if i else label)
            line.set(color=BLUE if face == BLUE else ORANGE, markerfacecolor=face)
    ax.set_xticks(range(len(temperature)), [format_number(value) for value in temperature])
    ax.locator_params("y", integer=True)
    ax.set_ylim(-0.3, number.max() + 0.7)
    return finish(ax, "temperature $\\tau$", "number of atoms found")
