"""The search for the number of halvings, against the definition."""

import pytest

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
