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
law_bias          square of the mean of :math:`f_N - \bar f` over replicas
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

#: Metric -> expected slope in N ([ISD] abstract: squared W2 at rate 1/N). The raw distance to an
#: independent cloud has the slope of the sampling floor, which is measured beside it.
EXPECTED_SLOPE: dict[str, float | None] = {
    "coupling": -1.0,
    "matched_w2": -1.0,
    "function": -1.0,
    "law_bias": -2.0,
    "raw_w2": None,
    "sampling_floor": None,
    "law_w2": None,
    "law_floor": None,
}


def coupling(particles: Particles, copies: Particles) -> Array:
    r"""Return :math:`D_N = \frac1N \sum_i |θ_i − \barθ_i|^2` per replica.

    Parameters
    ----------
    particles : Particles
        The interacting particles.
    copies : Particles
        Their McKean–Vlasov copies: same start, same noise.

    Returns
    -------
    ndarray, shape (R,)
        Squared distance in the coordinates ``(a, w, b)``.
    """
    gap = particles.coordinates - copies.coordinates
    return np.einsum("rnc,rnc->r", gap, gap) / particles.n_particles


def function_deviation(predictions: Array, reference: Array) -> Array:
    r"""Return :math:`f_N(x_j) − \bar f(x_j)`, flattened over data and outputs.

    Parameters
    ----------
    predictions : ndarray, shape (R, T, n) or (R, T, n, k)
        Network outputs.
    reference : ndarray, shape (T, n) or (T, n, k)
        Mean-field outputs.

    Returns
    -------
    ndarray, shape (T, R, n * k)
        Deviations.
    """
    gap = (predictions - reference).swapaxes(0, 1)
    return gap.reshape(*gap.shape[:2], -1)


def function_error(deviation: Array, n_data: int) -> Array:
    r"""Return :math:`\frac1n \sum_j |f_N(x_j) − \bar f(x_j)|^2` from deviations.

    Parameters
    ----------
    deviation : ndarray, shape (..., n * k)
        From `function_deviation`.
    n_data : int
        Number of data points n.

    Returns
    -------
    ndarray, shape (...)
        Mean square over data, summed over outputs.
    """
    return np.einsum("...j,...j->...", deviation, deviation) / n_data
