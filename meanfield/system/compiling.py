"""The one place where compiled code is allowed to depart from the rounding of plain arithmetic.

``contract`` alone: a product and a sum may become one fused operation, rounded once. Never:

- ``nnan``, ``ninf``: they delete checks for NaN and infinity, and a diverged run goes unnoticed;
- ``reassoc``: it reorders sums, and folds ``x + magic − magic`` away, a range reduction without
  which ``exp`` is silently wrong. ``fast`` and ``True`` contain all of these.

The particle step has no flags at all: its fused operations are written out.
"""

from __future__ import annotations

#: For ``numba.njit(fastmath=FAST_MATH)``; no other value of this option stands in the package.
FAST_MATH = {"contract"}
