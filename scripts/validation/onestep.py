r"""The best rate of one step approaches that of the infinite-width limit like 1/√n.

Linear networks under µP, of which one step moves the M hidden matrices alone (``rate_scale=(0, 1,
0)``). The outputs after a step of rate η are polynomials of degree M in η, and in the limit they
are linear, ``2 M η K y`` with ``K = XXᵀ``, for there :math:`f_0 = 0` and no two updates act one on
the other. So the rate that fits m targets best tends to

.. math:: η_∞ = \frac{1}{2M} \frac{y^⊤ K y}{|K y|^2}.

A network of depth L has M = L − 1 hidden matrices: two, three and five of them are tried, and their
outputs, at rates enough to know the polynomials, minimised exactly between 0 and :math:`2 η_∞`; a
polynomial may have other minima far away. Expected are exponents −1/2 of the mean of :math:`|η_n −
η_∞|` in the width, and that same rate of the exact limit.

Source: Hayou 2025 (arXiv 2511.01734), whose loss is a half mean of squares, ``K = XXᵀ/d`` and whose
L counts the hidden matrices: :math:`(m/L)\, y^⊤ K y / |K y|^2`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.polynomial import Polynomial

from meanfield import deep
from meanfield.plots.rates import guide
from meanfield.plots.style import log_scale, series, width_axis
from meanfield.problem import single_index
from meanfield.statistics.estimate import Estimate
from meanfield.workbench.sections.deep_inputs import simulate_limit
from scripts.validation.output import bars, require

TITLE = "The best learning rate of one step, against the width"
MATRICES = (2, 3, 5)


def run(quick: bool = False) -> tuple[dict[str, Estimate], xr.Dataset]:
    """Find the best rates of networks of all widths and seeds, and of the limit."""
    widths, n_seeds = ([32, 128], 6) if quick else ([96, 192, 384, 768, 1536], 48)
    data = single_index(n_features=12, n_train=8)
    X, y = data.X / np.linalg.norm(data.X, axis=1, keepdims=True), data.y
    kernel = X @ X.T
    numbers: dict[str, Estimate] = {}
    distances = []
    for m in MATRICES:
        eta = float(y @ kernel @ y / np.sum((kernel @ y) ** 2) / (2 * m))
        limit = _best_rates(X, y, m, eta)
        numbers[f"limit_{m}"] = Estimate(
            float(limit[0]), expected=1.0, label=f"Best rate of the limit / η_∞, {m} matrices"
        )
        found = np.array([_best_rates(X, y, m, eta, width, n_seeds) for width in widths])
        away = np.abs(found - 1)
        exponent = deep.fit_width_exponents(widths, away[..., None])[0]
        label = f"Exponent of |η_n − η_∞| in the width, {m} hidden matrices"
        numbers[f"exponent_{m}"] = Estimate(
            exponent.value, exponent.low, exponent.high, expected=-0.5, label=label,
            resampled="seeds",
        )  # fmt: skip
        distances.append(Estimate.positive_mean(away, axis=1))
    return numbers, xr.Dataset(
        {"distance": Estimate.stack(distances).to_xarray(["matrices", "width"])},
        {"matrices": list(MATRICES), "width": widths},
    )


def _best_rates(
    X: np.ndarray, y: np.ndarray, m: int, eta: float, width: int | None = None, n_seeds: int = 1
) -> np.ndarray:
    """Return the best rates of one step over `eta`, one a seed; without a width, of the limit."""
    settings: dict[str, Any] = {"depth": m + 1, "activation": "identity", "n_steps": 1}
    settings |= {"rate_scale": (0, 1, 0), "save_at": []}
    shares = np.linspace(0, 2, m + 1)
    outputs = []
    for rate in eta * shares[1:]:
        if width is None:
            found = simulate_limit(X=X, y=y, step_size=rate, n_samples=None, **settings).replicas
        else:
            found = deep.train(
                X, y, width=width, step_size=rate, n_replicas=n_seeds, tol=0.0, **settings
            )
        outputs.append(found.predictions[:, 1])
    outputs = [found.predictions[:, 0], *outputs]
    best = []
    for values in np.array(outputs).transpose(1, 2, 0):  # of one seed, (inputs, rates)
        loss = Polynomial([0], domain=shares[[0, -1]])
        for target, each in zip(y, values, strict=True):
            loss += (Polynomial.fit(shares, each, m) - target) ** 2
        turns = loss.deriv().roots()
        real = turns.real[np.abs(turns.imag) < 1e-9]
        tried = np.append(real[(real > 0) & (real < shares[-1])], shares[[0, -1]])
        best.append(tried[np.argmin(loss(tried))])
    return np.array(best)


def draw(figure: Figure, dataset: xr.Dataset) -> None:
    """Draw the distance from the rate of the limit against the width."""
    ax, widths = figure.subplots(), dataset["width"].values
    for i, m in enumerate(dataset["matrices"].values):
        bars(ax, widths, dataset["distance"].sel(matrices=m), label=f"{m} matrices", **series(i))
    guide(ax, widths, 0.6 * float(dataset["distance"].sel(bound="low").min("matrices")[0]), -0.5,
          "slope $-1/2$")  # fmt: skip
    width_axis(ax, widths)
    log_scale(ax, "y")
    ax.set_ylabel(r"mean $|\eta_n / \eta_\infty - 1|$")
    ax.legend()


def check(numbers: dict[str, Estimate]) -> None:
    """Every exponent is −1/2, and known to 0.15; the limit has the rate of the formula."""
    for m in MATRICES:
        exponent, limit = numbers[f"exponent_{m}"], numbers[f"limit_{m}"]
        require(exponent.agrees and exponent.width < 0.3, f"{exponent.label}, is −1/2")
        require(abs(limit.value - 1) < 1e-9, f"{limit.label}, is 1")
