"""Statistics of convergence rates: slopes, constants, trends, and what may be wrong with them.

Replicas share their noise across particle counts, so every resampling draws replicas jointly.
Intervals are symmetric studentised bootstrap intervals over replicas (Hall 1988; Davison and
Hinkley, "Bootstrap methods and their application", 1997, §5.2). On metrics like a weighted
chi-square / N, with 4 or 6 counts, 95 % intervals of the slope cover, in 1000 studies each:

========== ================ ================ ================
replicas   symmetric t      percentile       BCa
========== ================ ================ ================
8          95.0 to 96.0 %   86.4 to 88.8 %   86.2 to 88.1 %
16         92.7 to 95.5 %   89.9 to 93.1 %   89.7 to 93.1 %
24         94.5 to 96.3 %   91.3 to 93.4 %   91.2 to 93.6 %
64         94.9 to 95.7 %   92.3 to 95.0 %   92.4 to 94.8 %
========== ================ ================ ================

Those of the constant cover 93.4 to 96.4 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.flags import floor_test, line_test, misfits
from meanfield.statistics.power_law import PowerLaw, zero_note
from meanfield.statistics.resampling import (
    bootstrap_t,
    draw_repeats,
    jackknife_error,
    jackknifed,
    log_mean_interval,
    log_slope,
    slope_weights,
)
from meanfield.statistics.settled import settled_slope, weighted_inverse

Array = NDArray[np.float64]

# A flag is raised at this false-alarm rate of its test.
_ALARM = 0.005
# A floor is told from a slope of its own where one fits better by this much of χ².
_TOLD_APART = 2.0
# The slope differs for certain where it is this many half widths of its interval away.
_FAR = 1.6
# Share of the reference's own error in the metric at the largest N that is passed over.
_REFERENCE_SHARE = 0.02
# Rounding may make up this share of the smallest mean.
_ROUNDING_SHARE = 0.01
# The bias of the law is fitted where it stands out of the replica noise by this many errors.
_SEPARATION = 3.0


@dataclass(frozen=True)
class Trend:
    """Late-time trend of ``N · metric``.

    Attributes
    ----------
    change : Estimate
        Change over the second half of the horizon, relative to its mean there: the
        least-squares slope in time times the length of that half. A rate that is uniform in time
        has none.
    supremum : Estimate
        Largest mean over replicas at any of the times. The largest of several estimates is too
        large by its very choice; the interval does not correct for it.
    supremum_time : float
        When it is attained.

    Examples
    --------
    >>> import meanfield as mf
    >>> trend = mf.chaos.Trend(mf.Estimate(0.1, 0.02, 0.18), mf.Estimate(3.0), 4.0)
    >>> trend.grows
    True
    """

    change: Estimate
    supremum: Estimate
    supremum_time: float

    @property
    def grows(self) -> bool:
        """Whether the interval lies above zero."""
        return bool(self.change.low > 0)


def fit_rate(
    particle_counts: ArrayLike,
    values: ArrayLike,
    *,
    expected_slope: float | None = -1.0,
    reference_particles: int | None = None,
    weights: ArrayLike | None = None,
    settled: bool = False,
    rounding: float = 0.0,
    seed: int = 0,
) -> PowerLaw:
    r"""Fit :math:`\log E[\text{metric}] = \text{const} + s \log N`.

    Least squares on the logarithm of the mean over replicas; by default with equal weights, as the
    relative error of a replica hardly depends on N. The constant is the intercept of
    :math:`N^{-s} \cdot \text{metric}` against 1/N, for the expected slope s.

    With `settled` the fit has the next order, :math:`N^s (C + C_2/N)`, and leaves small N out that
    lie on no such curve: `meanfield.statistics.settled`. Its interval is three times as wide, but
    holds the slope of large N.

    Notes are made when a floor is significantly positive (one-sided t test over replicas), moves
    the slope by more than half the half width of its interval, and fits better than a power law of
    another slope; when the points do not lie on one line (Hotelling's statistic, bootstrapped);
    when they lie on one whose slope is not the expected one; when the reference's own error or
    rounding is visible. Each test is at 0.5 %; a clean study had such a note in at most 1.5 % of
    400. Where the interval leaves the expected slope out, as one in twenty does by chance, and a
    term :math:`C_2/N` explains that as well as a slope of its own, the note ``"pre-asymptotic"``
    says so. Where a mean is zero up to rounding, nothing is fitted, and the note ``"zero"`` says
    so.

    Parameters
    ----------
    particle_counts : array_like, shape (K,)
        Sizes N, ascending, at least three.
    values : array_like, shape (K, R) or (K, T, R)
        Nonnegative metric per replica; column r is the *same* replica at every N. With times,
        the fit is at one time, common to all N: that of the largest geometric mean over N.
        Choosing a time by its value favours values that are too large. The slope does not
        suffer; the constant of a metric that is flat in time comes out 10 to 35 % too large with
        24 replicas (25 to 50 % if each N chose its own time). For an unbiased constant give the
        values at one time.
    expected_slope : float or None, default: -1.0
        What theory predicts.
    reference_particles : int, optional
        Size M of the system behind the mean-field path: the fit is then against
        ``1/N + 1/M`` in place of 1/N. The reference is one realisation whose error is ``c/M`` on
        average only, and intervals do not contain it: keep ``M >= 100 N``.
    weights : array_like, shape (K,), optional
        Weight of each mean in least squares, such as the number of systems of that size.
    settled : bool, default: False
        Whether the next order is fitted too; needs four sizes, else it makes no difference.
    rounding, seed : float, int
        Size that rounding alone gives the metric; seed of the resampling.

    Returns
    -------
    PowerLaw
        Slope, with what may be wrong as notes, and constant; NaN where a mean is zero.

    Raises
    ------
    ValueError
        Fewer than three sizes or two replicas, sizes that do not ascend, or values that are
        negative or not finite.

    References
    ----------
    Davison and Hinkley 1997, §5.2; Hall, "Theoretical comparison of bootstrap confidence
    intervals", Annals of Statistics 16, 1988.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> sizes = np.array([16, 32, 64, 128])
    >>> noise = np.random.default_rng(0).lognormal(0.0, 0.3, size=(4, 40))
    >>> mf.chaos.fit_rate(sizes, noise / sizes[:, None]).slope.agrees
    True
    """
    counts = _ascending_counts(particle_counts)
    checks.numbers("values", values)
    values = np.asarray(values, dtype=float)  # no copy: sums of another layout round otherwise
    if expected_slope is not None:
        checks.real("expected_slope", expected_slope)
    if reference_particles is not None:
        checks.positive("reference_particles", reference_particles)
    checks.nonnegative("rounding", rounding)
    time_index = None
    if values.ndim == 3 and values.size and len(values) == len(counts):
        with np.errstate(divide="ignore", invalid="ignore"):
            time_index = int(np.log(values.mean(axis=-1)).sum(axis=0).argmax())
        values = values[:, time_index]
    if values.ndim != 2 or len(values) != len(counts) or len(counts) < 3 or values.shape[1] < 2:
        raise ValueError(
            "values must have shape (K, R) or (K, T, R) with K >= 3 particle counts and R >= 2 "
            f"replicas, got {values.shape} for {len(counts)} counts."
        )
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        raise ValueError("values must be finite and nonnegative.")
    zero = zero_note(counts, values.mean(axis=1), rounding)
    if zero is not None:
        slope = Estimate(math.nan, expected=expected_slope, resampled="replicas", notes=(zero,))
        return PowerLaw(slope, time_index=time_index)
    notes = []
    if reference_particles is not None:
        notes += _reference_note(counts[-1], reference_particles)
        counts = 1 / (1 / counts + 1 / reference_particles)
    weight = np.ones_like(counts) if weights is None else np.asarray(weights, dtype=float)

    repeats = draw_repeats(values.shape[1], seed)
    design = np.stack([np.ones_like(counts), np.log(counts)], axis=1)
    inverse = weighted_inverse(design, weight)
    rise = slope_weights(np.log(counts)) if weights is None else inverse[1]
    slope, first = bootstrap_t(values, *log_slope(rise), repeats), 0
    fitted = np.exp(design @ (inverse @ np.log(values.mean(axis=1))))
    line_p = line_test(values, design, repeats)
    curve = settled_slope(counts, values, weight, repeats) if settled else None
    if curve is not None:
        slope, first, fitted = curve.slope, curve.first, curve.fitted
    slope = replace(slope, expected=expected_slope)
    constant, floor_share, floor_p = Estimate(math.nan), math.nan, math.nan
    if expected_slope is not None:
        constant = log_mean_interval(
            values[first:], _intercept(counts[first:], weight[first:], expected_slope), repeats
        )
        floor_share, floor_p = floor_test(counts, values, expected_slope, weight)
    note: Note | None
    if curve is not None:
        note = settled_note(counts, slope, curve.bent)
    else:
        note = _shape_note(counts, values, slope, floor_share, floor_p)
        if line_p < _ALARM and (note is None or note.code not in ("floor", "pre-asymptotic")):
            text = (
                "The points do not lie on one straight line in log-log axes: the slope is an "
                "average."
            )
            note = Note("bent", text)
    notes += [] if note is None else [note]
    if rounding > _ROUNDING_SHARE * values.mean(axis=1).min():
        text = f"Rounding is visible at N={counts[-1]:.0f}: use dtype='float64'."
        notes.append(Note("rounding", text))
    return PowerLaw(
        replace(slope, notes=tuple(notes)),
        constant,
        time_index=time_index,
        floor_share=floor_share,
        floor_p=floor_p,
        line_p=line_p,
        fitted=fitted,
    )


def _intercept(counts: Array, weights: Array, expected_slope: float) -> Array:
    """Weights w of the intercept at 1/N = 0 of a line in 1/N through N^-s · mean: w · means."""
    lines = np.stack([np.ones_like(counts), counts.min() / counts], axis=1)
    inverse: Array = weighted_inverse(lines, weights)[0] * counts**-expected_slope
    return inverse


def fit_law_bias(particle_counts: ArrayLike, deviation: ArrayLike, n_data: int) -> PowerLaw:
    r"""Fit the squared bias of the law, :math:`\frac1n |E f_N − \bar f|^2`, of slope −2.

    With R replicas the square of the mean deviation is estimated without bias by
    :math:`\frac{1}{R(R-1)} \sum_{r \ne s} ⟨d_r, d_s⟩ / n`. Only sizes, from the smallest
    upwards, at which it exceeds three standard errors are fitted, for elsewhere it is noise.

    `deviation` holds ``f_N − f̄`` of every replica, (K, R, m). Intervals are jackknifed; NaN and a
    note when fewer than three sizes stand out, or there is no deviation at all. A ValueError or
    TypeError names an argument that cannot be used.
    """
    counts = _ascending_counts(particle_counts)
    deviation, n_data = checks.finite("deviation", deviation), checks.count("n_data", n_data)
    if deviation.ndim != 3 or len(deviation) != len(counts) or deviation.shape[1] < 2:
        raise ArgumentError(
            "deviation",
            f"must have shape (K, R, m) for K = {len(counts)} particle counts and R >= 2 replicas, "
            f"got {deviation.shape}.",
        )
    zero = zero_note(counts, np.square(deviation).sum(axis=-1).mean(axis=1) / n_data)
    if zero is not None:
        return PowerLaw(Estimate(math.nan, expected=-2.0, notes=(zero,)))
    bias, left_out = squared_mean(deviation, n_data)
    error = jackknife_error(left_out)
    visible = bias > _SEPARATION * error
    fitted = len(counts) if visible.all() else int(np.argmin(visible))
    if fitted < 3:
        text = (
            "The bias of the law is hidden in the scatter of the replicas; it needs more replicas "
            "or smaller systems."
        )
        return PowerLaw(Estimate(math.nan, expected=-2.0, notes=(Note("hidden-bias", text),)))
    counts, bias, left_out, error = (x[:fitted] for x in (counts, bias, left_out, error))
    # Weighted by their errors, as `slope_weights` does not; these bits are in committed results.
    weight = (bias / error) ** 2
    centered = np.log(counts) - np.average(np.log(counts), weights=weight)
    rise = weight * centered / np.sum(weight * centered**2)

    def estimate(weights: Array, shift: float) -> Estimate:
        value = float(weights @ np.log(bias)) - shift
        # Linear in the estimates: logarithms of left-out values need not exist.
        return jackknifed(value, weights @ (left_out / bias[:, None]), "replicas")

    slope = estimate(rise, 0.0)
    level = weight / weight.sum()
    constant = estimate(level, -2.0 * float(level @ np.log(counts)))
    notes: tuple[Note, ...] = ()
    if fitted < len(visible):
        text = (
            f"Fitted up to N={counts[-1]:.0f}; beyond, the bias of the law is hidden in the "
            "scatter of the replicas."
        )
        notes = (Note("hidden-bias-beyond", text),)
    return PowerLaw(replace(slope, expected=-2.0, notes=notes), constant.map(math.exp))


def squared_mean(deviation: NDArray[np.floating], n_data: int) -> tuple[Array, Array]:
    """Return the squared mean over replicas, without bias, of deviations d of shape (K, R, m).

    It is ``(|Σ d|² − Σ |d|²) / (R (R − 1) n)``, (K,), followed by the same without each replica in
    turn, (K, R).
    """
    n_replicas = deviation.shape[1]
    total = deviation.sum(axis=1)
    squares = np.einsum("krm,krm->kr", deviation, deviation)
    products = np.einsum("krm,km->kr", deviation, total)
    pairs = np.einsum("km,km->k", total, total) - squares.sum(axis=1)
    estimate = pairs / (n_replicas * (n_replicas - 1) * n_data)
    left_pairs = pairs[:, None] - 2 * (products - squares)
    left_out = left_pairs / (max(n_replicas - 1, 1) * max(n_replicas - 2, 1) * n_data)
    return estimate, left_out


def late_time_trend(
    times: ArrayLike, values: ArrayLike, *, rounding: float = 0.0, seed: int = 0
) -> Trend:
    """Measure whether a metric, (T, R) over ascending times, still grows late in the horizon.

    Its change is NaN with fewer than three times in the second half, and, with a note, where the
    metric is zero up to the `rounding` of its means, so that nothing is relative to it.
    """
    times, values = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    repeats = draw_repeats(values.shape[1], seed)
    top = int(values.mean(axis=1).argmax())
    supremum = log_mean_interval(values[[top]], np.ones(1), repeats)
    late = times >= times[-1] / 2
    zero = zero_note(times[late], values[late].mean(axis=1), rounding, symbol="t")
    change = Estimate(math.nan, notes=() if zero is None else (zero,))
    if late.sum() >= 3 and zero is None:
        times_late, values_late = times[late], values[late]
        growth = slope_weights(times_late) * (times_late[-1] - times_late[0])

        def relative(means: Array) -> Array:
            return (means @ growth) / means.mean(axis=-1)

        def gradient(means: Array) -> Array:
            level = means.mean(axis=-1, keepdims=True)
            return (growth - relative(means)[..., None] / len(growth)) / level

        change = bootstrap_t(values_late, relative, gradient, repeats)
    return Trend(replace(change, expected=0.0), supremum, float(times[top]))


def _ascending_counts(particle_counts: ArrayLike) -> Array:
    """Return the particle counts as floats, checked."""
    counts = checks.numbers("particle_counts", particle_counts)
    if counts.ndim != 1 or not np.all(
        np.isfinite(counts) & (counts > 0) & (np.diff(counts, prepend=0.0) > 0)
    ):
        raise ValueError(f"particle_counts must be positive and ascend, got {particle_counts!r}.")
    return counts


def _reference_note(largest: float, reference_particles: int) -> list[Note]:
    """Warn of a reference whose own error shows."""
    share = largest / reference_particles
    if share <= _REFERENCE_SHARE:
        return []
    text = (
        f"The reference of {reference_particles} particles has an error of its own, about "
        f"{share:.0%} of the metric at N={largest:.0f}; keep it at 100 times the largest N. The "
        "fit is against 1/N + 1/M."
    )
    return [Note("reference", text)]


def _shape_note(
    counts: Array, values: Array, slope: Estimate, floor_share: float, floor_p: float
) -> Note | None:
    """Say why the slope is not the expected one: a floor, another power law, or too small N."""
    if slope.expected is None:
        return None
    bend = _slope_shift(counts, floor_share, slope.expected)
    floor = floor_p < _ALARM and bend > slope.width / 4
    off = abs(slope.value - slope.expected)
    if not (floor or off > max(slope.width / 2, 1e-9)):
        return None
    misfit = misfits(counts, values, slope.expected)
    if not floor:
        del misfit["floor"]
    least = min(misfit.values())
    possible = {model for model, chi2 in misfit.items() if chi2 <= least + _TOLD_APART}
    expected = f"{slope.expected:g}".replace("-", "−")
    if possible == {"floor"}:
        text = (
            f"A floor that does not fall with N makes up {floor_share:.0%} of the metric at "
            f"N={counts[-1]:.0f}: the noise floor is being fitted, it moves the slope by "
            f"{bend:+.2f}."
        )
        return Note("floor", text)
    if "floor" in possible:
        text = (
            f"The slope is not {expected}. The values can be a power law of another slope, or one "
            f"of slope {expected} that is levelling off; larger N tell the two apart."
        )
        return Note("slope-or-floor", text)
    if "settled" in possible:
        return settled_note(counts, slope, bent=False)
    if off <= _FAR * slope.width / 2:
        return None
    text = (
        f"Over these N the values follow a power law whose slope is not {expected}. They do not "
        "level off, so that no floor is behind it; whether the slope stays, larger N tell."
    )
    return Note("slope", text)


def settled_note(counts: Array, slope: Estimate, bent: bool) -> Note | None:
    """Say that a metric has not settled to its rate over these N, if it has not."""
    if not bent and slope.agrees is not False:
        return None
    range_ = f"from N={counts[0]:.0f} to {counts[-1]:.0f}"
    if bent and slope.agrees is not False:
        text = (
            f"Pre-asymptotic: {range_} the points lie on no curve N^s (C + C₂/N), so that the "
            "slope of large N is not known from them; larger N are needed."
        )
        return Note("pre-asymptotic", text)
    assert slope.expected is not None
    power = "N" if slope.expected == -1 else f"N^{-slope.expected:g}"
    moves = "rises" if slope.value > slope.expected else "falls"
    text = (
        f"Pre-asymptotic: {range_} {power} times the metric still {moves} with N. It may settle "
        "further on, follow another rate, or be off by chance, as one study in twenty is; larger N "
        "and more replicas tell which."
    )
    return Note("pre-asymptotic", text)


def _slope_shift(counts: Array, floor_share: float, expected_slope: float | None) -> float:
    """How far a floor of this share at the largest N moves the slope of a clean power law."""
    if expected_slope is None or not 0 < floor_share < 1:
        return math.nan if expected_slope is None or floor_share <= 0 else math.inf
    clean = (counts / counts[-1]) ** expected_slope * (1 - floor_share)
    return float(slope_weights(np.log(counts)) @ np.log(clean + floor_share)) - expected_slope
