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
w1_squared        :math:`(\frac1N \sum_i |θ_i - \barθ_i|)^2`, at least :math:`W_1^2(µ^N, \barµ^N)`
separated         share of partners further apart than the wells of the potential are wide
law_bias          square of the mean of :math:`f_N - \bar f` over replicas, of slope −2 in N
raw_w2            :math:`W_2^2` to an independent cloud of the limit law
sampling_floor    the same for the copies
law_w2, law_floor one trained parameter: :math:`W_2^2` to the limit law itself, of both
================= ==================================================================================

The coupling is synchronous. The Wasserstein distance of a theorem is an infimum over all couplings:
what is measured here bounds it. ``coupling``, ``w1_squared`` and ``separated`` come again with
``_modulo``: each pair at its least distance modulo the realisation symmetry, which leaves out
partners in mirror wells of one function.

Where partners stay in one well and the activation is smooth, the squared distances fall like 1/N.
With several wells a share of about :math:`N^{-1/2}` of the partners, whose drifts differ by
:math:`N^{-1/2}`, ends in different wells, so that coupling and matched_w2 fall more slowly, in the
end like :math:`N^{-1/2}`; function and w1_squared keep 1/N. A kink (relu, leaky relu, abs) kicks
partners apart that straddle it, with the same effect on coupling and matched_w2 at a fixed step
size, small where residuals are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.particles import Particles
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Activation

Array = NDArray[np.floating]

#: Metrics that fall like 1/N, those whose law needs nothing but learning first ([ISD] abstract:
#: squared W2 at rate 1/N). The raw distance to an independent cloud has the slope of the sampling
#: floor, which is measured beside it.
RATE_METRICS = ("function", "w1_squared", "coupling", "matched_w2")
#: Those that do so where partners stay in one well, and the activation is smooth.
ONE_WELL_METRICS = ("coupling", "matched_w2")
#: Metrics of partners, which come modulo the realisation symmetry too.
PARTNER_METRICS = ("coupling", "w1_squared", "separated")


def coupling(particles: Particles, copies: Particles) -> Array:
    """Return ``(1/N) Σ_i |θ_i − θ̄_i|²`` in the coordinates ``(a, w, b)``, per replica, (R,)."""
    gap = particles.coordinates - copies.coordinates
    return np.einsum("rnc,rnc->r", gap, gap) / particles.n_particles


def folded_squares(
    particles: Particles, copies: Particles, activation: Activation | None = None
) -> Array:
    """Return the squared distance of every particle from its copy, (R, N).

    With an activation it is the least over the images of the copy that are the same neuron: flips
    that leave nothing over, and half turns of a sinusoid with a bias. (The scale of a homogeneous
    activation is no such image: the penalty fixes it.)
    """
    # Contiguous, for the order of a sum shows in its last bit.
    points, others = map(np.ascontiguousarray, (particles.coordinates, copies.coordinates))
    squares = np.square(points - others).sum(axis=-1)
    if activation is None or any(activation.remainder):
        return squares
    symmetry = symmetry_of(activation)
    turns = symmetry.sinusoid and copies.b is not None
    d = copies.w.shape[-1]
    c = others[..., : points.shape[-1] - d - (copies.b is not None)].reshape(squares.size, -1)
    b = np.zeros(squares.size) if copies.b is None else copies.b.reshape(-1)
    images = replace(symmetry, sinusoid=turns).images(c, copies.w.reshape(-1, d), b)
    for parts in images:
        kept = [part.reshape(squares.size, -1) for part in parts]
        image = np.concatenate(kept if copies.b is not None else kept[:2], axis=1)
        gap = points - image.reshape(points.shape)
        if turns:  # phases are angles
            gap[..., -1] -= 2 * np.pi * np.rint(gap[..., -1] / (2 * np.pi))
        squares = np.minimum(squares, np.square(gap).sum(axis=-1))
    return squares


def partner_metrics(squares: Array, size: float) -> dict[str, Array]:
    """Return `PARTNER_METRICS` per replica, (R,), from the squared distances of partners (R, N).

    `size` is that of a well: partners further apart are separated.
    """
    return {
        "coupling": squares.mean(axis=1),
        "w1_squared": np.square(np.sqrt(squares).mean(axis=1)),
        "separated": (squares > size**2).mean(axis=1),
    }


def function_deviation(predictions: Array, reference: Array) -> Array:
    """Return ``f_N(x_j) − f̄(x_j)``, (T, R, n * k), from arrays (R, T, n[, k]) and (T, n[, k])."""
    gap = (predictions - reference).swapaxes(0, 1)
    return gap.reshape(*gap.shape[:2], -1)


def function_error(deviation: Array, n_data: int) -> Array:
    """Return ``(1/n) Σ_j |f_N(x_j) − f̄(x_j)|²``, summed over outputs, of such deviations."""
    return np.einsum("...j,...j->...", deviation, deviation) / n_data
