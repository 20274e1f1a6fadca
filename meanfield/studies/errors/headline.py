"""The headline numbers of the study `errors`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family


@dataclass(frozen=True, kw_only=True)
class ErrorsHeadline(Headline):
    """The total error, its components, their laws, and what each doubling gains.

    Attributes
    ----------
    total : Estimate
        ``‖f* − f_S‖``; its notes are the cautions about the whole budget.
    tail, regularisation, statistical, optimisation, chaos, sparse : Estimate
        L² norms of the components.
    slope : dict of str to Estimate
        Slopes of the squared components ``statistical`` in n and ``chaos`` in N.
    rate, rate_difference : Estimate or None
        Rate at which the optimisation error decays, and how much it differs from that of another
        start; None where too little of the decay was seen.
    gain : dict of str to Estimate
        What doubling n, N, t or S takes off the squared total error.
    closure : Estimate
        What the signed components miss of the total, relative.
    """

    total: Estimate
    tail: Estimate
    regularisation: Estimate
    statistical: Estimate
    optimisation: Estimate
    chaos: Estimate
    sparse: Estimate
    slope: dict[str, Estimate] = family("{}_slope")
    rate: Estimate | None = None
    rate_difference: Estimate | None = None
    gain: dict[str, Estimate] = family("gain_{}")
    closure: Estimate
