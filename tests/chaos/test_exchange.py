"""How often particles change wells, against Markov chains whose rates are known."""

import numpy as np
import pytest
from scipy.linalg import expm

from meanfield.chaos.verdict import exchange_sentence
from meanfield.chaos.wells import exchange_rates
from meanfield.statistics.estimate import Estimate

LAGS = np.array([40.0, 10.0, 2.5, 0.0])


def chain(rates, n_particles, seed):
    """Wells of particles of a stationary jump process at times `LAGS` before the last."""
    generator = np.array(rates, dtype=float)
    np.fill_diagonal(generator, -generator.sum(1))
    stationary = np.linalg.svd(generator.T)[2][-1]
    stationary /= stationary.sum()
    rng = np.random.default_rng(seed)
    homes = [rng.choice(len(rates), size=n_particles, p=stationary)]
    for lag in -np.diff(LAGS):
        cumulated = expm(generator * lag).cumsum(axis=1)
        draws = rng.uniform(size=(n_particles, 1))
        homes.append((draws > cumulated[homes[-1]]).sum(axis=1))
    return np.array(homes), float(stationary @ -np.diag(generator))


@pytest.mark.parametrize("speed", [0.0005, 0.01, 0.03])
def test_intervals_of_two_wells_hold_the_rate(speed):
    """Slow and fast, with a quarter of the particles in one well: the lag is chosen to suit."""
    held = []
    for seed in range(100):
        homes, kappa = chain([[0, 3 * speed], [speed, 0]], 256, seed)
        exchange, rates = exchange_rates(homes, LAGS, 2)
        held.append(exchange[1] <= kappa <= exchange[2])
        assert exchange[1] <= exchange[0] <= exchange[2]
        assert np.isnan(rates[0, 0]).all()
    assert np.mean(held) >= 0.9


def test_rates_of_each_pair():
    true = np.array([[0, 0.02, 0.0], [0.02, 0, 0.01], [0.0, 0.01, 0]])
    homes, _ = chain(true, 20000, 0)
    rates = exchange_rates(homes, LAGS, 3)[1][..., 0]
    off = ~np.eye(3, dtype=bool)
    # To second order in the lag: what went from 0 to 2 passed through 1.
    assert rates[off] == pytest.approx(true[off], abs=0.004)


def test_no_change_and_no_second_well():
    homes = np.tile([0, 0, 1, 1], (4, 10))
    value, low, high = exchange_rates(homes, LAGS, 2)[0]
    assert value == low == 0
    assert 0 < high < 0.01
    assert np.isnan(exchange_rates(np.zeros((4, 9), dtype=int), LAGS, 1)[0]).all()


def test_changes_faster_than_the_shortest_lag_are_not_told():
    homes = np.random.default_rng(0).integers(2, size=(4, 400))
    assert np.isnan(exchange_rates(homes, LAGS, 2)[0]).all()


def test_particles_that_came_to_rest_elsewhere_do_not_count():
    homes, _ = chain([[0, 0.01], [0.01, 0]], 256, 3)
    more = np.concatenate([homes, np.full((4, 50), -1)], axis=1)
    for one, other in zip(
        exchange_rates(homes, LAGS, 2), exchange_rates(more, LAGS, 2), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_sentences():
    two = np.array([0.6, 0.4])
    assert exchange_sentence(np.ones(1), Estimate(np.nan)) == ""
    assert "0.02 [0.01, 0.03] times a unit of time" in exchange_sentence(
        two, Estimate(0.02, 0.01, 0.03)
    )
    assert "not seen to change wells" in exchange_sentence(two, Estimate(0.0, 0.0, 0.001))
    assert "too fast" in exchange_sentence(two, Estimate(np.nan))
