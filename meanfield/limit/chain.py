"""Exact law of the discrete chain: no particles, one or two trained coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw
from meanfield.flow.scheme import Scheme
from meanfield.limit.grid import REACH, GridLaw, GridPath, InputCoordinates, marginal_density

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Lattice spacing in standard deviations of one step's noise. The trapezoidal rule on a Gaussian
#: of that width is off by 2 exp(−2π²/0.8²) ≈ 1e-13.
_SPACING = 0.8
#: Where a Gaussian is cut, in standard deviations.
_CUT = 7.5
#: Schemes whose next law depends on the present one alone.
_MARKOV = ("euler", "exponential-euler")
_NEGLIGIBLE = 1e-18  # mass of a lattice point that is dropped
#: Spacing of the run that estimates the error. At second order it is 1.56 times as far off, so
#: that twice the difference bounds the error; for smooth problems the bound is very generous.
_COARSER = 1.25
_MAX_POINTS = 4_000_000


def chain_law(
    problem: Problem,
    scheme: Scheme,
    *,
    spacing: float | None = None,
    save_at: Sequence[int] | None = None,
) -> GridPath:
    r"""Propagate the law of the discrete mean-field chain, without particles.

    One step sends each point of the law where the scheme sends it without noise and convolves
    with the Gaussian of the noise:

    .. math:: µ_{t+1} = (T_t)_\# µ_t * N(0, s_t^2), \qquad
        T_t(θ) = θ − η ∇V[µ_t](θ), \quad s_t^2 = 2ητ_t

    (Euler; exponential Euler with its own coefficients). The law sits on a lattice that resolves
    the noise of one step and the features, where the trapezoidal rule is accurate to rounding for
    smooth laws and activations, and of second order in the spacing where the activation or the
    initial law has a kink. Masses stay positive and sum to 1.

    This is the limit ``N → ∞`` of `simulate` at this very step size: as a drive it leaves no
    time-discretisation error in a study of the rate in ``N``.

    `spacing` is in units of what the lattice must resolve (`_finest_scale`). The laws of all steps
    are kept for one coordinate, of the first and the last for two, or of those in `save_at`.
    """
    coordinates = InputCoordinates(problem)
    p = problem.n_parameters
    _check(scheme)
    keep_all = save_at is None and p == 1
    steps = scheme.saved_steps(range(scheme.n_steps + 1) if keep_all else save_at)
    spacing = _SPACING if spacing is None else checks.positive("spacing", spacing)
    path, laws = _propagate(coordinates, scheme, spacing, steps)
    coarse, _ = _propagate(coordinates, scheme, _COARSER * spacing, steps[:0])
    return GridPath(
        predictions=coordinates.shaped(path),
        extrapolated=coordinates.shaped(path),  # nothing to gain: the error is not algebraic
        error=2.0 * np.abs(path - coarse).max(1),
        steps=steps,
        laws=tuple(laws),
    )


def lattice_size(problem: Problem, scheme: Scheme) -> int:
    """Number of lattice points on which `chain_law` starts, which sets its cost."""
    coordinates = InputCoordinates(problem)
    law, scales = coordinates.start(scheme)
    _check(scheme)
    noise = scheme.coefficients(problem).noise[:, 0, -problem.n_parameters :]
    h = _SPACING * _finest_scale(coordinates, scales, noise.min(0))
    return int(np.prod(2 * np.ceil(REACH[law.law] * scales / h)))


def _finest_scale(coordinates: InputCoordinates, scales: Array, noise: Array) -> Array:
    """Scale of each coordinate that the lattice must resolve: noise, initial law, activation.

    The poles of tanh lie at a distance π/2 from the real line, for the trapezoidal rule as good
    as a standard deviation of 0.5; a weight is multiplied by its largest input. The features
    are linear in the output weight.
    """
    sizes = np.abs(coordinates.inputs).max(0)
    features = 0.5 / np.maximum(sizes, 1e-300)
    if coordinates.trained_output:
        features = np.concatenate([[np.inf], features])
    return np.minimum(np.minimum(noise, scales), features)


def _check(scheme: Scheme) -> None:
    """Refuse a scheme whose law does not follow from the one before, or is not smooth."""
    checks.steps(scheme.n_steps)
    if not (scheme.temperatures > 0).all():
        raise ArgumentError(
            "temperature",
            message="The law of the chain needs a positive temperature at every step: the noise "
            "keeps it smooth on its lattice; use method='particles'.",
        )
    if scheme.integrator.name not in _MARKOV:
        raise ArgumentError(
            "integrator",
            message="The law of the chain needs an integrator whose next law depends on the "
            f"present one alone ({' or '.join(_MARKOV)}), got {scheme.integrator.name!r}; use "
            "method='particles'.",
        )


def _propagate(
    coordinates: InputCoordinates, scheme: Scheme, spacing: float, steps: NDArray[np.int64]
) -> tuple[Array, list[GridLaw]]:
    """Path (n_steps + 1, n) of the predictions, and the laws at ``steps``.

    Lattice points are odd multiples of half the spacing, so that a kink at 0 falls between two.
    """
    from meanfield.limit.lattice_convolution import spread

    problem, p = coordinates.problem, coordinates.problem.n_parameters
    (law, scales), step = coordinates.start(scheme), scheme.coefficients(problem)
    decay, gain, noise = step.decay[:, -p:], step.gain[:, -p:], step.noise[:, 0, -p:]
    h = spacing * _finest_scale(coordinates, scales, noise.min(0))
    masses, corner = _start(law, scales, h)
    path = np.empty((len(noise) + 1, problem.n_data))
    laws: list[GridLaw] = []
    for t in range(len(noise) + 1):
        if t in steps:
            laws.append(_law(masses, corner, h))
        index = np.argwhere(masses > _NEGLIGIBLE)
        weights = masses[tuple(index.T)]
        weights /= weights.sum()
        points = (corner + index[:, :p] + 0.5) * h
        z, outputs = coordinates.pre_activations(points)
        features = problem.activation.value(z)
        path[t] = (weights[:, None] * outputs).T[0] @ features
        if t == len(noise):
            return path, laws
        gradient = coordinates.gradient(z, features, outputs, coordinates.signals(path[t]))
        targets = np.zeros((len(points), 2))
        targets[:, :p] = (decay[t] * points - gain[t] * gradient) / h - 0.5
        deviations, reaches = np.ones(2), np.zeros(2, dtype=np.int64)
        deviations[:p] = noise[t] / h
        reaches[:p] = np.ceil(_CUT * deviations[:p])
        low = np.rint(targets.min(0)).astype(np.int64) - reaches
        shape = np.rint(targets.max(0)).astype(np.int64) + reaches - low + 1
        _check_size(shape)
        masses = np.zeros(shape)
        spread(weights, targets - low, deviations, reaches, masses)
        corner = low[:p]
    raise AssertionError


def _start(law: InitialLaw, scales: Array, h: Array) -> tuple[Array, NDArray[np.int64]]:
    """Masses (n_0, n_1) of the initial law on the lattice, and the index of its corner."""
    half = np.ceil(REACH[law.law] * scales / h).astype(np.int64)
    _check_size(2 * half)
    marginals = [
        marginal_density(law, scale, spacing * (np.arange(-m, m) + 0.5))
        for scale, spacing, m in zip(scales, h, half, strict=True)
    ]
    masses = np.multiply.outer(marginals[0], marginals[1] if len(marginals) > 1 else np.ones(1))
    return masses / masses.sum(), -half


def _check_size(shape: NDArray[np.int64]) -> None:
    if np.prod(shape.astype(float)) > _MAX_POINTS:
        raise ArgumentError(
            "step_size",
            message=f"The law of the chain needs {'×'.join(map(str, shape))} lattice points, more "
            f"than {_MAX_POINTS}: the noise of one step is too small for its extent; use a larger "
            "step_size or temperature, or method='particles'.",
        )


def _law(masses: Array, corner: NDArray[np.int64], h: Array) -> GridLaw:
    p = len(h)
    axes = tuple((corner[i] + np.arange(masses.shape[i]) + 0.5) * h[i] for i in range(p))
    return GridLaw(axes, (masses[:, 0] if p == 1 else masses) / masses.sum())
