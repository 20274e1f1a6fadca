"""Identifiability: realisation symmetry, canonical form, equivalence, and the two depths."""

from __future__ import annotations

from meanfield.identify.activation_coefficients import activation_coefficients
from meanfield.identify.atoms import Atoms
from meanfield.identify.canonical import canonical
from meanfield.identify.depth import OrbitDepth, VarietyDepth, orbit_depth, variety_depth
from meanfield.identify.equivalence import Equivalence, equivalent

__all__ = [
    "Atoms",
    "Equivalence",
    "OrbitDepth",
    "VarietyDepth",
    "activation_coefficients",
    "canonical",
    "equivalent",
    "orbit_depth",
    "variety_depth",
]
