"""Estimates: one meaning of an interval, and the same back from every file."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from meanfield.statistics.estimate import Estimate, Note
from meanfield.system import storage

SLOPE = Estimate(-0.98, -1.03, -0.93, 0.9, -1.0, "replicas", (Note("floor", "A floor."),), "Slope")


def same(one, other):
    fields = ("level", "expected", "resampled", "notes", "label")
    assert [getattr(one, f) for f in fields] == [getattr(other, f) for f in fields]
    for name in ("value", "low", "high"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_agreement_needs_an_interval_and_an_expectation():
    assert SLOPE.agrees is True
    assert Estimate(-0.9, -0.95, -0.85, expected=-1.0).agrees is False
    assert Estimate(-0.9, expected=-1.0).agrees is None
    assert Estimate(-0.9, -0.95, -0.85).agrees is None
    assert SLOPE.excludes(0) is True
    assert Estimate(1.0).excludes(0) is None


def test_one_bound_alone_is_no_interval():
    assert Estimate(1.0, 0.5, math.inf).interval is None
    assert Estimate(1.0, 0.5, 1.5).interval == (0.5, 1.5)


def test_mean_is_students_interval():
    values = np.random.default_rng(0).normal(size=(7, 3))
    found = Estimate.mean(values, resampled="replicas")
    for i in range(3):
        low, high = stats.t.interval(
            0.95, 6, loc=values[:, i].mean(), scale=stats.sem(values[:, i])
        )
        assert found[i].low == pytest.approx(low)
        assert found[i].high == pytest.approx(high)
    assert Estimate.mean(values[:1])[0].interval is None


def test_positive_mean_stays_positive():
    found = Estimate.positive_mean(np.array([1.0, 100.0, 1.0]))
    assert 0 < found.low < found.value < found.high


def test_level_is_that_of_the_interval():
    values = np.random.default_rng(0).normal(size=9)
    for found in (Estimate.mean(values, level=0.5), Estimate.share(3, 9, level=0.5)):
        assert found.level == 0.5
    low, high = stats.t.interval(0.5, 8, loc=values.mean(), scale=stats.sem(values))
    assert Estimate.mean(values, level=0.5).interval == pytest.approx((low, high))
    assert Estimate.positive_mean(np.exp(values), level=0.5).level == 0.5


def test_share_has_wilsons_interval():
    found = Estimate.share(3, 9, label="Share")
    exact = stats.binomtest(3, 9).proportion_ci(method="wilson")
    assert found.value == 3 / 9
    assert found.interval == pytest.approx((exact.low, exact.high))
    assert Estimate.share(0, 9).low == 0
    both = Estimate.share(np.array([3, 9]), 9)
    assert both[0].interval == found.interval
    assert (both.value[1], both.high[1]) == (1.0, 1.0)


def test_map_keeps_the_bounds_in_order():
    halved = SLOPE.map(lambda s: -s / 2)
    assert (halved.low, halved.value, halved.high) == (0.465, 0.49, 0.515)
    assert halved.expected == 0.5


def test_equal_when_all_is_equal():
    unknown = Estimate(math.nan, expected=1.0)
    assert Estimate(math.nan, expected=1.0) == unknown
    assert Estimate(1.0, 0.5, 1.5) == Estimate(1.0, 0.5, 1.5)
    assert Estimate(1.0, 0.5, 1.5) != Estimate(1.0, 0.5, 1.6)
    assert Estimate(1.0) != Estimate(1.0, label="x")
    assert Estimate(np.array([1.0, math.nan])) == Estimate(np.array([1.0, math.nan]))


def test_array_is_a_copy_and_asked_one_by_one():
    values = np.array([1.0, 2.0])
    curve = Estimate(values, values - 0.5, values + 0.5)
    values[0] = 9
    assert curve.value[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        curve.value[0] = 9
    for ask in (lambda: curve.excludes(0), curve.to_summary):
        with pytest.raises(TypeError, match="array of estimates, of shape"):
            ask()
    assert curve[1].excludes(0)


def test_share_of_nothing_is_unknown():
    assert not Estimate.share(0, 0).known


def test_clip_leaves_the_value():
    share = Estimate(-0.1, -0.3, 0.2).clip(0, 1)
    assert (share.value, share.low, share.high) == (-0.1, 0.0, 0.2)


@pytest.mark.parametrize("estimate", [SLOPE, Estimate(2.0), Estimate(math.nan, expected=1.0)])
def test_summary_gives_the_same_back(estimate):
    same(Estimate.from_summary(estimate.to_summary()), estimate)


def test_summary_knows_no_infinity():
    saved = Estimate(math.inf, -math.inf, math.nan, expected=math.nan).to_summary()
    assert (saved["value"], saved["interval"], saved["expected"]) == (None, None, None)


def test_summary_may_lack_what_programs_alone_read():
    saved = SLOPE.to_summary()
    del saved["resampled"], saved["note_codes"]
    same(Estimate.from_summary(saved), replace(SLOPE, resampled="", notes=(Note("", "A floor."),)))


def test_file_gives_the_same_back(tmp_path):
    curve = Estimate.stack([SLOPE, Estimate(1.0, 0.0, 2.0)], label="Curve", notes=SLOPE.notes)
    dataset = xr.Dataset(
        {"slope": SLOPE.to_xarray(), "curve": curve.to_xarray(["n"], {"n": [4, 8]})}
    )
    storage.write_dataset(tmp_path / "result.nc", dataset)
    read = storage.read_dataset(tmp_path / "result.nc")
    same(Estimate.from_xarray(read["slope"]), SLOPE)
    same(Estimate.from_xarray(read["curve"]), curve)
    assert read["curve"].sel(bound="high", n=8) == 2.0
