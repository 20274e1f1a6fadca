"""Identifiability: realisation symmetry, canonical form, equivalence, and the two depths."""

from __future__ import annotations

from meanfield.identify.activation_coefficients import activation_coefficients
from meanfield.identify.atoms import Atoms
from meanfield.identify.canonical import canonical
from meanfield.identify.depth import (
    FibreEvidence,
    OrbitDepth,
    RankEvidence,
    VarietyDepth,
    orbit_depth,
    variety_depth,
)
from meanfield.identify.equivalence import Equivalence, equivalent
from meanfield.identify.symmetry import Symmetry, symmetry_of

__all__ = [
    "Atoms",
    "Equivalence",
    "FibreEvidence",
    "OrbitDepth",
    "RankEvidence",
    "Symmetry",
    "VarietyDepth",
    "activation_coefficients",
    "canonical",
    "equivalent",
    "orbit_depth",
    "symmetry_of",
    "variety_depth",
]
