"""The headline numbers of the study `atoms`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline


@dataclass(frozen=True, kw_only=True)
class AtomsHeadline(Headline):
    """How many atoms the networks have at the end, and how far that can be relied on.

    Parameters
    ----------
    n_atoms : Estimate
        The most frequent number of atoms.
    agreement : Estimate
        Share of networks with that number.
    confident : Estimate
        Share of networks whose number can be relied on.
    missing : Estimate
        Share of networks whose certificate finds a missing atom.
    compression_gap : Estimate
        Part of the network that its atoms leave out, mean over networks.
    error : Estimate or None
        Held-out loss of the dictionary, where data are held out.
    bound : Estimate or None
        Bound from the Hermite coefficients of the target, where it has an expansion.
    """

    n_atoms: Estimate
    agreement: Estimate
    confident: Estimate
    missing: Estimate
    compression_gap: Estimate
    error: Estimate | None = None
    bound: Estimate | None = None
