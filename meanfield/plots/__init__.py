"""Figures that results draw of themselves: saved results in, axes out; nothing is simulated here.

Each function draws on the axes that it is given, or on new ones. `render` turns any figure into PNG
and PDF. Colours are those of Okabe and Ito, which colour-blind readers tell apart; every series
also has its own marker or line style. Matplotlib is loaded with the first figure.
"""

from __future__ import annotations

from meanfield.plots.budget import plot_budget
from meanfield.plots.loss import plot_loss
from meanfield.plots.rates import plot_constants, plot_rates
from meanfield.plots.style import render
from meanfield.plots.sweep import plot_sweep

__all__ = ["plot_budget", "plot_constants", "plot_loss", "plot_rates", "plot_sweep", "render"]
