"""Figures from saved results: a dataset and axes in, the axes out; nothing is simulated here.

Each function draws one figure on the axes it is given, or on new ones. `render` turns any of them
into PNG and PDF. Colours are those of Okabe and Ito, which colour-blind readers tell apart; every
series also has its own marker or line style. Matplotlib is loaded with the first figure.
"""

from __future__ import annotations

from meanfield.plots.atoms import (
    plot_atoms,
    plot_cooling,
    plot_mass,
    plot_residual,
    plot_tiles,
)
from meanfield.plots.cell import plot_cell_residual, plot_weight
from meanfield.plots.chaos import (
    plot_chaos_loss,
    plot_constants,
    plot_law_bias,
    plot_law_w2,
    plot_rates,
    plot_raw_w2,
)
from meanfield.plots.deep import (
    plot_activations,
    plot_coordinate_check,
    plot_feature_change,
    plot_feature_diversity,
    plot_joint_diversity,
    plot_slopes,
)
from meanfield.plots.errors import (
    plot_budget,
    plot_optimisation,
    plot_particle_number,
    plot_sparse,
    plot_statistical,
    plot_tail,
)
from meanfield.plots.identify import plot_depths
from meanfield.plots.limit import (
    plot_bias,
    plot_features,
    plot_independence,
    plot_outputs,
    plot_spread,
    plot_standstill,
)
from meanfield.plots.recovery import plot_angles, plot_cells, plot_methods, plot_success
from meanfield.plots.references import (
    plot_reference_gaps,
    plot_reference_laws,
    plot_reference_rates,
)
from meanfield.plots.simulate import plot_loss, plot_particles
from meanfield.plots.style import render

__all__ = [
    "plot_activations",
    "plot_angles",
    "plot_atoms",
    "plot_bias",
    "plot_budget",
    "plot_cell_residual",
    "plot_cells",
    "plot_chaos_loss",
    "plot_constants",
    "plot_cooling",
    "plot_coordinate_check",
    "plot_depths",
    "plot_feature_change",
    "plot_feature_diversity",
    "plot_features",
    "plot_independence",
    "plot_joint_diversity",
    "plot_law_bias",
    "plot_law_w2",
    "plot_loss",
    "plot_mass",
    "plot_methods",
    "plot_optimisation",
    "plot_outputs",
    "plot_particle_number",
    "plot_particles",
    "plot_rates",
    "plot_raw_w2",
    "plot_reference_gaps",
    "plot_reference_laws",
    "plot_reference_rates",
    "plot_residual",
    "plot_slopes",
    "plot_sparse",
    "plot_spread",
    "plot_standstill",
    "plot_statistical",
    "plot_success",
    "plot_tail",
    "plot_tiles",
    "plot_weight",
    "render",
]
