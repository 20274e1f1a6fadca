"""Schedules: their formulas, their ends, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.schedule import (
    Constant,
    Geometric,
    Logarithmic,
    Piecewise,
    from_table,
    per_step,
)


def test_formulas():
    assert Constant(0.3).values(3).tolist() == [0.3, 0.3, 0.3]
    assert Geometric(2.0, ratio=0.5).values(4).tolist() == [2.0, 1.0, 0.5, 0.25]
    assert Logarithmic(3.0, scale=2.0).values(5)[4] == pytest.approx(3 / math.log(math.e + 2))
    assert Logarithmic(3.0).values(1).tolist() == [3.0]
    assert Piecewise([3, 2, 0], [1, 3]).values(5).tolist() == [3, 2, 2, 0, 0]


def test_geometric_reaches_both_ends_with_a_constant_factor():
    values = Geometric(0.7, 1e-5).values(9)
    assert (values[0], values[-1]) == (0.7, 1e-5)
    np.testing.assert_allclose(np.diff(np.log(values)), math.log(1e-5 / 0.7) / 8, rtol=1e-12)
    assert Geometric(0.7, 1e-5).values(1).tolist() == [0.7]
    assert np.isfinite(Geometric(1e-300, 1e300).values(5)).all()


@pytest.mark.parametrize(
    "kind", [Constant(1.0), Geometric(1, 2), Logarithmic(1), Piecewise([1], [])]
)
def test_a_run_of_no_steps(kind):
    assert kind.values(0).shape == (0,)
    assert kind.values(1.0).tolist() == [1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), "value must be finite and not negative, got -1"),
        (lambda: Geometric(1.0), "needs either stop or ratio"),
        (lambda: Geometric(1.0, 2.0, ratio=0.5), "needs either stop or ratio"),
        (lambda: Geometric(1.0, 0.0), "stop must be greater than 0, got 0.0"),
        (lambda: Geometric(1.0, math.inf), "stop must be finite"),
        (lambda: Geometric(math.nan, 1.0), "start must be finite"),
        (lambda: Geometric(1.0, ratio=1.01), "increase without bound"),
        (lambda: Logarithmic(1.0, -2), "scale must be greater than 0"),
        (lambda: Piecewise([1, 2], []), "of 2 numbers needs 1 changes, got 0"),
        (lambda: Piecewise([1, -2], [3]), "numbers must be finite and not negative, got -2"),
        (lambda: Piecewise([1, 2, 3], [5, 2]), "changes must ascend"),
        (lambda: Piecewise(1.0, []), "numbers must be a sequence, got float"),
        (lambda: Piecewise([1, 2], [10]).values(10), "changes at step 10, which a run of 10"),
        (lambda: Constant(1).values(-1), "n_steps must be an integer of at least 0, got -1"),
        (lambda: Geometric(1, 2).values(2.5), "n_steps must be an integer, got 2.5"),
        (lambda: Logarithmic(1).values("a"), "n_steps must be an integer, got 'a'"),
        (lambda: Piecewise([1, 2], [1]).values(None), "n_steps must be an integer, got None"),
        (lambda: per_step("x", [1, 2], 3, zero=True), "one per step \\(3\\), got shape"),
        (lambda: per_step("x", [1, 0, 1], 3, zero=False), "greater than 0 .* got 0 at step 1"),
        (lambda: per_step("x", [1, math.nan], 2, zero=True), "at least 0 at every step, got nan"),
        (lambda: per_step("x", "cold", 2, zero=True), "one per step or a schedule, got str"),
        (lambda: from_table({"kind": "geometrc"}), "no kind 'geometrc'. Did you mean 'geometric'"),
        (lambda: from_table({"kind": "geometric", "stop": 1}), "geometric schedule needs 'start'"),
        (lambda: from_table({"kind": "constant", "valu": 1}), "no 'valu'. Did you mean 'value'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_tables_are_schedules():
    assert from_table({"kind": "geometric", "start": 1.0, "ratio": 0.9}) == Geometric(
        1.0, ratio=0.9
    )
    table = {"kind": "piecewise", "numbers": [1.0, 0.5], "changes": [4]}
    assert from_table(table) == Piecewise((1.0, 0.5), (4,))


def test_a_schedule_is_the_array_of_its_values():
    x = np.linspace(-1, 1, 7)[:, None]
    problem = mf.Problem(x, x[:, 0], temperature=0.5)
    cooling = mf.schedule.Geometric(0.5, 1e-3)
    run = mf.simulate(problem, 16, 0.1, 30, temperature=cooling)
    array = mf.simulate(problem, 16, 0.1, 30, temperature=cooling.values(30))
    np.testing.assert_array_equal(run.particles.coordinates, array.particles.coordinates)
