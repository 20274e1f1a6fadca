"""The headline numbers of the study `chaos`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family


@dataclass(frozen=True, kw_only=True)
class ChaosHeadline(Headline):
    """What was found of each metric.

    Attributes
    ----------
    slope : dict of str to Estimate
        Slope of log metric against log N.
    constant : dict of str to Estimate
        ``N^(-expected slope) · metric``, for the metrics that have an expected slope.
    trend : dict of str to Estimate
        Change of ``N · metric`` over the second half of the run, relative to its mean there.
    supremum : dict of str to Estimate
        Largest ``N · metric`` at any time.
    """

    slope: dict[str, Estimate] = family("{}_slope")
    constant: dict[str, Estimate] = family("{}_constant")
    trend: dict[str, Estimate] = family("{}_trend")
    supremum: dict[str, Estimate] = family("{}_supremum")

    @property
    def noise(self) -> bool:
        """Whether there was noise: without it there is no theorem for the particles."""
        return self.slope["coupling"].expected is not None
