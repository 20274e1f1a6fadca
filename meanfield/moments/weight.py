"""The maximal admissible weight of a law: exact for a named one, with intervals for a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import trained_coordinates
from meanfield.flow.particles import Particles
from meanfield.moments import tails
from meanfield.moments.exact import log_moments
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.intervals import LEVEL, normal_quantile
from meanfield.system import memory

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_EXACT_ORDERS, _MIN_POINTS = 64, 1000
#: Inverse order below which the support reads as compact, if its interval reaches 0 or the tail
#: is that of a bounded law.
_COMPACT = 0.02


@dataclass(frozen=True, eq=False)
class AdmissibleWeight:
    """The maximal admissible weight of a law, up to factors ``C^k``.

    Attributes
    ----------
    log_moments : Estimate, shape (K,)
        ``log m_k`` for k = 1, ..., K; infinite where the moment is.
    order : Estimate
        ``ρ`` in ``log m_k = (k/ρ) log k + O(k)``: 2 for a Gaussian, 1 for an exponential, ``inf``
        for a compact support, 0 when only finitely many moments are finite.
    tail_index : Estimate
        ``ν`` such that ``m_k = ∞`` for ``k ≥ ν``; ``inf`` when every moment is finite. What the
        other reading of a sample would give is in ``evidence["tail"]``; a note says where the
        sample does not decide between the two.
    exact : bool
        Whether the moments are those of a named law, without intervals, rather than of a sample.
    evidence : dict
        What the order was read from.

    Examples
    --------
    >>> import meanfield as mf
    >>> weight = mf.admissible_weight("gaussian", dimension=3)
    >>> weight.order.value, weight.exact, weight.log_w_star.shape == (weight.max_order,)
    (2.0, True, True)
    """

    log_moments: Estimate
    order: Estimate
    tail_index: Estimate
    exact: bool
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def max_order(self) -> int:
        """Largest order ``K`` of the moments at hand."""
        return len(self.log_moments.value)

    @property
    def log_w_star(self) -> Array:
        """``log w*_k = −log m_k``; −∞ where the moment is infinite."""
        return -self.log_moments.value

    @property
    def w_star(self) -> Array:
        """``w*_k`` for k = 1, ..., K; 0 where the moment is infinite."""
        return np.exp(self.log_w_star)

    def inverse_order(self, level: float = LEVEL) -> Estimate:
        """Return ``1/ρ`` with its interval, ``log m_k = (k/ρ) log k + O(k)``.

        Parameters
        ----------
        level : float, default: 0.95
            Confidence level.

        Returns
        -------
        Estimate
            0 for a compact law, infinite for one with finitely many moments; without an interval
            for a named law.
        """
        if self.exact or self.order.value == 0.0:
            return Estimate(reciprocal(self.order.value), level=level)
        read, error = self.evidence["inverse_order"]
        half = normal_quantile(level) * error
        low, high = read - half, read + half
        # A law that reads as compact has order infinity, however the fit came out.
        if np.isinf(self.order.value):
            read, low, high = 0.0, 0.0, max(high, 0.0)
        return Estimate(read, low, high, level=level, resampled="particles")

    def propagated_order(self, temperature: float) -> float:
        """Return the order of the law at positive times: ``min(ρ, 2)`` with noise, ``ρ`` without.

        Parameters
        ----------
        temperature : float

        Returns
        -------
        float
        """
        temperature = checks.nonnegative("temperature", temperature)
        return min(self.order.value, 2.0) if temperature > 0 else self.order.value

    def growth(self, order: float) -> Array:
        """Return ``(w_k m_k)^{1/k}``, k = 1, ..., K, for the weight ``w_k = k^{−k/order}``.

        It behaves as ``k^{1/ρ − 1/order}``: bounded for ``order ≤ ρ``, and it grows for every
        heavier weight, ``order > ρ``.

        Parameters
        ----------
        order : float

        Returns
        -------
        ndarray, shape (K,)
        """
        k = np.arange(1, self.max_order + 1)
        return np.exp(self.log_moments.value / k - np.log(k) / _weight_order(order))

    def growth_exponent(self, order: float) -> float:
        """Return the exponent ``1/ρ − 1/order`` of `growth`, infinite for infinite moments.

        Parameters
        ----------
        order : float

        Returns
        -------
        float
        """
        return reciprocal(self.order.value) - 1.0 / _weight_order(order)

    def admits(self, order: float) -> bool:
        """Tell whether the law lies in the class of ``w_k = k^{−k/order}``: `growth` is bounded.

        Parameters
        ----------
        order : float

        Returns
        -------
        bool
        """
        return self.growth_exponent(order) <= 0.0

    def __repr__(self) -> str:
        order = f"{self.order.value:.3g}"
        if not self.exact:
            order += f" [{self.order.low:.3g}, {self.order.high:.3g}]"
        undecided = " (undecided)" if self.tail_index.notes else ""
        return (
            f"AdmissibleWeight(order={order}, tail_index={self.tail_index.value:.3g}{undecided}, "
            f"max_order={self.max_order}, {'exact' if self.exact else 'from a sample'})"
        )


def reciprocal(order: float) -> float:
    """Return ``1/ρ``, infinite for ``ρ = 0``."""
    return np.inf if order == 0.0 else 1.0 / order


def _weight_order(order: float) -> float:
    if isinstance(order, float | np.floating) and order == np.inf:
        return np.inf
    return checks.positive("order", order)


def admissible_weight(
    law_or_particles: str | InitialLaw | Particles | ArrayLike,
    *,
    problem: Problem | None = None,
    dimension: int | None = None,
    max_order: int = _EXACT_ORDERS,
) -> AdmissibleWeight:
    """Compute the maximal admissible weight ``w*_k = 1/m_k`` and its order.

    From a sample, moment ``k`` is kept while its terms have an effective size of 50. The order is
    fitted to its moments of low order (`inverse_order`), of each coordinate when the coordinates
    pass for independent and of ``|θ|`` otherwise, after maps that do not change the order: the
    median becomes the centre of a coordinate that is symmetric about it, and the end that of one
    that keeps away from 0 (`centred`); directions become isotropic (`rounded`). The tail index is
    fitted to the largest 5 % of the radii (`read_tail`); these are functions of
    `meanfield.moments.tails`. Order and tail index describe the law at the radii that the sample
    reaches, no further: a law of another family, such as the logistic, may keep its own order
    outside the interval. The definition is operational, after the abstract of [ISD].

    Parameters
    ----------
    law_or_particles : str, InitialLaw, Particles or array_like
        A named law (its moments are exact), or a sample: particles, or points of shape (..., N, p).
    problem : Problem, optional
        Restricts ``θ`` to the trained coordinates and gives the scales of a named law.
    dimension : int, optional
        Number of coordinates of a named law, when there is no `problem`.
    max_order : int, default: 64
        Highest moment; a sample may support fewer.

    Returns
    -------
    AdmissibleWeight

    Raises
    ------
    ValueError
        Too few points, points that are not finite, or a named law without its dimension.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.admissible_weight("gaussian", dimension=3).order.value
    2.0
    """
    max_order = checks.count("max_order", max_order, minimum=4)
    if isinstance(law_or_particles, str | InitialLaw):
        law = as_initial_law(law_or_particles)
        return _of_law(law, _scales(law, problem, dimension), max_order)
    return _of_sample(sample_points(law_or_particles, problem), max_order)


def sample_points(particles: Particles | ArrayLike, problem: Problem | None) -> Array:
    """Points (number, p) in the coordinates that vary, all replicas together."""
    if isinstance(particles, Particles):
        points = particles.coordinates
        if problem is not None:
            points = points[..., trained_coordinates(problem)]
    else:
        checks.unmasked("law_or_particles", particles)
        try:
            points = np.asarray(particles, dtype=float)
        except (TypeError, ValueError):
            raise TypeError(
                "law_or_particles must be a law's name, an InitialLaw, Particles or an array of "
                f"numbers, got {type(particles).__name__}."
            ) from None
        if points.ndim < 2:
            raise ValueError(f"Points must have shape (..., N, p), got {points.shape}.")
    points = checks.finite("law_or_particles", points.reshape(-1, points.shape[-1]))
    if len(points) < _MIN_POINTS:
        raise ValueError(
            f"A sample needs at least {_MIN_POINTS} points for its moment order, got {len(points)}."
        )
    points = points[:, np.ptp(points, axis=0) > 0]
    if points.shape[1] == 0:
        raise ValueError("All points are equal: a point has no moment order; give a spread sample.")
    return points


def _of_law(law: InitialLaw, scales: Array, max_order: int) -> AdmissibleWeight:
    values = log_moments(law, scales, max_order)
    known = {"gaussian": 2.0, "laplace": 1.0, "uniform-ball": np.inf, "student-t": 0.0}
    evidence: dict[str, Any] = {"law": law.info}
    if law.nu is None:  # every moment is finite
        evidence["order_from_moments"] = _read_order(values)
    return AdmissibleWeight(
        log_moments=Estimate(values),
        order=Estimate(known.get(law.law, law.rho)),
        tail_index=Estimate(np.inf if law.nu is None else law.nu),
        exact=True,
        evidence=evidence,
    )


def _read_order(values: Array) -> float:
    """Order from exact log-moments: least squares on ``k log k, k, log k, 1, 1/k, 1/k²``."""
    k = np.arange(1.0, len(values) + 1)
    keep = k >= min(8, len(k) // 2)
    k, values = k[keep], values[keep]
    basis = np.stack([k * np.log(k), k, np.log(k), np.ones_like(k), 1 / k, 1 / k**2], 1)
    inverse = np.linalg.lstsq(basis / k[:, None], values / k, rcond=None)[0][0]
    return float(1.0 / inverse) if inverse > 1e-6 else np.inf


def _of_sample(points: Array, max_order: int) -> AdmissibleWeight:
    radius = np.linalg.norm(points, axis=1)
    values, errors = tails.log_sample_moments(radius, np.arange(1, max_order + 1))
    points = tails.centred(points)
    tail = tails.read_tail(np.linalg.norm(points, axis=1))
    inverse, error, source = _inverse_order(points)
    if tail.is_power_law or not np.isfinite(inverse):
        value, least, most = 0.0, 0.0, tail.exponent
    else:
        low, high = inverse - normal_quantile() * error, inverse + normal_quantile() * error
        compact = inverse < _COMPACT and (low <= 0 or tail.is_bounded)
        value, least = np.inf if compact else 1.0 / inverse, reciprocal(high)
        most = np.inf if compact or low <= 0 else 1.0 / low
    spread = normal_quantile() * errors
    return AdmissibleWeight(
        log_moments=Estimate(values, values - spread, values + spread, resampled="particles"),
        order=Estimate(value, least, most, resampled="particles"),
        tail_index=_tail_index(tail),
        exact=False,
        evidence={
            "tail": tail,
            "inverse_order": (inverse, error),
            "read_from": source,
            "n_points": len(points),
        },
    )


def _tail_index(tail: tails.Tail) -> Estimate:
    """Return the index of the verdict, with a note where the sample does not decide it."""
    if tail.is_power_law:
        return tail.tail_index
    undecided = np.isfinite(tail.tail_index.high) and tail.z > -normal_quantile(0.99)
    if not undecided:
        return Estimate(np.inf)
    read = tail.tail_index
    text = (
        f"The sample does not decide: a power law of index {read.value:.2g} [{read.low:.2g}, "
        f"{read.high:.2g}] explains its largest 5% about as well as a law whose moments are all "
        "finite, and a tail beyond these radii does not show. More points reach further."
    )
    return Estimate(np.inf, read.low, np.inf, resampled="particles", notes=(Note("tail", text),))


def _inverse_order(points: Array) -> tuple[float, float, str]:
    """``1/ρ``, its standard error, and what it was read from.

    Moments of few orders see the sum of several independent coordinates as a lighter or heavier
    law than each of them; the order of ``|θ|`` is that of its heaviest coordinate. So they do
    with the axes of an elliptical law.
    """
    if points.shape[1] > 1 and not tails.independent(points):
        points = tails.rounded(points)
    if points.shape[1] == 1 or not tails.independent(points):
        return *tails.inverse_order(np.linalg.norm(points, axis=1)), "radius"
    fits = np.array([tails.inverse_order(np.abs(column)) for column in points.T])
    if not np.isfinite(fits).all():
        return np.inf, np.inf, "coordinates"
    weights = fits[:, 1] ** -2.0 / (fits[:, 1] ** -2.0).sum()
    mean, error = float(weights @ fits[:, 0]), float((fits[:, 1] ** -2.0).sum() ** -0.5)
    agree = (np.abs(fits[:, 0] - mean) < 3.0 * fits[:, 1]).all()
    if not agree:
        mean, error = map(float, fits[fits[:, 0].argmax()])
    return mean, error, "coordinates"


def _scales(law: InitialLaw, problem: Problem | None, dimension: int | None) -> Array:
    """Scale of every coordinate; 0 for the frozen ones."""
    if problem is not None:
        return law.coordinate_scale(problem) * trained_coordinates(problem)
    if dimension is None:
        raise ValueError("A named law needs its dimension: give problem= or dimension=.")
    if isinstance(law.scale, tuple):
        raise ValueError("A law with separate scales for a, w and b needs problem=.")
    dimension = checks.count("dimension", dimension)
    memory.fits(dimension=dimension)
    return np.full(dimension, law.scale)
