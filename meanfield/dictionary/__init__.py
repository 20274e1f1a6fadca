"""The sparse dictionary of trained particles, and what bounds its size."""

from __future__ import annotations

from meanfield.dictionary.hermite import HermiteExpansion, hermite_expansion
from meanfield.dictionary.threshold import (
    ThresholdNumber,
    coefficient_threshold_number,
    waring_rank_bound,
)

__all__ = [
    "HermiteExpansion",
    "ThresholdNumber",
    "coefficient_threshold_number",
    "hermite_expansion",
    "waring_rank_bound",
]
