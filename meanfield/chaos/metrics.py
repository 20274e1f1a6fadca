r"""Distances between a particle system and its mean-field limit, one number per replica.

With particles :math:`θ_i`, their McKean–Vlasov copies :math:`\barθ_i` (same start, same noise,
driven by the mean-field predictions :math:`\bar f`) and their empirical measures
:math:`µ^N, \barµ^N`:

================= ==================================================================================
metric            definition
================= ==================================================================================
coupling          :math:`D_N = \frac1N \sum_i |θ_i - \barθ_i|^2`
matched_w2        :math:`W_2^2(µ^N, \barµ^N) \le D_N`, exact (`meanfield.transport`)
function          :math:`\frac1n \sum_j |f_N(x_j) - \bar f(x_j)|^2`
law_bias          square of the mean of :math:`f_N - \bar f` over replicas, of slope −2 in N
raw_w2            :math:`W_2^2` to an independent cloud of the limit law
sampling_floor    the same for the copies
law_w2, law_floor one trained parameter: :math:`W_2^2` to the limit law itself, of both
================= ==================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.particles import Particles

Array = NDArray[np.floating]

#: Metrics of slope −1 in N ([ISD] abstract: squared W2 at rate 1/N). The raw distance to an
#: independent cloud has the slope of the sampling floor, which is measured beside it.
RATE_METRICS = ("coupling", "matched_w2", "function")


def coupling(particles: Particles, copies: Particles) -> Array:
    """Return ``(1/N) Σ_i |θ_i − θ̄_i|²`` in the coordinates ``(a, w, b)``, per replica, (R,)."""
    gap = particles.coordinates - copies.coordinates
    return np.einsum("rnc,rnc->r", gap, gap) / particles.n_particles


def function_deviation(predictions: Array, reference: Array) -> Array:
    """Return ``f_N(x_j) − f̄(x_j)``, (T, R, n * k), from arrays (R, T, n[, k]) and (T, n[, k])."""
    gap = (predictions - reference).swapaxes(0, 1)
    return gap.reshape(*gap.shape[:2], -1)


def function_error(deviation: Array, n_data: int) -> Array:
    """Return ``(1/n) Σ_j |f_N(x_j) − f̄(x_j)|²``, summed over outputs, of such deviations."""
    return np.einsum("...j,...j->...", deviation, deviation) / n_data
