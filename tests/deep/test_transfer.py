"""The search for the best rate, how it drifts with the width, and Adam's networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from meanfield import deep
from meanfield.errors import DivergenceError


def test_the_search_walks_from_any_start_to_the_least_loss():
    def loss(rate):
        return 1 + np.log(rate / 0.3) ** 2 if rate < 0.9 else math.inf

    for start in (1e-4, 0.25, 7.0):
        curve = deep.search_rates(loss, start, factor=1.5)
        np.testing.assert_allclose(np.diff(np.log(curve.rates)), np.log(1.5))
        np.testing.assert_allclose(curve.losses, [loss(rate) for rate in curve.rates])
        least = int(np.argmin(curve.losses))
        assert 3 <= least < len(curve.rates) - 3
        assert curve.best == pytest.approx(0.3, rel=0.02)
    exact = deep.search_rates(lambda rate: math.exp(np.log(rate / 0.3) ** 2), 0.1)
    assert exact.best == pytest.approx(0.3, rel=1e-9)  # the parabola is exact


def test_beside_a_divergence_the_best_rate_is_one_of_the_grid():
    curve = deep.search_rates(lambda rate: 1 / rate if rate < 1.1 else math.nan, 1.0, factor=2)
    assert curve.best == 1.0
    assert curve.losses.tolist() == [8, 4, 2, 1, math.inf, math.inf, math.inf]
    open_ended = deep.search_rates(lambda rate: 1 / rate, 1.0, most=9)
    assert np.isnan(open_ended.best)
    assert len(open_ended.rates) == 9
    lost = deep.search_rates(lambda rate: math.inf, 1.0, most=9)
    assert np.isnan(lost.best)
    assert lost.rates.max() == 1.0  # down from the start
    with pytest.raises(ValueError, match="factor must be finite and above 1, got 1"):
        deep.search_rates(lambda rate: rate, 1.0, factor=1.0)


def test_the_search_leaves_minima_of_networks_that_training_made_worse():
    def loss(rate):
        return 0.1 + np.log(rate / 1e-3) ** 2 if rate < 0.01 else 5 + np.log(rate / 0.5) ** 2

    stuck = deep.search_rates(loss, 0.6, factor=1.5)
    assert stuck.best == pytest.approx(0.5, rel=0.05)
    found = deep.search_rates(loss, 0.6, factor=1.5, untrained=lambda: 1.0)
    assert found.best == pytest.approx(1e-3, rel=0.1)
    assert found.rates.max() == 0.6
    # Under one rate for all layers, a wide network at the rate of a narrow one diverges.
    X = np.random.default_rng(0).standard_normal((4, 6))
    settings = {"depth": 2, "activation": "tanh", "n_steps": 5, "parametrization": "sp"}
    curve = deep.rate_curve(X, [1.0, -1.0, 1.0, -1.0], width=256, start=1.0, **settings)
    assert curve.losses.min() < 1
    assert curve.best < 0.05


@pytest.mark.parametrize(
    ("power", "verdict"), [(0.0, True), (-1.0, False), (-0.0975, None), (0.5, False)]
)
def test_the_verdict_is_by_the_interval_of_the_movement(power, verdict):
    widths = np.array([64, 128, 256, 512, 1024, 2048, 4096])
    noise = np.random.default_rng(0).standard_normal((7, 6))
    best = 0.2 * (widths[:, None] / 64.0) ** power * np.exp(0.02 * noise)
    rates = 0.01 * 1.5 ** np.arange(-20, 21)
    losses = np.exp(np.log(rates / best[:, :, None]) ** 2 / 30)
    drift = deep.rate_drift(widths, rates, losses)
    # Of parabolas the least mean is at the mean, and the jackknife's interval is Student's.
    logs = np.log(best)
    slope = np.polyfit(np.log(widths), logs, 1)[0]
    half = stats.t.ppf(0.975, 5) * slope.std(ddof=1) / np.sqrt(6)
    assert drift.exponent.value == pytest.approx(slope.mean())
    assert drift.exponent.high - drift.exponent.value == pytest.approx(half)
    assert drift.movement.value == pytest.approx(64**drift.exponent.value)
    assert drift.transfers is verdict
    np.testing.assert_allclose(drift.best.value, np.exp(logs.mean(axis=1)))
    half = stats.t.ppf(0.975, 5) * logs.std(axis=1, ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(np.log(drift.best.high), logs.mean(axis=1) + half)
    single = deep.rate_drift(widths, rates, losses[:, :1])
    assert single.exponent.known
    assert single.transfers is None


def test_the_best_rate_of_a_width_is_one_at_which_no_network_was_lost():
    rates = 2.0 ** np.arange(6)
    losses = np.array([[[9, 5, 2, 1, 3, 7], [8, 4, 1, np.inf, 2, 6]]] * 2, dtype=float)
    drift = deep.rate_drift([8, 16], rates, losses)
    assert drift.best.value.tolist() == [4, 4]
    assert drift.exponent.value == pytest.approx(0, abs=1e-12)
    # What was not tried counts like the end of what was, where losses rise.
    untried = losses.copy()
    untried[1, 0, :2] = untried[1, 1, 4:] = np.nan
    assert deep.rate_drift([8, 16], rates, untried).best.value.tolist() == [4, 4]
    untried[1, 0, :3] = np.nan
    found = deep.rate_drift([8, 16], rates, untried).best.value
    assert found[0] == 4
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match=r"losses must have shape \(W, R, J\)"):
        deep.rate_drift([8, 16], rates[1:], losses)


@pytest.mark.parametrize(
    ("argument", "wrong", "message"),
    [
        ("widths", [8], "widths must hold two different numbers, got 1"),
        ("rates", [0.1, 0.2, 0.5], "rates must ascend by a constant factor"),
        ("rates", [0.4, 0.2, 0.1], "rates must ascend by a constant factor"),
        ("rates", [-0.1, 0.2, 0.4], "rates must be finite and greater than 0, got -0.1"),
        ("losses", [[[2, -1, 2]]] * 2, "losses must not be negative, got -1"),
        ("losses", np.zeros((2, 0, 3)), "losses must have shape"),
    ],
)
def test_a_drift_names_what_it_cannot_use(argument, wrong, message):
    usable = {"widths": [8, 16], "rates": [0.1, 0.2, 0.4], "losses": [[[2, 1, 2]]] * 2}
    assert deep.rate_drift(**usable).exponent.known
    with pytest.raises(ValueError, match=message):
        deep.rate_drift(**{**usable, argument: wrong})
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        deep.base_step_size("sp", 0.1, 64, "adamw")
    with pytest.raises(ValueError, match="width must be an integer of at least 1, got 0"):
        deep.base_step_size("sp", 0.1, 0)


def test_losses_are_those_of_training_at_the_base_rate():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 6)) / np.sqrt(6), np.sign(rng.standard_normal(4))
    settings = {"depth": 2, "activation": "tanh", "n_steps": 6, "seed": 1}
    curve = deep.rate_curve(X, y, width=16, start=0.1, parametrization="sp", **settings)
    for rate, loss in zip(curve.rates, curve.losses, strict=True):
        if np.isfinite(loss) and loss < 1e3:
            run = deep.train(X, y, width=16, parametrization="sp", step_size=16 * rate, **settings)
            assert run.loss[0, -2:].mean() == pytest.approx(loss)
    assert np.isfinite(curve.best)
    powers = {"sgd": 1, "momentum": 1, "adam": 1.5}
    for optimizer, power in powers.items():
        assert deep.base_step_size("sp", 0.1, 64, optimizer) == pytest.approx(0.1 * 64**power)
        assert deep.base_step_size("mup", 0.1, 64, optimizer) == 0.1


def test_divergences_are_infinite_and_take_one_run():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 6)), np.sign(rng.standard_normal(4))
    curve = deep.rate_curve(X, y, width=8, start=50.0, depth=3, activation="silu", n_steps=30)
    assert math.isinf(curve.losses[-1])
    assert np.isfinite(curve.best)
    with pytest.raises(DivergenceError, match="stays finite") as caught:
        deep.train(X, y, width=8, step_size=50.0, depth=3, activation="silu", n_steps=30)
    assert caught.value.stable_step_size > 0
