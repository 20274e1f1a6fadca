"""The sparse dictionary of trained particles, and what bounds its size."""

from __future__ import annotations

from meanfield.dictionary.agreement import Agreement, compare_dictionaries
from meanfield.dictionary.certificate import Certificate, dual_certificate
from meanfield.dictionary.descent import SparseMinimiser
from meanfield.dictionary.extract import extract_dictionary
from meanfield.dictionary.hermite_expansion import HermiteExpansion, hermite_expansion
from meanfield.dictionary.minimiser import sparse_minimiser
from meanfield.dictionary.result import Dictionary
from meanfield.dictionary.threshold import ThresholdNumber, coefficient_threshold_number
from meanfield.dictionary.uncertainty import AtomIntervals

__all__ = [
    "Agreement",
    "AtomIntervals",
    "Certificate",
    "Dictionary",
    "HermiteExpansion",
    "SparseMinimiser",
    "ThresholdNumber",
    "coefficient_threshold_number",
    "compare_dictionaries",
    "dual_certificate",
    "extract_dictionary",
    "hermite_expansion",
    "sparse_minimiser",
]
