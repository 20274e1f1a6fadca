"""How often a step size that diverged must be halved."""

from __future__ import annotations

import math
from collections.abc import Callable

#: The search ends at 2^-60, or as far below the step size that diverged.
_LEAST_EXPONENT = -60


def halvings(step_size: float, holds: Callable[[int], bool]) -> int | None:
    """Return the fewest halvings after which a run stays finite, assuming that fewer do not.

    Their number is doubled until it is enough, then bisected: about 2 log₂ h trials for h
    halvings, so that a step size far off costs little more than one nearby.

    Parameters
    ----------
    step_size : float
        Step size that diverged.
    holds : callable
        ``holds(h)`` tries h ≥ 1 halvings and tells whether the run stayed finite.

    Returns
    -------
    int or None
        None if even the smallest step size tried diverged.
    """
    most = max(math.frexp(step_size)[1], 0) - _LEAST_EXPONENT
    failed, enough = 0, 1
    while not holds(enough):
        if enough == most:
            return None
        failed, enough = enough, min(2 * enough, most)
    while enough - failed > 1:
        middle = (failed + enough) // 2
        if holds(middle):
            enough = middle
        else:
            failed = middle
    return enough
