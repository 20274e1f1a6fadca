"""Estimates: one meaning of an interval, and the same back from every file."""

from __future__ import annotations

import copy
import dataclasses
import fractions
import itertools
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.system import storage
from meanfield.workbench.headline import NumberRecord

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
    large = Estimate.share(10**11, 10**12)
    assert 0.0999 < large.low < 0.1 < large.high < 0.1001


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


@pytest.mark.parametrize(
    ("found", "clipped"),
    [
        ((-0.1, -0.3, 0.2), (0.0, 0.0, 0.2)),
        ((0.5, -0.3, 1.2), (0.5, 0.0, 1.0)),
        ((0.5, math.nan, 1.2), (0.5, math.nan, 1.0)),
        ((-0.2, -0.3, -0.1), (0.0, 0.0, 0.0)),
    ],
)
def test_clip_keeps_all_of_it_to_the_range(found, clipped):
    assert Estimate(*found).clip(0, 1) == Estimate(*clipped)


def test_clip_takes_no_range_upside_down():
    with pytest.raises(ArgumentError, match="low must not exceed high, got 1 and 0"):
        SLOPE.clip(1, 0)


CURVE = Estimate([1.0, math.nan, 3.0], [0.5, math.nan, -math.inf], [1.5, math.nan, math.inf])
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("arguments", "name", "sentence"),
    [
        ((2.0, 2.5, 1.5), "low", "must not exceed high, got low, high = 2.5, 1.5."),
        (
            (3.0, 1.0, 2.0),
            "value",
            "must lie between low and high, got value, low, high = 3.0, 1.0, 2.0.",
        ),
        (
            (0.0, 1.0),
            "value",
            "must lie between low and high, got value, low, high = 0.0, 1.0, nan.",
        ),
        (
            (INF, 0.0, 3.0),
            "value",
            "must lie between low and high, got value, low, high = inf, 0.0, 3.0.",
        ),
        (
            ([1.0, 1.00001], 0.0, 1.0),
            "value",
            "must lie between low and high, got value, low, high = 1.00001, 0.0",
        ),
        (
            ([1.0, 5.0], [0.0, 6.0], [2.0, 5.5]),
            "low",
            "must not exceed high, got low, high = 6.0, 5.5.",
        ),
        ((1.0, [0.0, 0.5], 2.0), "low", r"must have the shape of value, \(\), got \(2,\)."),
        (
            ([1.0, 2.0], 0.0, [3.0, 3.0, 3.0]),
            "high",
            r"must have the shape of value, \(2,\), got \(3,\).",
        ),
        (("1", 0.0, 2.0), "value", "must hold numbers, got '1'."),
        ((None,), "value", "must be a number, got None."),
        ((True,), "value", "must hold numbers, got True."),
        (([1.0, None],), "value", "must be a number, got None."),
        ((1j,), "value", "must hold numbers, got 1j."),
        ((10**400,), "value", r"must lie within ±1.8e\+308, got an integer beyond that."),
        (([[1.0], [1.0, 2.0]],), "value", "must hold as many numbers in every row."),
        ((np.ma.array([1.0, 2.0], mask=[0, 1]),), "value", "has masked entries; fill them in"),
        ((1.0, 0.0, 2.0, 1.0), "level", "must lie between 0 and 1, as 0.95 does, got 1.0."),
        ((1.0, 0.0, 2.0, 95), "level", "must lie between 0 and 1, as 0.95 does, got 95."),
        ((1.0, 0.0, 2.0, NAN), "level", "must lie between 0 and 1"),
        ((1.0, 0.0, 2.0, "high"), "level", "must be a number, got 'high'."),
        ((1.0, 0.0, 2.0, 0.9, "a"), "expected", "must be a number, got 'a'."),
        ((1.0, 0.0, 2.0, 0.9, [1.0]), "expected", r"must be a number, got \[1.0\]."),
        ((1.0, 0.0, 2.0, 0.9, None, 3), "resampled", "must be a text, got 3."),
        ((1.0, 0.0, 2.0, 0.9, None, "", "floor"), "notes", "must be a tuple of Note, got 'floor'."),
        ((1.0, 0.0, 2.0, 0.9, None, "", ["floor"]), "notes", "must be a tuple of Note, got"),
        ((1.0, 0.0, 2.0, 0.9, None, "", (), None), "label", "must be a text, got None."),
    ],
)
def test_what_is_no_estimate_is_named(arguments, name, sentence):
    with pytest.raises((ValueError, TypeError), match=f"^{name} {sentence}") as caught:
        Estimate(*arguments)
    assert caught.value.argument == name


def test_a_note_is_two_texts():
    with pytest.raises(TypeError, match="text must be a text, got None"):
        Note("floor", None)


def test_rounding_does_not_put_a_value_beside_its_interval():
    for value in (math.exp(0.1), math.nextafter(math.exp(0.1), 2)):
        assert Estimate(value, np.exp(0.1), np.exp(0.1)).value == value


def test_rounding_does_not_put_what_is_expected_beside_an_interval():
    exact = math.nextafter(-1.0, 0.0)
    assert Estimate(exact, exact, exact, expected=-1.0).agrees is True
    assert Estimate(exact, exact, 0.0).excludes(-1.0) is False
    assert Estimate(1.0, 1.0, 1.0, expected=1 + 1e-8).agrees is False
    for value in (0.0, math.inf, -math.inf):
        assert Estimate(1e-300, 1e-300, 1.0).excludes(value) is True


def test_what_is_not_expected_is_compared_with_nothing():
    found = Estimate(1.0, 0.5, 1.5, expected=math.nan)
    assert found.agrees is None
    assert found == Estimate(1.0, 0.5, 1.5)
    assert hash(found) == hash(Estimate(1.0, 0.5, 1.5))
    assert found.excludes(math.nan) is None
    with pytest.raises(TypeError, match="value must be a number, got 'a'"):
        found.excludes("a")


@pytest.mark.parametrize("kind", [list, np.float32, np.array, fractions.Fraction])
def test_numbers_of_any_kind_make_the_same(kind):
    if kind is list:
        assert Estimate([1, 2], [0, 1], 3) == Estimate(np.array([1.0, 2.0]), [0.0, 1.0], 3.0)
        return
    found = Estimate(kind(1), kind(0), kind(2), kind(0.5), kind(1), np.str_("x"), [Note("a", "b")])
    assert found == Estimate(1.0, 0.0, 2.0, 0.5, 1.0, "x", (Note("a", "b"),))
    assert {type(getattr(found, name)) for name in ("value", "low", "level")} == {float}
    assert (type(found.resampled), type(found.notes)) == (str, tuple)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize("estimate", [SLOPE, CURVE, Estimate(1.0, expected=math.nan)])
def test_copies_are_the_same_and_do_not_change(copied, estimate):
    again = copied(estimate)
    assert again == estimate
    assert hash(again) == hash(estimate)
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.value = 7.0
    for name in ("value", "low", "high") if np.ndim(again.value) else ():
        with pytest.raises(ValueError, match="read-only"):
            getattr(again, name)[0] = 7.0


def test_map_takes_monotone_functions_only():
    with pytest.raises(ArgumentError, match="function must be monotone: value must lie between"):
        Estimate(0.1, -1.0, 2.0).map(lambda x: x * x)
    # One bound alone stays on its side of the value, or changes it as the function falls.
    half = Estimate(1.0, 0.5)
    assert half.map(lambda x: 2 * x) == Estimate(2.0, 1.0)
    assert half.map(lambda x: -x) == Estimate(-1.0, high=-0.5)
    assert Estimate(1.0, -math.inf, 3.0).map(lambda x: -x) == Estimate(-1.0, -3.0, math.inf)


def test_a_single_estimate_has_no_parts():
    with pytest.raises(TypeError, match="a single estimate, which has no parts"):
        SLOPE[0]
    assert [part.value for part in Estimate([1.0, 2.0])] == [1.0, 2.0]


def test_stacked_they_say_what_all_of_them_say():
    twice = dataclasses.replace(SLOPE, notes=SLOPE.notes * 2)
    for one in (SLOPE, twice):
        assert Estimate.stack([one] * 3)[1] == one
    other = dataclasses.replace(
        SLOPE, expected=-0.5, label="Other", notes=(*SLOPE.notes, Note("bent", "It is bent."))
    )
    both = Estimate.stack([SLOPE, other])
    assert (both.level, both.expected, both.resampled, both.label) == (0.9, None, "replicas", "")
    assert [note.code for note in both.notes] == ["floor", "bent"]
    given = Estimate.stack([SLOPE, other], expected=-1.0, notes=(), label="Both", level=0.9)
    assert (given.level, given.expected, given.notes, given.label) == (0.9, -1.0, (), "Both")
    # Bounds of one level are not those of another.
    with pytest.raises(ArgumentError, match="level must be that of the estimates"):
        Estimate.stack([SLOPE, other], level=0.5)


@pytest.mark.parametrize(
    ("estimates", "sentence"),
    [
        ([], "must hold one Estimate or more"),
        (None, "must hold one Estimate or more, got None"),
        (SLOPE, "must hold one Estimate or more, got Estimate"),
        ([SLOPE, 1.0], "must hold one Estimate or more"),
        ([SLOPE, CURVE], r"must be of one shape, got \(\) and \(3,\)"),
        ([SLOPE, Estimate(1.0)], "must be of one level, got 0.9 and 0.95"),
    ],
)
def test_what_cannot_be_stacked_is_told(estimates, sentence):
    with pytest.raises((ValueError, TypeError), match=f"estimates {sentence}"):
        Estimate.stack(estimates)


@pytest.mark.parametrize(
    ("count", "total", "name"),
    [
        *((count, 3, "count") for count in (4, -1, 1.5, NAN, [1, 4], True)),
        *((1, total, "total") for total in (-1, 2.5, True)),
        (1, 0, "count"),
    ],
)
def test_a_share_is_of_cases(count, total, name):
    with pytest.raises((ValueError, TypeError)) as caught:
        Estimate.share(count, total)
    assert caught.value.argument == name


@pytest.mark.parametrize("make", [Estimate.mean, Estimate.positive_mean])
def test_a_mean_is_of_replicas(make):
    for values, axis in ((np.ones((0, 3)), 0), (np.ones(3), 1), (1.0, 0)):
        with pytest.raises(ArgumentError, match="must hold a replica or more along axis"):
            make(values, axis)
    for axis in (None, "x", 1.0, True, (0, 1)):
        with pytest.raises(TypeError, match="axis must be an integer, got"):
            make(np.ones((2, 3)), axis)
    assert make([1.0, 2.0]) == make(np.array([1.0, 2.0]))
    with pytest.raises(ArgumentError, match="level must lie between 0 and 1"):
        make(np.ones(3), level=2)
    with pytest.raises(ArgumentError, match="masked"):
        make(np.ma.array([1.0, 2.0], mask=[0, 1]))


ENDS = (math.nan, math.inf, -math.inf, -0.0, 0.1, 1e-320, 1.7e308)
PARTS = [
    (value, low, high)
    for value, low, high in itertools.product(ENDS, repeat=3)
    if not (low > high or value < low or value > high)
]


def test_summary_and_variable_give_the_same_back_exactly():
    others = [SLOPE, Estimate(2.0), Estimate(1.0, expected=math.inf), Estimate(1.0, expected=0.0)]
    odd = Estimate(0.0, notes=(Note("", ""), Note("é", 'a "b"\n')), label=" µ ", level=1e-9)
    for estimate in [*others, odd, *(Estimate(*parts) for parts in PARTS)]:
        saved = json.loads(json.dumps(estimate.to_summary(), allow_nan=False))
        kept = NumberRecord.model_validate_json(json.dumps(saved)).model_dump(exclude_unset=True)
        for form in (saved, kept):
            same(Estimate.from_summary(form), estimate)
        same(Estimate.from_xarray(estimate.to_xarray()), estimate)
        assert Estimate.from_summary(saved) == estimate


def test_summary_knows_no_infinity():
    saved = Estimate(math.inf, -math.inf, math.nan, expected=math.nan).to_summary()
    assert (saved["value"], saved["interval"], saved["expected"]) == (None, None, None)
    assert saved["open"] == {"value": "inf", "low": "-inf"}
    half = Estimate(1.0, 0.5, math.inf).to_summary()
    assert (half["interval"], half["open"]) == (None, {"low": 0.5, "high": "inf"})
    assert "open" not in SLOPE.to_summary()
    assert "open" not in Estimate(math.nan).to_summary()


def test_summary_may_lack_what_programs_alone_read():
    saved = SLOPE.to_summary()
    del saved["resampled"], saved["note_codes"]
    same(Estimate.from_summary(saved), replace(SLOPE, resampled="", notes=(Note("", "A floor."),)))


def test_file_gives_the_same_back(tmp_path):
    curve = Estimate.stack([SLOPE, Estimate(1.0, 0.0, 2.0, 0.9)], label="Curve")
    dataset = xr.Dataset(
        {"slope": SLOPE.to_xarray(), "curve": curve.to_xarray(["n"], {"n": [4, 8]})}
    )
    storage.write_dataset(tmp_path / "result.nc", dataset)
    read = storage.read_dataset(tmp_path / "result.nc")
    same(Estimate.from_xarray(read["slope"]), SLOPE)
    same(Estimate.from_xarray(read["curve"]), curve)
    assert read["curve"].sel(bound="high", n=8) == 2.0
    for variable in (read["curve"].sel(bound="high", drop=True), np.ones(3)):
        with pytest.raises(ArgumentError, match="must have the dimension 'bound'"):
            Estimate.from_xarray(variable)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (None, "saved must be a mapping, got None; give what to_summary returned"),
        ({}, "saved has no 'label'; give what to_summary returned"),
        ({"interval": [1.0]}, "saved holds no estimate"),
        ({"open": 3}, "saved holds no estimate"),
        ({"open": {"low": "abc"}}, "saved holds no estimate"),
        ({"notes": None}, "saved holds no estimate"),
        ({"notes": ["a", "b"]}, "saved must have a code for each note, got 1 codes, 2 notes"),
        ({"value": "x"}, "value must hold numbers, got 'x'"),
        ({"level": None}, "level must be a number, got None"),
    ],
)
def test_what_is_no_summary_is_told(saved, message):
    whole = SLOPE.to_summary() | saved if saved else saved
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        Estimate.from_summary(whole)


VARIABLE = SLOPE.to_xarray()


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (VARIABLE.to_dataset(name="slope"), "variable must have the dimension 'bound'"),
        (VARIABLE[:2], "with value, low, high along it"),
        (VARIABLE.sel(bound="low"), "with value, low, high along it"),
        (VARIABLE.drop_vars("bound"), "with value, low, high along it"),
        (VARIABLE.assign_attrs(note_texts=["a", "b"]), "a code for each note"),
        (VARIABLE.assign_attrs(level="x"), "level must be a number, got 'x'"),
        (VARIABLE.assign_attrs(expected=[1, 2]), "expected must be a number"),
    ],
)
def test_what_is_no_variable_of_an_estimate_is_told(variable, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        Estimate.from_xarray(variable)


def test_a_variable_takes_a_name_for_each_dimension():
    for estimate, dims in ((CURVE, ()), (CURVE, "n"), (CURVE, ["bound"]), (SLOPE, ["n"])):
        with pytest.raises(ArgumentError, match="dims must be a list of names, one for each"):
            estimate.to_xarray(dims)
