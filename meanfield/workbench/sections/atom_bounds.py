"""What the studies of atoms share: which networks have none, and the count of the target."""

from __future__ import annotations

import math

import numpy as np

from meanfield.errors import ConfigError
from meanfield.problem import Problem
from meanfield.statistics.estimate import Estimate, Note

#: Hermite degrees that a search goes through at most.
MOST_DEGREES = 200


def refuse_affine(problem: Problem) -> None:
    """Refuse an activation whose networks have no atoms."""
    if problem.activation.degree == 1:
        raise ConfigError(
            f"key 'problem.activation' is {problem.activation.name!r}: affine networks have no "
            "atoms; choose another."
        )


#: Ends the label of a count from the labels of a table, whose inputs have a law of their own.
ASSUMED = "if the inputs were standard normal"


def bound_estimate(bounds: np.ndarray, explanation: np.ndarray, label: str) -> Estimate:
    """Return a coefficient-threshold number from what a unit kept: least, itself, most."""
    least, number, most = (int(value) for value in bounds)
    low, high = (least, most) if least < most else (math.nan, math.nan)
    return Estimate(number, low, high, notes=explained(explanation), label=label)


def possible_sizes(size: int, least: float, most: float, note: str) -> Estimate:
    """Return a number of atoms, with the range of sizes that cannot be excluded if there is one."""
    low, high = (least, most) if least < most else (math.nan, math.nan)
    return Estimate(
        size, low, high, resampled="data", notes=explained(note), label="Number of atoms S*"
    )


def explained(text: str | np.ndarray) -> tuple[Note]:
    """Return the note that says what a number rests on."""
    return (Note("explanation", str(text)),)


def largest(bound: Estimate) -> float:
    """Return the largest number that the count takes within the errors of the coefficients."""
    return bound.value if bound.interval is None else bound.high
