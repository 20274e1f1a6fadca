"""Orders fitted where they can be seen, and the cost of an accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.statistics.estimate import Estimate
from meanfield.statistics.orders import cost_at_error, fit_order, fit_visible_order

H = np.array([0.2, 0.3, 0.4, 0.6, 0.8])
NOISE = 1e-3 * np.random.default_rng(0).normal(size=(5, 12))


def test_all_step_sizes_are_used_where_all_show_the_error():
    errors = H[:, None] ** 2 + NOISE
    order = fit_visible_order(H, errors, declared=2.0, label="Order")
    fit = fit_order(H, errors, correction=True).slope
    assert (order.value, order.low, order.high) == (fit.value, fit.low, fit.high)
    assert order.agrees
    assert (order.notes, order.label) == ((), "Order")


def test_three_step_sizes_are_fitted_without_a_correction():
    errors = H[:3, None] + 0.1 * NOISE[:3]
    assert fit_visible_order(H[:3], errors).value == fit_order(H[:3], errors).slope.value
    squared = fit_visible_order(H[:3], errors**2, squared=True)
    assert squared.value == fit_order(H[:3], errors**2, squared=True).slope.value


def test_step_sizes_whose_error_is_hidden_are_left_out():
    order = fit_visible_order(H, 0.03 * H[:, None] ** 2 + 4 * NOISE, declared=2.0)
    assert order.notes[0].code == "range"
    assert order.notes[0].text.startswith("Fitted from")
    assert order.known


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0])
def test_exact_errors_agree_with_their_order(order):
    errors = 3.0 * np.array([0.05, 0.1, 0.2, 0.3])[:, None] ** order * np.ones(4)
    assert fit_order([0.05, 0.1, 0.2, 0.3], errors, expected=order).slope.agrees is True


def test_noise_has_no_order():
    order = fit_visible_order(H, 1e-6 * H[:, None] + NOISE, declared=2.0)
    assert np.isnan(order.value)
    assert order.agrees is None
    assert "an order would be fitted to noise" in order.notes[0].text


def test_runs_that_diverged_are_left_out():
    diverged = np.vstack([H[:3, None] + 0.1 * NOISE[:3], np.full((2, 12), np.nan)])
    order = fit_visible_order(H, diverged, declared=1.0)
    assert abs(order.value - 1) < 0.1
    assert [note.code for note in order.notes] == ["diverged"]


def test_the_cost_of_an_accuracy_is_interpolated():
    cost, value = np.array([8.0, 4.0, 2.0]), np.array([0.015, 0.03, 0.06])
    errors = Estimate(value, value / 1.5, value * 1.5)
    found = cost_at_error(cost, errors, 0.03, label="Cost")
    assert found.value == pytest.approx(4.0)
    assert found.interval == pytest.approx((8 / 3, 6.0))
    assert found.label == "Cost"
    negative = cost_at_error(cost, errors.map(lambda e: -e), 0.03)
    assert (negative.value, negative.interval) == (found.value, found.interval)
    missing = Estimate(np.append(value, np.nan))
    assert np.isnan(cost_at_error(np.append(cost, 1.0), missing, 0.03).low)


def test_an_accuracy_that_is_not_crossed_has_a_bound_or_no_cost():
    cost, value = np.array([8.0, 4.0, 2.0]), np.array([0.015, 0.03, 0.06])
    small = cost_at_error(cost, Estimate(value / 10, value / 20, value / 5), 0.03)
    assert (small.value, small.interval) == (2.0, None)
    assert small.notes[0].code == "upper-bound"
    assert not cost_at_error(cost, Estimate(value * 10, value * 5, value * 20), 0.03).known
    # An interval that holds 0 is as good as none: its cost has no upper end.
    open_ended = cost_at_error(cost, Estimate(value, -value, 3 * value), 0.03)
    assert not open_ended.known
