r"""From lazy to rich: what an output multiplier with its rate makes of the limit.

The outputs of a µP network are divided by γ₀, and its rates multiplied by γ₀²
(``deep.infinite_width(richness=...)``). Towards γ₀ = 0 its features stay where they start, and the
outputs follow gradient descent on the fixed tangent kernel of the start,

.. math:: f_{t+1} = f_t − 2η\, Θ_0 (f_t − y), \qquad
          Θ_0 = \sum_l K^{l-1} ∘ \dot K^l ∘ … ∘ \dot K^L ,

known in closed form for erf (arc-sine kernels). Expected are outputs within 2 % of these at γ₀ =
0.05, in the limit and, up to its spread of order 1/√n, in a wide network; kernels of the features
whose relative change ‖K_T − K_0‖ / ‖K_0‖ grows with γ₀ in every layer, like γ₀² while training is
lazy.

Source: Chizat, Oyallon, Bach 2019 (lazy training); Bordelon and Pehlevan 2022 (γ₀; arXiv
2205.09653).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from meanfield import deep
from meanfield.plots.rates import guide
from meanfield.plots.style import log_scale, series
from meanfield.problem import single_index
from meanfield.statistics.estimate import Estimate
from scripts.validation.output import bars, require

TITLE = "Limits from lazy to rich"
SIZE = (8.4, 3.6)

LAZY, DEPTH = 0.05, 3


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Train limits of every richness; compare outputs with the tangent kernel's."""
    n_steps, n_samples, width = (10, 512, 256) if quick else (60, 4096, 4096)
    gammas = [LAZY, 0.5, 1.0] if quick else [0.025, LAZY, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5]
    data = single_index(n_features=6, n_train=5, labels="sign")
    X, y = data.X / np.linalg.norm(data.X, axis=1, keepdims=True), data.y.astype(float)
    settings: dict[str, Any] = {"depth": DEPTH, "activation": "erf", "step_size": 0.02}
    settings |= {"n_steps": n_steps, "save_at": []}
    kernel = _tangent_kernel(X)

    def away(predictions: np.ndarray) -> np.ndarray:
        """Return the distance of outputs (R, steps + 1, m) from lazy ones with their start."""
        path = [predictions[:, 0]]
        for _ in range(n_steps):
            path.append(path[-1] - 2 * settings["step_size"] * (path[-1] - y) @ kernel)
        lazy = np.stack(path, axis=1)
        return np.linalg.norm(predictions - lazy, axis=(1, 2)) / np.linalg.norm(lazy, axis=(1, 2))

    distances, changes = [], []
    for gamma in gammas:
        limit = deep.infinite_width(X, y, richness=gamma, n_samples=n_samples, **settings)
        distances.append(Estimate.positive_mean(away(limit.replicas.predictions)))
        kernels = limit.replicas.kernel_h
        change = np.linalg.norm(kernels[:, -1] - kernels[:, 0], axis=(2, 3))
        size = np.linalg.norm(kernels[:, 0], axis=(2, 3))
        changes.append(Estimate.positive_mean(change / size))
    distance, change = Estimate.stack(distances), Estimate.stack(changes)
    network = deep.train(X, y, width=width, richness=LAZY, n_replicas=4, **settings).predictions
    numbers = {
        f"limit_{LAZY}": _labelled(distance[gammas.index(LAZY)], f"the limit, γ₀ = {LAZY}"),
        "limit_1": _labelled(distance[gammas.index(1.0)], "the limit, γ₀ = 1"),
        "network": _labelled(
            Estimate.positive_mean(away(network)), f"networks of width {width}, γ₀ = {LAZY}"
        ),
        "least_growth": Estimate(
            float(np.min(change.value[1:] / change.value[:-1])),
            label="Least factor by which a kernel's change grows from one γ₀ to the next",
        ),
        "lazy_power": Estimate(
            float(np.log(change.value[1] / change.value[0]).mean() / np.log(gammas[1] / gammas[0])),
            expected=2.0,
            label="Power of γ₀ in the change of the kernels, at the two smallest",
        ),
    }
    return numbers, xr.Dataset(
        {
            "distance": distance.to_xarray(["richness"]),
            "kernel_change": change.to_xarray(["richness", "layer"]),
        },
        {"richness": gammas, "layer": np.arange(1, DEPTH + 1)},
    )


def _labelled(found: Estimate, of: str) -> Estimate:
    label = f"Distance of the outputs from the tangent kernel's, relative: {of}"
    return Estimate(found.value, found.low, found.high, label=label, resampled="replicas")


def _tangent_kernel(X: np.ndarray) -> np.ndarray:
    """Return the tangent kernel of the start, by the arc-sine law."""
    kernels, slopes = [X @ X.T], []
    for _ in range(DEPTH):
        last = kernels[-1]
        inner = 1 + 2 * np.diag(last)
        scale = np.sqrt(np.outer(inner, inner))
        kernels.append(2 / np.pi * np.arcsin(2 * last / scale))
        slopes.append(4 / np.pi / np.sqrt(scale**2 - 4 * last**2))
    total, backward = kernels[-1], np.ones_like(X @ X.T)
    for slope, below in zip(reversed(slopes), reversed(kernels[:-1]), strict=True):
        backward = backward * slope
        total = total + backward * below
    return total


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the distance from lazy training, and the change of the kernels, against γ₀."""
    left, right = figure.subplots(1, 2)
    gammas = dataset["richness"].values
    bars(left, gammas, dataset["distance"], label="limit", **series(0))
    left.axhline(0.02, color="0.45", linestyle=":", label="2 %")
    left.set_ylabel("distance from the tangent kernel's outputs")
    for i, layer in enumerate(dataset["layer"].values):
        change = dataset["kernel_change"].sel(layer=layer)
        bars(right, gammas, change, label=f"layer {layer}", **series(i))
    first = 0.6 * float(dataset["kernel_change"].sel(bound="value").min("layer")[0])
    guide(right, gammas, first, 2.0, "slope 2")
    right.set_ylabel(r"kernel's change $\|K_T - K_0\| / \|K_0\|$")
    for ax in (left, right):
        log_scale(ax, "x")
        log_scale(ax, "y")
        ax.set_xlabel(r"richness $\gamma_0$")
        ax.legend()


def check(numbers: dict[str, Estimate]) -> None:
    """Lazy limits and networks follow the tangent kernel; kernels move the more the richer."""
    lazy = numbers[f"limit_{LAZY}"]
    require(lazy.high < 0.02, f"{lazy.label}, is below 2 %")
    network = numbers["network"]
    require(network.high < 0.1, f"{network.label}, is of the order of their kernels' spread")
    require(numbers["limit_1"].low > 0.1, "training is not lazy at γ₀ = 1")
    require(numbers["least_growth"].value > 1, "kernels change more the larger γ₀")
    require(abs(numbers["lazy_power"].value - 2) < 0.1, "the first change is of second order in γ₀")
