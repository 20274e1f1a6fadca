"""Descents from many places at once, against minima that are known."""

import numpy as np
import pytest

from meanfield.flow.descents import descend_all


def rosenbrock(places):
    x, y = places.T
    values = 100 * (y - x**2) ** 2 + (1 - x) ** 2
    return values, np.stack([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)], axis=1)


def test_rows_end_at_the_minimum_of_a_bent_valley():
    starts = np.random.default_rng(0).normal(size=(20, 2))
    ends, values, _ = descend_all(rosenbrock, starts, first=0.1, enough=1e-16)
    np.testing.assert_allclose(ends, 1, atol=1e-6)
    np.testing.assert_allclose(values, 0, atol=1e-12)


def test_stiff_parabolas_take_few_evaluations():
    """As many as quasi-Newton steps need, not the thousands of steps along the slope."""
    rng, calls = np.random.default_rng(1), []
    turned = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    curvature = turned * np.geomspace(1, 1e3, 30) @ turned.T
    centre = rng.normal(size=30)

    def function(places):
        calls.append(len(places))
        away = places - centre
        return 0.5 * (away @ curvature * away).sum(axis=1), away @ curvature

    ends, _, _ = descend_all(function, rng.normal(size=(5, 30)), first=0.1, enough=1e-12)
    np.testing.assert_allclose(ends, np.tile(centre, (5, 1)), atol=1e-4)
    assert len(calls) < 300


def test_a_row_does_not_depend_on_the_others():
    starts = np.random.default_rng(2).normal(size=(7, 2))
    together = descend_all(rosenbrock, starts, first=0.1, enough=1e-9)
    assert together[2].all()
    for i in range(7):
        alone = descend_all(rosenbrock, starts[i : i + 1], first=0.1, enough=1e-9)
        np.testing.assert_array_equal(alone[0][0], together[0][i])
        assert alone[1][0] == together[1][i]


def test_no_step_is_longer_than_allowed_and_no_place_out_of_reach():
    seen = []

    def slide(places):
        """A plane that falls without end."""
        seen.append(places.copy())
        return places.sum(axis=1), np.ones_like(places)

    ends, _, _ = descend_all(slide, np.zeros((1, 3)), first=0.1, enough=0.0, longest=0.5, reach=2.0)
    np.testing.assert_array_equal(ends, -2)
    steps = np.linalg.norm(np.diff(np.concatenate(seen), axis=0), axis=1)
    assert 0.4 < steps.max() <= 0.5 + 1e-12


def test_rows_that_are_under_way_still_are_told():
    """One starts in a parabola, the other on a slope without end."""

    def function(places):
        x = places[:, 0]
        slopes = np.where(x < 0, 2 * (x + 1), -1)
        return np.where(x < 0, (x + 1) ** 2, 1 - x), slopes[:, None]

    starts = np.array([[0.5], [-0.5], [1.5]])
    ends, values, arrived = descend_all(function, starts, first=0.1, enough=1e-9, longest=0.1)
    np.testing.assert_array_equal(arrived, [False, True, False])
    np.testing.assert_allclose(ends[1], -1, atol=1e-6)
    assert (ends[[0, 2], 0] > 10).all()
    np.testing.assert_array_equal(values, function(ends)[0])


def test_other_minima_are_not_jumped_into():
    """Short steps stay in the well where they start."""
    starts = np.array([[0.6], [2.4], [-2.6]])

    def waves(places):
        return -np.cos(2 * np.pi * places[:, 0]), 2 * np.pi * np.sin(2 * np.pi * places)

    ends, _, _ = descend_all(waves, starts, first=0.01, enough=1e-14, longest=0.1)
    np.testing.assert_allclose(ends, [[1], [2], [-3]], atol=1e-6)


@pytest.mark.parametrize("start", [[[0.0, 0.0]], [[3.0, -1.0]]])
def test_kinks_and_edges_end_a_descent(start):
    """|x| + |y| has no slope that fades; beyond a distance of five there is nothing."""

    def function(places):
        values = np.abs(places).sum(axis=1)
        return np.where(values < 5, values, np.nan), np.sign(places)

    ends, values, _ = descend_all(function, np.array(start), first=4.0, enough=0.0)
    assert np.isfinite(ends).all()
    assert values[0] <= np.abs(start).sum()
