"""The headline numbers of the study `identify`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family


@dataclass(frozen=True, kw_only=True)
class IdentifyHeadline(Headline):
    """The depths of every cell.

    Attributes
    ----------
    variety, orbit : dict of str to Estimate
        D*_var and D*_orb by the cell's key; NaN where a depth was not reached or is undecided.
    """

    variety: dict[str, Estimate] = family("variety-{}")
    orbit: dict[str, Estimate] = family("orbit-{}")
