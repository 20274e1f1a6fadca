"""Definition 4.2."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from meanfield.problem.activations import ACTIVATIONS

GOOD = {"tanh", "erf", "sigmoid", "silu", "gelu", "softplus", "sin", "cos"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_verdicts_and_counter_examples(name):
    verdict = deep.is_good(name)
    assert verdict.proved
    assert bool(verdict) == (name in GOOD)
    assert verdict.regular == (name in GOOD)
    if verdict:
        assert verdict.terms is None
        assert verdict.factors is None
        return
    x = np.linspace(-3, 3, 101) + 0.01
    scales = [abs(b) for _, b, _ in verdict.terms]
    assert len(set(scales)) == len(scales)
    assert any(a * b != 0 for a, b, _ in verdict.terms)
    terms = [a * ACTIVATIONS[name].value(b * x + c) for a, b, c in verdict.terms]
    assert np.ptp(sum(terms)) < 1e-12 * max(np.abs(term).max() for term in terms)


def test_relu_and_identity_also_fail_the_second_condition():
    x = np.linspace(-3, 3, 100)
    for name in ("relu", "identity"):
        r1, r2 = deep.is_good(name).factors
        entry = ACTIVATIONS[name]
        assert np.ptp((r1 + entry.value(x)) * (r2 + entry.derivative(x))) == 0
    assert deep.is_good("abs").factors is None


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numerical_search_agrees_with_the_proofs(name):
    entry = ACTIVATIONS[name]
    verdict = deep.is_good(entry.value, entry.derivative)
    assert not verdict.proved
    assert verdict.regular is None
    assert bool(verdict) == (name in GOOD)
    if not verdict:
        x = np.linspace(-2, 2, 77) + 0.003
        terms = [a * entry.value(b * x + c) for a, b, c in verdict.terms]
        assert np.ptp(sum(terms)) < 1e-9 * max(np.abs(term).max() for term in terms)


def test_second_condition_alone_can_fail():
    # ϕϕ′ is constant for the square root of a linear function.
    verdict = deep.is_good(lambda z: np.sqrt(z + 40), lambda z: 0.5 / np.sqrt(z + 40))
    assert not verdict
    assert verdict.factors == pytest.approx((0, 0), abs=1e-6)


def test_a_derivative_may_be_left_out():
    assert deep.is_good(np.arctan)
    assert not deep.is_good(lambda z: z**2 + z)


def test_functions_with_gaps_are_refused():
    with pytest.raises(ValueError, match="must be finite on"), np.errstate(invalid="ignore"):
        deep.is_good(np.sqrt)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(ValueError, match="Did you mean 'tanh'"):
        deep.is_good("tanhh")
