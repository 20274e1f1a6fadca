"""The headline numbers of the study `bench`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline


@dataclass(frozen=True, kw_only=True)
class BenchHeadline(Headline):
    """What a step costs, with the most threads.

    Attributes
    ----------
    ns_per_pair : Estimate
        Nanoseconds per particle and datum, geometric mean over the systems.
    product_share : Estimate
        Share of that time which NumPy would need for the two products alone.
    memory_mb : Estimate
        What the largest system takes.
    thread_gain : Estimate or None
        Speed with the most threads over that with the fewest; None where there is one number.
    """

    ns_per_pair: Estimate
    product_share: Estimate
    memory_mb: Estimate
    thread_gain: Estimate | None = None
