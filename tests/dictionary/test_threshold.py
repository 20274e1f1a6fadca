"""Coefficient-threshold number against counts by hand, and the rank bounds by construction."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtr

from meanfield.dictionary import coefficient_threshold_number
from meanfield.dictionary.penalty_count import capacities
from meanfield.dictionary.threshold import waring_rank_bound
from meanfield.identify import activation_coefficients
from meanfield.problem import get_activation
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Teacher


@pytest.mark.parametrize("index", [(1, 1), (2, 1), (1, 1, 1), (2, 1, 1), (2, 2, 2), (1, 1, 1, 1)])
def test_rank_bound_is_attained_by_a_decomposition(index):
    # Fit x^α by the powers ⟨h, x⟩^k of that many directions: the residual vanishes.
    d, k, rank = len(index), sum(index), waring_rank_bound(index)
    directions = []
    for h in itertools.product(*[[s / 2 - v for v in range(s + 1)] for s in index]):
        if any(h) and not any(np.allclose(h, [-x for x in g]) for g in directions):
            directions.append(h)
    directions = np.array(directions)
    assert len(directions) == rank
    X = np.random.default_rng(0).normal(size=(200, d))
    powers = (X @ directions.T) ** k
    monomial = np.prod(X ** np.array(index), axis=1)
    solution = np.linalg.lstsq(powers, monomial, rcond=None)[0]
    np.testing.assert_allclose(powers @ solution, monomial, atol=1e-9 * np.abs(monomial).max())


def test_number_by_hand():
    target = HermiteTarget(3, {"1": 1.0, "1,1": 0.5, "1,1,1": 0.25, "0,0,3": 1e-4, (0,): 7.0})
    found = coefficient_threshold_number(target, "sigmoid", threshold=0.1)
    sigma = activation_coefficients("sigmoid", 3)
    # Degrees 1 and 3 only: the term of degree 2 cannot be reached, and counts.
    assert found.missing_degrees == (2,)
    assert found.number == 1 + 2 + 4
    assert found.barron_norm == math.inf
    assert "infinite" in found.explanation
    assert found.l2_tail == pytest.approx(1e-4)
    assert found.barron_tail == pytest.approx(1e-4 / abs(sigma[3]))


def test_barron_norm_and_threshold():
    target = HermiteTarget(2, {"1": 1.0, "2": 0.3, "1,1": 0.01})
    sigma = np.abs(activation_coefficients("relu", 2))
    found = coefficient_threshold_number(target, "relu", threshold=0.1)
    assert found.barron_norm == pytest.approx(1 / sigma[1] + 0.31 / sigma[2])
    assert found.number == 2
    assert coefficient_threshold_number(target, "relu", threshold=1e-3).number == 4
    assert coefficient_threshold_number(target, "relu", threshold=100).number == 0


def test_parity_needs_half_the_corners():
    found = coefficient_threshold_number(Parity(6, [0, 2, 5]), "silu", threshold=0.1)
    assert found.number == 4
    assert found.missing_degrees == (3,)  # silu is linear plus even
    assert coefficient_threshold_number(Parity(6, [0, 2, 5]), "tanh").missing_degrees == ()


def test_high_hermite_activation_has_one_degree():
    found = coefficient_threshold_number(HermiteTarget(2, {"2": 1.0}), "he3")
    assert found.missing_degrees == (2,)


def test_sampling_error_gives_a_range():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    y = X[:, 0] + 0.02 * (X[:, 0] * X[:, 1]) + 0.5 * rng.standard_normal(300)
    found = coefficient_threshold_number((X, y), "relu", threshold=0.1, degree=2)
    assert found.low <= found.number <= found.high
    assert found.low < found.high


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match="threshold"):
        coefficient_threshold_number(Parity(2, [0]), "tanh", threshold=threshold)


def test_noise_at_a_missing_degree_does_not_count():
    """tanh is odd, so that any even coefficient would count if noise could not be told from it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    found = coefficient_threshold_number((X, np.tanh(X[:, 0])), "tanh")
    assert found.number == 1
    assert found.low <= 1
    assert found.missing_degrees == ()
    X, y = rng.standard_normal((400, 10)), rng.standard_normal(400)
    found = coefficient_threshold_number((X, y), "tanh", degree=2)
    assert found.low == found.number == 0
    assert f"0 to {found.high} within the errors" in found.explanation


def test_an_even_target_still_counts_where_it_is_seen():
    X = np.random.default_rng(0).standard_normal((2000, 2))
    found = coefficient_threshold_number((X, X[:, 0] * X[:, 1]), "tanh", degree=2)
    assert found.missing_degrees == (2,)
    assert found.low == found.number == 2


def test_what_a_part_must_have_under_a_penalty():
    """The suprema of tanh from an independent calculation, and closed forms of relu."""
    tanh = get_activation("tanh")
    with_bias, without = capacities(tanh, 6, True), capacities(tanh, 6, False)
    np.testing.assert_allclose(with_bias[1:], [1.0, 0.134, 0.149, 0.068, 0.074, 0.044], atol=6e-4)
    np.testing.assert_array_equal(without[::2], 0)
    assert without[1] == pytest.approx(1.0, abs=1e-3)
    relu = get_activation("relu")
    plain = np.abs(activation_coefficients("relu", 4))
    np.testing.assert_allclose(capacities(relu, 4, False), plain, atol=1e-12)
    # E[(cos z + sin)_+ z] = cos Φ(tan): its largest value over the angle.
    turn = np.linspace(-1.5, 1.5, 100_001)
    first = (np.cos(turn) * ndtr(np.tan(turn))).max()
    assert capacities(relu, 1, True)[1] == pytest.approx(first, rel=1e-6)


def test_number_under_a_penalty_by_hand():
    target = HermiteTarget(3, {"1": 1.0, "0,2": 0.5, "0,0,3": 0.3, (0,): 7.0})
    capacity = capacities(get_activation("tanh"), 3, True)
    for penalty, number in ((0.6, 1), (0.06, 2), (0.9 * 0.3 * capacity[3], 3), (1.1, 0)):
        assert coefficient_threshold_number(target, "tanh", l2=penalty).number == number
    # Separate penalties count by their geometric mean.
    assert coefficient_threshold_number(target, "tanh", l2=(0.09, 4.0)).number == 1
    even = HermiteTarget(1, {"2": 1.0})
    assert coefficient_threshold_number(even, "tanh", l2=1e-3, bias=False).number == 0
    assert coefficient_threshold_number(even, "tanh", l2=1e-3).number == 1


def test_number_under_a_penalty_does_not_depend_on_axes():
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    link = HermiteTarget(3, {"2": 1.0, "0,2": 0.5, "0,0,2": 0.25})
    turned = IndexTarget(turn, link)
    X = np.random.default_rng(1).standard_normal((4000, 3))
    for target in (link, turned, lambda X: turned(X), (X, turned(X))):
        found = coefficient_threshold_number(target, "relu", l2=0.01, d=3, degree=2)
        assert found.number == 3
        assert (found.low, found.high) == (3, 3)
    teacher = Teacher([1.0, 1.0], [[1.0, 1.0], [1.0, -1.0]], None, "tanh")
    straight = Teacher([1.0, 1.0], np.sqrt(2) * np.eye(2), None, "tanh")
    numbers = [coefficient_threshold_number(t, "tanh", l2=0.05).number for t in (teacher, straight)]
    assert numbers[0] == numbers[1]


def test_threshold_and_penalty_together_are_refused():
    with pytest.raises(ValueError, match="give one of them"):
        coefficient_threshold_number(Parity(2, [0]), "tanh", 0.1, l2=0.1)
    with pytest.raises(ValueError, match="l2"):
        coefficient_threshold_number(Parity(2, [0]), "tanh", l2=0.0)
