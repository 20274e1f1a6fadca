"""Slopes with the next orders, from a smallest N on."""

import numpy as np
import pytest

from meanfield.statistics.rates import fit_rate
from meanfield.statistics.resampling import draw_repeats
from meanfield.statistics.settled import settled_slope

COUNTS = np.array([8.0, 16, 32, 64, 128, 256, 512])
ONES = np.ones_like(COUNTS)


def scattered(means, n_replicas, seed, spread=0.3):
    """Gamma scatter about the means, independent for every N."""
    rng = np.random.default_rng(seed)
    shape = 1 / spread**2
    return means[:, None] * rng.gamma(shape, 1 / shape, size=(len(means), n_replicas))


@pytest.mark.parametrize(("slope", "c2"), [(-1.0, 0.8), (-0.5, -0.6), (-1.3, 0.0)])
def test_exact_curves_are_found(slope, c2):
    means = 3 * COUNTS**slope * (1 + c2 * 8 / COUNTS)
    found = settled_slope(COUNTS, means[:, None] * np.ones(9), ONES, draw_repeats(9, 0))
    assert (found.first, found.order) == (0, 2)
    assert found.slope.value == pytest.approx(slope, abs=1e-10)
    assert found.fitted == pytest.approx(means, rel=1e-9)
    assert not found.bent


def test_small_sizes_off_the_curve_are_left_out():
    means = 1 / COUNTS
    means[0] *= 1.5  # nothing of the kind C + C₂/N + C₃/N² of the others
    found = settled_slope(COUNTS, scattered(means, 100, 1, 0.05), ONES, draw_repeats(100, 0))
    assert (found.first, found.order) == (1, 2)
    assert np.isnan(found.fitted[0])
    assert found.slope.low < -1 < found.slope.high


def test_intervals_count_a_next_term_of_the_natural_size():
    """As in C / (1 − c₂ N₀/N), whose next term is c₂²: with no scatter but rounding's."""
    c2 = 0.3
    means = 1 / (COUNTS * (1 - c2 * 8 / COUNTS))
    found = settled_slope(COUNTS, scattered(means, 40, 5, 1e-4), ONES, draw_repeats(40, 0))
    statistical = settled_slope(
        COUNTS, scattered(1 / COUNTS, 40, 5, 1e-4), ONES, draw_repeats(40, 0)
    )
    assert found.slope.width > 3 * statistical.slope.width
    assert found.slope.low < -1 < found.slope.high
    assert found.error > 3 * statistical.error


def test_where_every_curve_is_rejected_the_likeliest_is_taken():
    means = (1 + 0.3 * (-1.0) ** np.arange(len(COUNTS))) / COUNTS
    found = settled_slope(COUNTS, scattered(means, 100, 1, 0.05), ONES, draw_repeats(100, 0))
    assert found.bent


def test_few_sizes_have_no_such_fit():
    assert settled_slope(COUNTS[:3], np.ones((3, 9)), ONES[:3], draw_repeats(9, 0)) is None
    values = scattered(1 / COUNTS[:3], 20, 0)
    plain, same = (fit_rate(COUNTS[:3], values, settled=which) for which in (False, True))
    assert plain.slope == same.slope


def test_weights_are_those_of_least_squares():
    values = scattered(1 / COUNTS, 40, 2)
    weights = np.array([8.0, 8, 8, 8, 4, 2, 1])
    found = fit_rate(COUNTS, values, weights=weights)
    expected = np.polyfit(np.log(COUNTS), np.log(values.mean(1)), 1, w=np.sqrt(weights))
    assert found.slope.value == pytest.approx(expected[0], rel=1e-9)
    assert found.fitted == pytest.approx(np.exp(np.polyval(expected, np.log(COUNTS))))
    lines = np.polyfit(1 / COUNTS, COUNTS * values.mean(1), 1, w=np.sqrt(weights))
    assert found.constant.value == pytest.approx(lines[1], rel=1e-9)


@pytest.mark.parametrize("c2", [0.0, 3.0, -3.0])
def test_intervals_hold_the_slope_of_large_n(c2):
    """Where the plain fit is off by several of its errors."""
    held, plain = [], []
    for seed in range(40):
        values = scattered((1 + c2 / COUNTS) / COUNTS, 60, seed)
        held.append(fit_rate(COUNTS, values, settled=True, seed=seed).slope.agrees)
        if c2 and seed < 10:
            plain.append(fit_rate(COUNTS, values, seed=seed).slope.agrees)
    assert np.mean(held) >= 0.88
    if c2:
        assert np.mean(plain) < 0.3


def test_what_has_not_settled_is_told_from_a_slope_and_a_floor():
    """N times the metric rises by a third towards its limit."""
    counts = np.array([32, 64, 128, 256, 512, 1024])
    values = scattered((1 - 10 / counts) / counts, 400, 3, 0.2)
    codes = [note.code for note in fit_rate(counts, values).slope.notes]
    assert codes == ["pre-asymptotic"]
    straight = scattered(counts**-0.75, 400, 3, 0.2)
    assert [note.code for note in fit_rate(counts, straight).slope.notes] == ["slope"]
    settled = fit_rate(counts, values, settled=True).slope
    assert settled.agrees
    assert settled.notes == ()


def test_a_slope_that_is_not_reached_is_said():
    values = scattered(COUNTS**-0.5, 400, 4, 0.1)
    fit = fit_rate(COUNTS, values, settled=True)
    assert fit.slope.excludes(-1.0)
    (note,) = fit.slope.notes
    assert note.code == "pre-asymptotic"
    assert "from N=8 to 512 N times the metric still rises with N" in note.text
