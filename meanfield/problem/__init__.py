"""What is learned: activations, losses, targets, data sources, and the problem itself."""

from __future__ import annotations

from meanfield.problem.activations import ACTIVATIONS, Activation, get_activation
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.function_target import FunctionTarget
from meanfield.problem.losses import LOSSES, Loss, get_loss, huber, quantile
from meanfield.problem.problem import Problem
from meanfield.problem.sources import SOURCES, load
from meanfield.problem.sources.bundled import diabetes, digits, patches
from meanfield.problem.sources.csv import csv
from meanfield.problem.sources.npz import npz
from meanfield.problem.sources.synthetic import (
    from_function,
    from_target,
    hermite,
    multi_index,
    parity,
    single_index,
    teacher,
)
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Target, Teacher

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "SOURCES",
    "Activation",
    "Data",
    "FunctionTarget",
    "HermiteTarget",
    "IndexTarget",
    "Loss",
    "Parity",
    "Problem",
    "Target",
    "Teacher",
    "csv",
    "diabetes",
    "digits",
    "from_arrays",
    "from_function",
    "from_target",
    "get_activation",
    "get_loss",
    "hermite",
    "huber",
    "load",
    "multi_index",
    "npz",
    "parity",
    "patches",
    "quantile",
    "single_index",
    "teacher",
]
