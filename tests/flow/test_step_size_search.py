"""The search for the number of halvings, against the definition."""

import pytest

import meanfield as mf
from meanfield.errors import DivergenceError
from meanfield.flow.step_size_search import halvings


@pytest.mark.parametrize("wanted", range(1, 61))
def test_the_fewest_halvings_are_found(wanted):
    tried = []
    assert halvings(1.0, lambda h: tried.append(h) or h >= wanted) == wanted
    assert len(tried) <= 2 * wanted.bit_length()
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize(("step_size", "least"), [(1e-300, 60), (1.0, 61), (1e300, 60 + 997)])
def test_none_when_nothing_holds(step_size, least):
    tried = []
    assert halvings(step_size, tried.append) is None
    assert max(tried) == least


def test_the_largest_numbers_come_down_to_size():
    assert halvings(1.7e308, lambda h: 1.7e308 * 2.0**-h < 1) == 1024


def test_a_step_size_that_is_advised_learns_in_the_run_that_was_asked_for():
    """At 40 and 20 the particles are finite for a while, on their way to infinity."""
    data = mf.problem.load("digits", classes=[3, 8], n_samples=10)
    problem = data.problem(l2=0.05, temperature=0.01)
    settings = {"n_steps": 40, "reference": "particles", "cloud_replicas": 0}
    with pytest.raises(DivergenceError) as caught:
        mf.chaos_rates(problem, [2, 4, 8], 4, step_size=40.0, **settings)
    held = caught.value.stable_step_size
    rates = mf.chaos_rates(problem, [2, 4, 8], 4, step_size=held, **settings)
    assert "loss-rose" not in {note.code for f in rates.fits.values() for note in f.slope.notes}
    assert (rates.dataset["matched_w2"] > 0).all()


def test_a_finite_run_that_did_not_learn_is_said_not_to_have():
    data = mf.problem.load("digits", classes=[3, 8], n_samples=30)
    problem = data.problem(l2=0.05, temperature=0.01)
    rates = mf.chaos_rates(problem, [4, 8, 16], 4, step_size=10.0, n_steps=5, cloud_replicas=0)
    for fit in rates.fits.values():
        assert "did not learn" in fit.slope.notes[0].text
