"""Assumption 4.1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield import deep


def _naive(X):
    """All offending pairs and triples, by the definition."""
    m = len(X)
    zero = {(i, j) for i, j in itertools.combinations(range(m), 2) if X[i] @ X[j] == 0}
    equal = {
        (i, j, k)
        for i in range(m)
        for j, k in itertools.combinations(range(m), 2)
        if i not in (j, k) and abs(X[i] @ X[j]) == abs(X[i] @ X[k])
    }
    return zero, equal


def test_points_in_general_position_pass():
    check = deep.check_inputs(np.random.default_rng(0).standard_normal((30, 5)))
    assert check
    assert check.margin > 0
    assert check.perturbation is None
    assert "holds" in check.summary


def test_offenders_are_named_and_noise_repairs_them():
    X = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [1.0, 1.0, 1.0], [-1.0, 0.5, 3.0]])
    check = deep.check_inputs(X)
    assert not check
    assert check.zero_pairs == ((0, 1),)
    assert check.equal_triples == ((0, 2, 3),)
    assert "⟨ξ_0, ξ_1⟩" in check.summary
    assert "|⟨ξ_0, ξ_2⟩| = |⟨ξ_0, ξ_3⟩|" in check.summary
    assert check.margin == 0
    assert 0 < check.perturbation <= 1e-3
    again = deep.check_inputs(check.perturbed)
    assert again
    assert np.abs(check.perturbed - X).max() < 10 * check.perturbation * np.abs(X).max()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=3, max_size=6),
    st.floats(1e-3, 1e3),
)
def test_verdict_is_that_of_the_definition(rows, scale):
    X = np.array(rows, dtype=float)
    zero, equal = _naive(X)
    check = deep.check_inputs(scale * X)
    assert bool(check) == (not zero and not equal)
    assert set(check.zero_pairs) == zero
    assert set(check.equal_triples) <= equal | {
        # Inputs of zero length have every product with others equal to zero.
        (i, j, k)
        for i in range(len(X))
        for j, k in itertools.combinations(range(len(X)), 2)
    }
    assert bool(check.equal_triples) == bool(equal)


def test_long_lists_are_cut_but_counted():
    check = deep.check_inputs(np.eye(30))
    assert check.n_zero_pairs == 435
    assert len(check.zero_pairs) == 100
    assert "…" in check.summary


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="2-D"):
        deep.check_inputs([1.0, 2.0])
    with pytest.raises(ValueError, match="tol must be"):
        deep.check_inputs(np.eye(2), tol=-1)


@pytest.mark.parametrize("factor", [1e200, 1e-170])
def test_the_unit_of_inputs_does_not_matter(factor):
    X = np.random.default_rng(3).standard_normal((6, 8))
    plain, other = deep.check_inputs(X), deep.check_inputs(factor * X)
    assert plain
    assert other
    assert other.margin == pytest.approx(plain.margin)
    X[3] = X[2]
    moved = deep.check_inputs(factor * X)
    assert moved.equal_triples == deep.check_inputs(X).equal_triples
    assert np.abs(moved.perturbed / factor - X).max() < 0.1


def test_one_input_has_nothing_to_compare():
    assert "no two inputs" in deep.check_inputs([[1.0, 2.0]]).summary
