"""Rates of relaxation: exact on exponentials, and that of the closed form of a linear network."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.limit.relaxation_rate import relaxation_rate, slowest_decay

TIMES = np.linspace(0.0, 12.0, 61)
END, START = np.array([0.3, -0.2, 1.0]), np.array([1.0, 2.0, -0.5])
LIMIT = END + np.exp(-0.7 * TIMES)[:, None] * START


def noisy(size=0.01, n_replicas=24):
    rng = np.random.default_rng(0)
    return LIMIT + size * rng.normal(size=(n_replicas, *LIMIT.shape))


def test_an_exponential_has_its_rate():
    found = relaxation_rate(TIMES, LIMIT, np.stack([LIMIT] * 5), end=END)
    assert found.rate.value == pytest.approx(1.4, rel=1e-12)
    assert found.rate.expected == pytest.approx(1.4, rel=1e-12)
    assert found.rate.width < 1e-12
    np.testing.assert_allclose(found.limit, np.exp(-1.4 * TIMES), rtol=1e-9)
    np.testing.assert_allclose(found.distance.value, np.exp(-1.4 * TIMES), rtol=1e-9)
    # From half of the way until one fiftieth is left.
    inside = (np.exp(-0.7 * TIMES) <= 0.5) & (np.exp(-0.7 * TIMES) > 0.02)
    np.testing.assert_array_equal(found.window, inside)


def test_only_the_direction_of_the_limit_counts():
    across = np.cross(START, [1.0, 0.0, 0.0])
    runs = noisy()
    moved = runs + np.random.default_rng(1).normal(size=(24, len(TIMES), 1)) * across
    for changed, scale in ((moved, 1.0), (5.0 * runs, 5.0)):
        one = relaxation_rate(TIMES, LIMIT, runs, end=END)
        other = relaxation_rate(TIMES, scale * LIMIT, changed, end=scale * END)
        assert other.rate.value == pytest.approx(one.rate.value, rel=1e-10)
        assert other.rate.interval == pytest.approx(one.rate.interval, rel=1e-9)
        np.testing.assert_allclose(other.distance.value, one.distance.value, rtol=1e-9)


def test_the_interval_is_over_replicas():
    found = relaxation_rate(TIMES, LIMIT, noisy(), end=END)
    assert found.rate.agrees
    assert 0.01 < found.rate.width < 0.5
    wider = relaxation_rate(TIMES, LIMIT, noisy(0.03), end=END)
    assert 2 < wider.rate.width / found.rate.width < 4.5
    low, value, high = found.distance.low, found.distance.value, found.distance.high
    assert ((low >= 0) & (low <= value) & (value <= high)).all()
    assert low[-1] == 0.0  # the end is reached up to noise


def test_several_outputs_are_as_many_data():
    runs = noisy()
    flat = relaxation_rate(TIMES, LIMIT, runs)
    shaped = relaxation_rate(TIMES, LIMIT.reshape(61, 1, 3), runs.reshape(24, 61, 1, 3))
    assert shaped.rate.interval == flat.rate.interval


def test_linear_network_has_the_rate_of_its_closed_form():
    x = np.random.default_rng(3).normal(size=(6, 1))
    problem = mf.Problem(
        x, np.tanh(x[:, 0]), "identity", bias=False, train=["w"], l2=0.2, temperature=0.1
    )
    settings = {"step_size": 0.05, "n_steps": 400, "init": mf.InitialLaw(scale=0.3)}
    path = mf.mean_field(problem, "gaussian", **settings)
    steps = range(0, 401, 4)
    run = mf.simulate(problem, 512, n_replicas=24, seed=3, save_at=steps, **settings)
    found = relaxation_rate(run.times, path.predictions[steps], run.predictions)
    contraction = 1 - 0.05 * (np.mean(problem.X**2) + 0.2)
    assert found.rate.expected == pytest.approx(-2 * np.log(contraction) / 0.05, rel=1e-6)
    assert found.rate.low < found.rate.value < found.rate.high
    assert abs(found.rate.value / found.rate.expected - 1) < 0.2


def test_slowest_decay_is_the_smaller_rate():
    times = np.linspace(0.0, 80.0, 401)
    energy = 3.0 * np.exp(-1.1 * times)
    assert slowest_decay(times, energy).value == pytest.approx(1.1, rel=1e-9)
    assert slowest_decay(times, 2.0 + energy).value == pytest.approx(1.1, rel=1e-6)
    # The local rate falls until 1e-8 of the start is left, at t = 15.8.
    both = energy + 5.0 * np.exp(-2.0 * times)
    local = 1.1 + 1.5 * np.exp(-0.9 * np.array([15.8, 15.6]))
    assert local[0] < slowest_decay(times, both).value < local[1]


def test_a_decay_that_is_over_at_once_is_unknown():
    assert not slowest_decay([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 0.0, 0.0]).known


@pytest.mark.parametrize(
    ("times", "limit", "runs", "keywords", "message"),
    [
        (TIMES[:9], LIMIT[:9], noisy()[:, :9], {"end": END}, "still 0.33 of its first distance"),
        (TIMES[::10], LIMIT[::10], noisy()[:, ::10], {"end": END}, "times do not show .*: 2 of"),
        (TIMES[:20], LIMIT, noisy(), {}, r"limit must have shape \(T, n\)"),
        (TIMES, LIMIT, noisy()[:, :20], {}, r"runs must have shape \(R, 61, 3\)"),
        (TIMES, LIMIT, noisy(), {"end": END[:2]}, "end must hold 3 predictions"),
    ],
)
def test_what_cannot_be_read_is_told(times, limit, runs, keywords, message):
    with pytest.raises(ValueError, match=message):
        relaxation_rate(times, limit, runs, **keywords)
