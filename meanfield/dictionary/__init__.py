"""The sparse dictionary of trained particles, and what bounds its size."""

from __future__ import annotations

from meanfield.dictionary.certificate import Certificate, dual_certificate
from meanfield.dictionary.extract import extract_dictionary
from meanfield.dictionary.hermite import HermiteExpansion, hermite_expansion
from meanfield.dictionary.result import Dictionary
from meanfield.dictionary.threshold import (
    ThresholdNumber,
    coefficient_threshold_number,
    waring_rank_bound,
)

__all__ = [
    "Certificate",
    "Dictionary",
    "HermiteExpansion",
    "ThresholdNumber",
    "coefficient_threshold_number",
    "dual_certificate",
    "extract_dictionary",
    "hermite_expansion",
    "waring_rank_bound",
]
