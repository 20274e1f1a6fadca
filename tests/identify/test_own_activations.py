"""Identifiability with activations of the user's own: as with those of the table."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.identify import activation_coefficients
from meanfield.problem import Activation

TWIN = Activation.from_function(math.tanh, name="twin")


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_coefficients_are_those_of_the_twin(shift):
    own, known = (activation_coefficients(a, 12, scale=1.3, shift=shift) for a in (TWIN, "tanh"))
    np.testing.assert_allclose(own, known, atol=1e-13)


def test_steep_functions_are_resolved_and_kinks_are_refused():
    steep = Activation.from_function(lambda z: math.tanh(8 * z), name="steep")
    own = activation_coefficients(steep, 6)
    np.testing.assert_allclose(own, activation_coefficients("tanh", 6, scale=8.0), atol=1e-11)
    kinked = Activation.from_function(lambda z: max(-1.0, min(1.0, z)), name="hard")
    with pytest.raises(ValueError, match="coefficients of 'hard' do not settle: it has a kink"):
        activation_coefficients(kinked, 4)


def test_depths_are_those_of_the_twin():
    assert mf.variety_depth(TWIN, 1, 1).depth == mf.variety_depth("tanh", 1, 1).depth == 3
