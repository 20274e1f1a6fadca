"""Statistics of the rates: exact power laws, honest intervals, floors that are noticed."""

import json
import math

import numpy as np
import pytest

from meanfield.statistics.rates import fit_law_bias, fit_rate, late_time_trend, squared_mean

COUNTS = np.array([32, 64, 128, 256, 512])
SPREAD = np.array([1.0, 0.3, 0.1])


def oracle_metric(rng, n_replicas, counts=COUNTS):
    """Draw |mean of N Gaussians|² with noise shared across N, as D_N of the Gaussian closure."""
    values, total, before = [], np.zeros((n_replicas, 3)), 0
    for count in counts:
        step = np.sqrt((count - before) * SPREAD)
        total = total + rng.normal(size=(n_replicas, 3)) * step
        values.append(((total / count) ** 2).sum(axis=1))
        before = count
    return np.array(values)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("slope", [-0.5, -1.0, -2.0])
def test_an_exact_power_law_agrees_with_itself(slope, settled):
    """Rounding leaves the slope beside its interval, which has no length."""
    values = 3.0 * COUNTS[:, None] ** slope * np.ones(12)
    fit = fit_rate(COUNTS, values, expected_slope=slope, settled=settled)
    assert (fit.slope.agrees, fit.slope.notes) == (True, ())
    assert fit.constant.excludes(3.0) is False
    trend = late_time_trend(np.arange(10.0), np.full((10, 12), 0.3))
    assert (trend.change.agrees, trend.grows) == (True, False)


def test_exact_power_law():
    values = 3.0 / COUNTS[:, None] * np.ones((5, 7))
    fit = fit_rate(COUNTS, values)
    assert fit.slope.value == pytest.approx(-1, abs=1e-12)
    assert fit.slope.interval == pytest.approx((-1, -1), abs=1e-12)
    assert fit.constant.value == pytest.approx(3, rel=1e-12)
    assert fit.slope.notes == ()
    assert fit.line(COUNTS, 3.0 / COUNTS) == pytest.approx(3.0 / COUNTS, rel=1e-12)


def test_supremum_over_time_is_fitted():
    values = oracle_metric(np.random.default_rng(0), 40)
    growing = np.stack([0 * values, 0.1 * values, values, 0.5 * values], axis=1)
    fit = fit_rate(COUNTS, growing)
    assert fit.time_index == 2
    assert fit.slope.value == fit_rate(COUNTS, values).slope.value


def test_replicas_are_resampled_with_all_their_counts():
    """A factor of a whole replica moves every N alike and says nothing about the slope."""
    factors = np.random.default_rng(3).gamma(1.0, size=30)
    fit = fit_rate(COUNTS, factors / COUNTS[:, None])
    assert fit.slope.interval == pytest.approx((-1, -1), abs=1e-9)
    low, high = fit.constant.interval
    assert low < factors.mean() < high
    assert high - low > 0.3 * factors.mean()


def test_order_of_the_replicas_and_unit_of_the_metric():
    values = oracle_metric(np.random.default_rng(4), 30)
    fit, scaled = fit_rate(COUNTS, values), fit_rate(COUNTS, 1e-6 * values)
    assert scaled.slope.interval == pytest.approx(fit.slope.interval, rel=1e-9)
    assert scaled.constant.interval == pytest.approx(
        [1e-6 * x for x in fit.constant.interval], rel=1e-9
    )
    assert fit_rate(COUNTS, values, seed=1).slope.value == fit.slope.value
    assert fit_rate(COUNTS, values, seed=1).slope.interval != fit.slope.interval
    again = fit_rate(COUNTS, values, seed=1)
    assert again.slope.interval == fit_rate(COUNTS, values, seed=1).slope.interval


def test_constant_is_extrapolated():
    """c/N + c₁/N²: the constant is c, not the mean of N · metric."""
    rng = np.random.default_rng(5)
    scatter = rng.gamma(4.0, 0.25, size=(5, 50))
    scatter /= scatter.mean(axis=1, keepdims=True)
    fit = fit_rate(COUNTS, (2 / COUNTS + 10 / COUNTS**2)[:, None] * scatter)
    assert fit.constant.value == pytest.approx(2, rel=1e-9)


def test_reference_of_finite_size_enters_the_fit():
    size = 2048
    values = (1 / COUNTS + 1 / size)[:, None] * np.ones((5, 6))
    fit = fit_rate(COUNTS, values, reference_particles=size)
    assert fit.slope.value == pytest.approx(-1, rel=1e-9)
    assert fit.constant.value == pytest.approx(1, rel=1e-9)
    assert fit_rate(COUNTS, values).slope.value > -0.97


def test_constant_is_the_expectation():
    values = oracle_metric(np.random.default_rng(1), 2000)
    fit = fit_rate(COUNTS, values)
    assert fit.constant.interval[0] < SPREAD.sum() < fit.constant.interval[1]
    assert fit.constant.value == pytest.approx(SPREAD.sum(), rel=0.1)


def coverage(n_replicas, n_studies, seed):
    """Share of studies whose interval holds the true slope, and the true constant."""
    rng = np.random.default_rng(seed)
    fits = [fit_rate(COUNTS, oracle_metric(rng, n_replicas), seed=i) for i in range(n_studies)]
    # Of few replicas the upper end may be open.
    constants = [fit.constant.low <= SPREAD.sum() <= fit.constant.high for fit in fits]
    return np.mean([fit.slope.agrees for fit in fits]), np.mean(constants)


@pytest.mark.parametrize("n_replicas", [8, 24])
def test_intervals_cover(n_replicas):
    """Of 200 small studies, between 90 % and 98 % hold the true slope in their interval."""
    for share in coverage(n_replicas, 200, seed=5):
        assert 0.90 <= share <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("n_replicas", [8, 16, 24, 64])
def test_intervals_cover_in_many_studies(n_replicas):
    for share in coverage(n_replicas, 2000, seed=6):
        assert 0.92 <= share <= 0.97


def codes(fit):
    return {note.code for note in fit.slope.notes}


def floor_flagged(fit):
    return any(note.code == "floor" for note in fit.slope.notes)


def test_a_floor_is_noticed_and_a_clean_metric_is_not():
    rng = np.random.default_rng(2)
    clean = [oracle_metric(rng, 64) for _ in range(100)]
    alarms = sum(bool(fit_rate(COUNTS, values).slope.notes) for values in clean)
    assert alarms <= 4  # two tests at 0.5 % each
    floor = SPREAD.sum() / COUNTS[-1]  # as large as the metric itself at the largest N
    caught = [fit_rate(COUNTS, values + floor) for values in clean[:50]]
    # A slope of its own explains 64 replicas about as well, and is then named too.
    assert sum(bool(codes(fit) & {"floor", "slope-or-floor"}) for fit in caught) >= 45
    assert np.median([fit.floor_share for fit in caught]) == pytest.approx(0.5, abs=0.1)
    many = [fit_rate(COUNTS, oracle_metric(rng, 1000) + floor) for _ in range(20)]
    assert sum(map(floor_flagged, many)) >= 19


@pytest.mark.parametrize("slope", [-0.5, -0.63, -0.76, -1.5])
@pytest.mark.parametrize("n_replicas", [24, 400])
def test_another_straight_slope_is_no_floor(slope, n_replicas):
    rng = np.random.default_rng(7)
    counts = np.array([64, 128, 256, 512, 1024])
    power = counts[:, None] ** (1 + slope)
    fits = [fit_rate(counts, power * oracle_metric(rng, n_replicas, counts)) for _ in range(20)]
    assert sum(map(floor_flagged, fits)) <= 1
    if n_replicas == 400:
        found = [codes(fit) & {"slope", "slope-or-floor"} for fit in fits]
        assert sum(map(bool, found)) >= 19
        text = fits[0].slope.notes[0].text
        assert "power law" in text
        assert "noise floor" not in text


def test_the_better_of_two_models_is_told_without_scatter():
    """Exact curves with a scatter of one part in a hundred."""
    factors = 1 + 0.01 * np.random.default_rng(1).normal(size=(5, 200))
    straight = fit_rate(COUNTS, COUNTS[:, None] ** -0.5 * factors)
    level = fit_rate(COUNTS, (1 / COUNTS + 1 / 512)[:, None] * factors)
    assert codes(straight) == {"slope"}
    assert codes(level) == {"floor"}
    assert level.floor_share == pytest.approx(0.5, abs=0.02)


def test_next_order_of_the_power_law_is_no_floor():
    """N · metric that rises to its limit is not c/N plus a constant."""
    rng = np.random.default_rng(6)
    rise = (1 - 8 / COUNTS)[:, None]
    fits = [fit_rate(COUNTS, rise * oracle_metric(rng, 400)) for _ in range(10)]
    assert not any(map(floor_flagged, fits))


@pytest.mark.slow
def test_rate_of_false_alarms():
    """At most 1.5 %; but an interval that leaves the slope out by chance is always spoken of."""
    rng = np.random.default_rng(12)
    for n_replicas in (8, 24, 64):
        fits = [fit_rate(COUNTS, oracle_metric(rng, n_replicas)) for _ in range(1000)]
        assert np.mean([bool(codes(fit) - {"pre-asymptotic"}) for fit in fits]) <= 0.015
        by_chance = [fit for fit in fits if "pre-asymptotic" in codes(fit)]
        assert len(by_chance) <= 0.08 * len(fits)
        assert all(fit.slope.agrees is False for fit in by_chance)


def test_reference_error_and_rounding_are_noticed():
    values = oracle_metric(np.random.default_rng(3), 30)
    assert fit_rate(COUNTS, values, reference_particles=51200).slope.notes == ()
    (flag,) = fit_rate(COUNTS, values, reference_particles=5120).slope.notes
    assert "error of its own, about 10%" in flag.text
    (flag,) = fit_rate(COUNTS, values, rounding=1e-3).slope.notes
    assert "Rounding is visible" in flag.text


def test_a_bent_line_without_expectation_is_noticed():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(5, 30)) * 0.05
    straight = COUNTS[:, None] ** -0.4 * (1 + noise)
    bent = straight * (1 + COUNTS[:, None] / 200)
    assert fit_rate(COUNTS, straight, expected_slope=None).slope.notes == ()
    (flag,) = fit_rate(COUNTS, bent, expected_slope=None).slope.notes
    assert "not lie on one straight line" in flag.text
    assert math.isnan(fit_rate(COUNTS, straight, expected_slope=None).constant.value)


class TestLawBias:
    def deviations(self, scatter, seed=0, n_replicas=400):
        rng = np.random.default_rng(seed)
        shift = np.linspace(1, 2, 6)
        noise = rng.normal(size=(5, n_replicas, 6)) * scatter / np.sqrt(COUNTS)[:, None, None]
        return shift / COUNTS[:, None, None] + noise

    def test_visible_bias_has_its_slope(self):
        fit = fit_law_bias(COUNTS, self.deviations(0.05), 6)
        assert fit.slope.interval[0] < -2 < fit.slope.interval[1]
        assert fit.slope.interval[1] < -1
        assert fit.constant.value == pytest.approx(np.mean(np.linspace(1, 2, 6) ** 2), rel=0.05)

    def test_hidden_bias_is_not_fitted(self):
        fit = fit_law_bias(COUNTS, self.deviations(30.0), 6)
        assert math.isnan(fit.slope.value)
        assert "hidden in the scatter" in fit.slope.notes[0].text
        assert fit.slope.agrees is None

    def test_estimate_is_unbiased_and_its_jackknife_is_literal(self):
        rng = np.random.default_rng(8)
        deviation = rng.normal(size=(1, 9, 4)) + 0.5
        estimate, left_out = squared_mean(deviation, 4)
        d = deviation[0]
        pairs = [d[r] @ d[s] for r in range(9) for s in range(9) if r != s]
        assert estimate[0] == pytest.approx(np.mean(pairs) / 4, rel=1e-12)
        without = squared_mean(np.delete(deviation, 3, axis=1), 4)[0]
        assert left_out[0, 3] == pytest.approx(without[0], rel=1e-12)
        many = rng.normal(size=(1, 40000, 3)) + 0.2
        assert squared_mean(many, 3)[0][0] == pytest.approx(0.04, abs=4 * 0.003)


class TestTrend:
    def test_flat_and_growing(self):
        rng = np.random.default_rng(9)
        times = np.linspace(0, 10, 21)
        flat = 1 + 0.1 * rng.normal(size=(21, 50))
        assert not late_time_trend(times, flat).grows
        growing = late_time_trend(times, flat + 0.1 * times[:, None])
        assert growing.grows
        assert growing.change.value == pytest.approx(0.5 / 1.75, rel=0.1)
        assert growing.change.low < growing.change.value < growing.change.high

    def test_supremum(self):
        rng = np.random.default_rng(10)
        values = np.array([0, 1, 3, 2, 2.5])[:, None] * rng.gamma(2.0, 0.5, size=(5, 60))
        trend = late_time_trend([0, 1, 2, 3, 4], values)
        assert trend.supremum_time == 2
        assert trend.supremum.value == pytest.approx(values[2].mean())
        assert 0 < trend.supremum.low < 3 < trend.supremum.high

    def test_interval_covers(self):
        rng = np.random.default_rng(11)
        times = np.linspace(0, 10, 13)
        flat = [late_time_trend(times, rng.gamma(0.5, size=(13, 24))) for _ in range(200)]
        assert 0.90 <= np.mean([t.change.agrees for t in flat]) <= 0.98

    def test_needs_three_late_times(self):
        assert math.isnan(late_time_trend([0, 1, 10], np.ones((3, 5))).change.value)


def test_summary_is_json():
    values = oracle_metric(np.random.default_rng(0), 12)
    json.dumps(fit_rate(COUNTS, values).slope.to_summary(), allow_nan=False)
    hidden = fit_law_bias(COUNTS, np.random.default_rng(0).normal(size=(5, 9, 2)), 2)
    text = json.dumps(hidden.slope.to_summary(), allow_nan=False)
    assert json.loads(text)["value"] is None


@pytest.mark.parametrize(
    "counts",
    [[64, 32, 128], [32, 32, 64], [0, 1, 2], [[1, 2, 3]], [1, 2, math.nan], [1, 2, math.inf]],
)
def test_counts_that_cannot_be_used(counts):
    with pytest.raises(ValueError, match="particle_counts must be positive and ascend"):
        fit_rate(counts, np.ones((3, 5)))
    with pytest.raises(ValueError, match="particle_counts must be positive and ascend"):
        fit_law_bias(counts, np.ones((3, 5, 2)), 2)


@pytest.mark.parametrize(
    "values",
    [np.ones((2, 5)), np.ones((5, 1)), np.full((5, 4), np.nan), -np.ones((5, 4))],
)
def test_values_that_cannot_be_fitted(values):
    with pytest.raises(ValueError, match="values must"):
        fit_rate(COUNTS, values)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"values": [["a", "b"]] * 5}, "values must hold numbers"),
        ({"expected_slope": math.nan}, "expected_slope must be finite"),
        ({"reference_particles": 0}, "reference_particles must be greater than 0"),
        ({"rounding": math.nan}, "rounding must be finite and not negative"),
    ],
)
def test_settings_of_a_rate_that_cannot_be_used(settings, sentence):
    values = settings.pop("values", np.ones((5, 4)))
    with pytest.raises((ValueError, TypeError), match=sentence):
        fit_rate(COUNTS, values, **settings)


@pytest.mark.parametrize(
    ("deviation", "n_data", "sentence"),
    [
        (np.ones((5, 4)), 1, "deviation must have shape"),
        (np.ones((4, 4, 2)), 1, "deviation must have shape"),
        (np.ones((5, 1, 2)), 1, "R >= 2 replicas, got"),
        (np.full((5, 4, 2), math.nan), 1, "deviation must be finite"),
        (np.ones((5, 4, 2)), 0, "n_data must be an integer of at least 1"),
    ],
)
def test_what_has_no_bias_of_the_law_is_named(deviation, n_data, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_law_bias(COUNTS, deviation, n_data)


@pytest.mark.parametrize("zero", [0.0, 1e-31])
def test_what_is_zero_up_to_rounding_is_not_fitted(zero):
    rng = np.random.default_rng(0)
    values = rng.random((5, 4))
    for rows in (slice(None), slice(3, 4)):
        flat = values.copy()
        flat[rows] = zero
        fit = fit_rate(COUNTS, flat, rounding=1e-30)
        assert math.isnan(fit.slope.value)
        assert [note.code for note in fit.slope.notes] == ["zero"]
    assert fit_law_bias(COUNTS, np.zeros((5, 8, 2)), 2).slope.notes[0].code == "zero"
    change = late_time_trend(np.arange(9), np.full((9, 4), zero), rounding=1e-30).change
    assert (change.known, change.notes[0].code) == (False, "zero")
