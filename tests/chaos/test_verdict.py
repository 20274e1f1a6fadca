"""What is said of slopes: reasons that are there, and none that are not."""

from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos.verdict import partners_separate, verdict, with_reasons
from meanfield.chaos.wells import Wells
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.power_law import PowerLaw

COUNTS = [32, 64, 128, 256, 512, 1024]
ONE = Wells(
    np.zeros((1, 3)), np.ones(1), 1, 1.0, 0.5, np.full(3, np.nan), np.full((1, 1, 3), np.nan)
)


def problem(activation):
    X = np.random.default_rng(0).normal(size=(6, 2))
    return mf.Problem(X, X[:, 0], activation)


def drifting(slope):
    """Fits of metrics with known slopes and little scatter."""
    rng = np.random.default_rng(1)
    fit = {}
    for metric in ("function", "w1_squared", "coupling", "matched_w2"):
        s = slope if metric in ("coupling", "matched_w2") else -1.0
        values = np.array(COUNTS)[:, None] ** s * rng.gamma(25, 1 / 25, size=(6, 200))
        fit[metric] = mf.chaos.fit_rate(COUNTS, values)
    return fit


def codes(fit):
    return [note.code for note in fit.slope.notes]


@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "abs"])
def test_a_kink_is_named_as_the_reason_of_a_drift(activation):
    found = with_reasons(drifting(-0.8), problem(activation), separate=False)
    for metric in ("coupling", "matched_w2"):
        assert codes(found[metric]) == ["kink"]
        assert "N times the distance has no limit" in found[metric].slope.notes[0].text
    assert codes(found["function"]) == codes(found["w1_squared"]) == []


def test_no_kink_is_named_where_there_is_none():
    assert "kink" not in codes(with_reasons(drifting(-0.8), problem("tanh"), False)["coupling"])
    # With a kink, but as expected while few partners straddle it.
    assert codes(with_reasons(drifting(-1.0), problem("relu"), False)["coupling"]) == []


def test_of_partners_that_separate_nothing_is_expected():
    found = with_reasons(drifting(-0.5), problem("tanh"), separate=True)
    assert found["coupling"].slope.expected is None
    assert np.isnan(found["coupling"].constant.value)
    assert codes(found["coupling"]) == ["wells"]
    assert found["w1_squared"].slope.expected == -1


def test_what_has_not_settled_is_said_in_the_verdict():
    fits = drifting(-1.0)
    slope = replace(fits["matched_w2"].slope, notes=(Note("pre-asymptotic", "It has not."),))
    fits["matched_w2"] = replace(fits["matched_w2"], slope=slope)
    said = verdict(fits, ONE, False, 0.0, True)
    assert said.startswith("one well: W2² has not settled to 1/N at these N (pre-asymptotic, slope")
    agrees = {**fits, "matched_w2": PowerLaw(Estimate(-1.0, -1.1, -0.9, expected=-1.0))}
    assert verdict(agrees, ONE, False, 0.0, True).startswith("one well: W2² falls like 1/N (slope")


def partners(near, apart, share, size=1.0):
    """What is measured of partners: most at a distance `near`, a share of them `apart`."""
    at = np.full((3, 2, 4), 1.0)
    return {
        "separated": share * at if apart > size else 0 * at,
        "coupling": ((1 - share) * near**2 + share * apart**2) * at,
        "w1_squared": ((1 - share) * near + share * apart) ** 2 * at,
    }


def test_partners_far_beyond_a_well_separate_however_near_its_nearest_neighbour():
    one = replace(ONE, size=1.0, spread=0.4)
    for n in (1e2, 1e4, 1e6):  # a share of N^(−1/2), the others N^(−1/2) apart
        far, share = partners(n**-0.5, 6.0, n**-0.5), n**-0.5
        assert share < 0.05 * far["coupling"][0, 0, 0]  # by their least distance they do not count
        assert partners_separate(far, one)
        assert not partners_separate(partners(n**-0.5, 6.0, 0.0), one)
        # Minima closer than a well is wide are no wells apart.
        close = replace(one, size=0.01, spread=3.0)
        assert not partners_separate(partners(n**-0.5, 6.0, 1e-5, 0.01), close)
    # Independent particles of one wide well are no further apart than √2 times its spread.
    assert not partners_separate(
        partners(0.4 * 2**0.5, 0.4 * 2**0.5, 1.0, 0.1), replace(one, size=0.1)
    )
