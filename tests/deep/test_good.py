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


@pytest.mark.parametrize(
    "ramp",
    [lambda z: np.clip(z, -1, 1), lambda z: np.clip(z, 0, 6), lambda z: np.clip(z / 6 + 0.5, 0, 1)],
)
def test_ramps_are_refuted_with_shifts(ramp):
    verdict = deep.is_good(ramp)
    assert not verdict
    x = np.linspace(-60, 60, 999)
    total = sum(a * ramp(b * x + c) for a, b, c in verdict.terms)
    np.testing.assert_allclose(total, total[0], atol=1e-12)
    assert len({abs(b) for _, b, _ in verdict.terms}) == 3


@pytest.mark.parametrize("scale", [1 / 20, 1 / 3, 1.0, 30.0, 300.0])
@pytest.mark.parametrize("function", [np.tanh, np.sin])
def test_the_unit_of_the_input_does_not_matter(function, scale):
    """A slow function is nearly a polynomial on any window, a steep one nearly a sign."""
    assert deep.is_good(lambda z: function(scale * z))


@pytest.mark.parametrize("scale", [1 / 20, 30.0])
@pytest.mark.parametrize(
    "function", [np.abs, lambda z: z**2, lambda z: z**3 - z, lambda z: np.maximum(z, 0.1 * z)]
)
def test_counter_examples_hold_far_away(function, scale):
    verdict = deep.is_good(lambda z: function(scale * z))
    assert not verdict
    x = np.linspace(-1e3, 1e3, 777)
    parts = np.stack([a * function(scale * (b * x + c)) for a, b, c in verdict.terms])
    assert np.ptp(parts.sum(axis=0)) <= 1e-9 * np.abs(parts).max()
