"""The headline numbers of the study `cell`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline


@dataclass(frozen=True, kw_only=True)
class CellHeadline(Headline):
    """The triple, and what stands beside it.

    Attributes
    ----------
    order : Estimate
        Order ρ of the maximal admissible weight w*.
    orbit_depth, variety_depth : Estimate
        D*_orb and D*_var; NaN where a depth was not reached.
    n_atoms : Estimate
        S*.
    compression_gap : Estimate
        Part of the network that S* atoms leave out.
    bound : Estimate or None
        Coefficient-threshold number of the target; None where none can be had.
    """

    order: Estimate
    orbit_depth: Estimate
    variety_depth: Estimate
    n_atoms: Estimate
    compression_gap: Estimate
    bound: Estimate | None = None
