"""Identifiability: realisation symmetry, canonical form, equivalence, and the two depths."""

from __future__ import annotations

from meanfield.identify.atoms import Atoms
from meanfield.identify.canonical import canonical
from meanfield.identify.equivalence import Equivalence, equivalent
from meanfield.identify.hermite import activation_coefficients
from meanfield.identify.symmetry import Symmetry, symmetry_of

__all__ = [
    "Atoms",
    "Equivalence",
    "Symmetry",
    "activation_coefficients",
    "canonical",
    "equivalent",
    "symmetry_of",
]
