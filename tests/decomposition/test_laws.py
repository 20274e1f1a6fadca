"""Fitted laws and the gains derived from them, on models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.decomposition.laws import advise, expected_gains, extra_cost, fit_decay
from meanfield.problem import HermiteTarget
from tests.decomposition.by_keyword import plan_errors

TARGET = HermiteTarget(2, {"1": 1.0})
R, M = 200, 60


def make_plan(**options):
    X = np.random.default_rng(0).normal(size=(32, 2))
    problem = mf.Problem(X, TARGET(X), bias=False)
    options = {"n_particles": 64, "n_steps": 50, "n_atoms": 4, "n_replicas": R, **options}
    return plan_errors(problem, TARGET, **options)


def test_exponential_decay_is_recovered_exactly():
    times = np.linspace(0.5, 30, 60)
    level = np.random.default_rng(0).uniform(1, 2, size=12)
    path, other = (c * np.exp(-2 * 0.3 * times[:, None]) * level for c in (1, 3))
    decay = fit_decay(times, path, other)
    assert decay.rate.value == pytest.approx(0.3, rel=1e-10)
    assert decay.other_rate.value == pytest.approx(0.3, rel=1e-10)
    # From a hundredth to a ten-thousandth of the first square.
    assert decay.span == pytest.approx((0.5 + np.log(1e2) / 0.6, 0.5 + np.log(1e4) / 0.6), abs=0.51)


def test_noise_of_the_particles_is_taken_off():
    times = np.linspace(0.5, 60, 120)
    level = np.random.default_rng(0).uniform(1, 2, size=12)
    path, other = (c * np.exp(-2 * 0.3 * times[:, None]) * level + 1e-5 for c in (1, 3))
    decay = fit_decay(times, path, other, noise=1.2e-5)
    assert decay.span[1] < 25
    assert decay.rate.value == pytest.approx(0.3, rel=1e-3)
    assert decay.difference.value == pytest.approx(0, abs=1e-3)


def test_decay_is_that_of_the_slowest_mode():
    times = np.linspace(0.5, 40, 40)
    rng = np.random.default_rng(1)
    slow, fast = np.exp(-2 * 0.1 * times[:, None]), np.exp(-2 * times[:, None])
    path = (0.1 * slow + fast) * rng.uniform(0.9, 1.1, size=(40, 12))
    other = (0.3 * slow + 0.1 * fast) * rng.uniform(0.9, 1.1, size=(40, 12))
    decay = fit_decay(times, path, other)
    assert decay.rate.value == pytest.approx(0.1, rel=0.03)
    assert decay.rate.low < decay.rate.value < decay.rate.high
    assert decay.rate.agrees
    faster = fit_decay(times, path, other * np.exp(-2 * 0.02 * times[:, None]))
    assert faster.rate.agrees is False


def test_a_decay_that_slows_down_is_told():
    times = np.linspace(0.5, 60, 120)
    level = np.random.default_rng(0).uniform(1, 2, size=12)
    straight = np.exp(-2 * 0.15 * times[:, None]) * level
    bent = (np.exp(-2 * 0.4 * times[:, None]) + 0.004 * np.exp(-0.1 * times[:, None])) * level
    assert not fit_decay(times, straight, straight).bends
    assert fit_decay(times, bent, bent).bends


def test_no_rate_without_decay():
    times = np.linspace(1, 10, 10)
    flat = np.random.default_rng(0).uniform(0.9, 1.1, size=(10, 6))
    decay = fit_decay(times, flat, flat)
    assert np.isnan(decay.rate.value)
    assert decay.rate.agrees is None


def linear_model(plan, keep, seed=0):
    """A bias, and independent errors of order 1/n and 1/N of which the total keeps a part."""
    rng = np.random.default_rng(seed)
    bias = 0.3 + np.zeros((1, M, 1))
    base = [rng.normal(size=(R, M, 1)) for _ in range(2)]
    data = np.stack([base[0] * np.sqrt(2 / n) for n in plan.data_counts])
    chaos = np.stack([base[1] * np.sqrt(1 / N) for N in plan.particle_counts])
    at_n, at_N = plan.data_counts.index(plan.n_data), plan.particle_counts.index(plan.n_particles)
    kept = np.zeros(M)
    kept[: int(keep * M)] = 1  # the rest is projected away, as few atoms do
    left = np.stack([0.2 * np.ones((R, M, 1)), 0.1 * np.ones((R, M, 1))], axis=1)
    total = bias + (data[at_n] + chaos[at_N]) * kept[:, None] + left[:, 0]
    parts = {"statistical": data[at_n], "chaos": chaos[at_N]}
    return total, parts, data, chaos, left


@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_gains_of_a_linear_model(keep):
    plan = make_plan()
    total, parts, data, chaos, left = linear_model(plan, keep)
    better = total - 0.05
    gains = expected_gains(plan, total, parts, data, chaos, left, {8: better})
    means = {name: values.mean() for name, values in gains.items()}
    # Variances 2/n and 1/N, of which a part is kept and half goes away.
    errors = {name: values.std() / np.sqrt(R) for name, values in gains.items()}
    assert means["n"] == pytest.approx(keep * 2 / 32 / 2, abs=4 * errors["n"])
    assert means["N"] == pytest.approx(keep * 1 / 64 / 2, abs=4 * errors["N"])
    assert errors["n"] < 0.15 * means["n"]
    assert means["t"] == pytest.approx(0.5**2 - 0.4**2, rel=0.02)
    assert means["S"] == pytest.approx(0.5**2 - 0.45**2, rel=0.02)


def test_a_mean_of_order_one_over_n_is_counted():
    """Errors whose mean adds to the bias: halving them takes off the product as well."""
    plan = make_plan()
    total, parts, data, chaos, left = linear_model(plan, 1.0)
    shift = np.array([0.8 / n for n in plan.data_counts])[:, None, None, None]
    at_n = plan.data_counts.index(plan.n_data)
    total, data = total + shift[at_n], data + shift
    parts = {**parts, "statistical": data[at_n]}
    gains = expected_gains(plan, total, parts, data, chaos, left, {})
    doubled = (0.5 + 0.4 / 32) ** 2 + 2 / 64 + 1 / 64
    wanted = (0.5 + 0.8 / 32) ** 2 + 2 / 32 + 1 / 64 - doubled
    assert gains["n"].mean() == pytest.approx(wanted, rel=0.05)


def test_advice_is_the_largest_gain_per_unit_of_compute():
    plan = make_plan()
    cost = extra_cost(plan)
    assert cost["n"] == cost["N"] == cost["t"] == 32 * 64 * 50
    rng = np.random.default_rng(0)
    gains = {"n": 0.02, "N": 0.03, "t": -0.1, "S": 0.03 * cost["S"] / cost["n"] * 1.1}
    gains = {name: value + 1e-4 * rng.normal(size=R) for name, value in gains.items()}
    advice = advise(plan, gains, 1.0)
    assert (advice.option, advice.second) == ("S", "N")
    low, high = advice.gain["N"].interval
    assert low < advice.gain["N"].value < high
    nothing = advise(plan, gains, 1000.0)
    assert nothing.option is None
    assert "No doubling" in nothing.statement
    assert "too few to be sure" in advise(plan, {"n": np.linspace(-1, 1.1, R)}, 1.0).statement


def test_what_costs_nothing_and_gains_more_comes_first():
    plan = make_plan()
    rng = np.random.default_rng(0)
    few = {"n": 0.02, "N": 0.03, "t": -0.1}
    gains = {name: value + 1e-4 * rng.normal(size=R) for name, value in few.items()}
    less = {"l2": 0.2, "temperature": 0.05}
    halved = {name: value + 1e-4 * rng.normal(size=R) for name, value in less.items()}
    advice = advise(plan, gains, 1.0, halved)
    assert (advice.first, advice.option, advice.second) == ("l2", "N", "n")
    assert "Lower first l2" in advice.statement
    assert f"from 1 to {np.sqrt(0.8):.3g}, at no extra compute" in advice.statement
    assert f"Half the temperature would take it to {np.sqrt(0.95):.3g}." in advice.statement
    # It gains less than the best doubling: told, but not first.
    weak = advise(plan, gains, 1.0, {"l2": halved["l2"] / 10, "temperature": -halved["l2"]})
    assert weak.first == weak.option == "N"
    assert "Increase first N" in weak.statement
    assert "Half the penalty l2 would take it" in weak.statement
    assert "Half the temperature would not take 1% off." in weak.statement
    # Where no doubling is worth its while it is all there is.
    alone = advise(plan, {"t": gains["t"]}, 1.0, halved)
    assert (alone.first, alone.option) == ("l2", None)
