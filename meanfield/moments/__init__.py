"""Moment classes and the maximal admissible weight ``w*``.

Operational definition, after the abstract of [ISD]: with ``m_k(µ) = ∫ |θ|^k dµ``, a weight is a
positive sequence ``w = (w_k)``, its class is ``{µ : sup_k w_k m_k(µ) < ∞}``, and weights that
differ by factors ``C^k`` are the same (they rescale parameter space). The largest weight that
admits the initial law ``µ_0`` is the reciprocal of its moment growth, ``w*_k = 1 / m_k(µ_0)``.
"""

from __future__ import annotations

from meanfield.moments.propagation import MomentPropagation, moment_propagation
from meanfield.moments.weight import AdmissibleWeight, admissible_weight

__all__ = ["AdmissibleWeight", "MomentPropagation", "admissible_weight", "moment_propagation"]
