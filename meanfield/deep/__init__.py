"""MLPs of any depth: four parametrizations at finite width, and the infinite-width limit of µP."""

from __future__ import annotations

from meanfield.deep.convergence import (
    KernelConvergence,
    WidthConvergence,
    kernel_alignment,
    kernel_convergence,
    width_convergence,
)
from meanfield.deep.exponents import fit_least_exponent, fit_width_exponents
from meanfield.deep.feature_metrics import (
    feature_change,
    feature_diversity,
    joint_diversity,
    least_over_training,
    mean_over_networks,
    nondegeneracy,
    relative_last_step,
    without_rounding,
)
from meanfield.deep.good import Goodness, is_good
from meanfield.deep.infinite import InfiniteWidth, infinite_width
from meanfield.deep.inputs import InputCheck, check_inputs
from meanfield.deep.joint import JointReport, joint_nondegeneracy
from meanfield.deep.parametrizations import (
    PARAMETRIZATIONS,
    Parametrization,
    experiment_scales,
    get_parametrization,
)
from meanfield.deep.train import train
from meanfield.deep.trained import DeepRun
from meanfield.deep.transfer import (
    RateCurve,
    RateDrift,
    base_step_size,
    rate_curve,
    rate_drift,
    search_rates,
)
from meanfield.deep.weights import initial_weights

__all__ = [
    "PARAMETRIZATIONS",
    "DeepRun",
    "Goodness",
    "InfiniteWidth",
    "InputCheck",
    "JointReport",
    "KernelConvergence",
    "Parametrization",
    "RateCurve",
    "RateDrift",
    "WidthConvergence",
    "base_step_size",
    "check_inputs",
    "experiment_scales",
    "feature_change",
    "feature_diversity",
    "fit_least_exponent",
    "fit_width_exponents",
    "get_parametrization",
    "infinite_width",
    "initial_weights",
    "is_good",
    "joint_diversity",
    "joint_nondegeneracy",
    "kernel_alignment",
    "kernel_convergence",
    "least_over_training",
    "mean_over_networks",
    "nondegeneracy",
    "rate_curve",
    "rate_drift",
    "relative_last_step",
    "search_rates",
    "train",
    "width_convergence",
    "without_rounding",
]
