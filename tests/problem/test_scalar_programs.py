"""Functions of the user's own as programs: the same numbers, derivatives, and clear refusals."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from meanfield.problem.scalar.derivative import derived
from meanfield.problem.scalar.program import parse
from meanfield.problem.scalar.trace import trace
from tests.problem.scalar_cases import FUNCTIONS

Z = np.concatenate([np.linspace(-6, 6, 241), [0.1234, -3.3333]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_gives_what_the_function_gives(name):
    function = FUNCTIONS[name]
    program = trace(function, "f")
    expected = np.array([float(function(float(z))) for z in Z])
    np.testing.assert_allclose(program.evaluate(Z)[0], expected, rtol=1e-13, atol=1e-14)
    assert parse(program.text) == program
    single = program.evaluate(Z.astype(np.float32))[0]
    assert single.dtype == np.float32
    smooth = np.abs(Z * 10 - np.round(Z * 10)) > 1e-6  # away from jumps
    np.testing.assert_allclose(single[smooth], expected[smooth], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derived_program_is_the_limit_of_differences(name):
    program = trace(FUNCTIONS[name], "f")
    slope = derived(program)
    if name == "math":  # its gamma has no derivative here
        assert slope is None
        return
    z = np.linspace(-5, 5, 200) + 0.0123  # off the kinks
    h = 1e-5
    difference = (program.evaluate(z + h)[0] - program.evaluate(z - h)[0]) / (2 * h)
    np.testing.assert_allclose(slope.evaluate(z)[0], difference, rtol=1e-5, atol=1e-6)


def test_at_a_tie_the_derivative_is_the_mean_of_both_sides():
    at = np.zeros(1)
    for function, slope in ((abs, 0.0), (lambda z: max(z, 0.0), 0.5), (lambda z: min(0, z), 0.5)):
        assert derived(trace(function, "f")).evaluate(at)[0] == slope
    # Kinks that cancel leave nothing behind.
    softplus = derived(trace(FUNCTIONS["leaky_softplus"], "f"))
    assert softplus.evaluate(at)[0] == pytest.approx(0.1 + 0.9 * 0.5, rel=1e-15)


def test_equal_functions_have_equal_programs():
    first, second = (trace(f, "f") for f in (lambda z: 2 * z * z, lambda t: (t * 2) * t))
    assert first == second
    other = trace(lambda z: 2.0000001 * z * z, "f")
    assert other.digest != first.digest


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z: math.comb(z, 2), "uses math.comb, which has no compiled form"),
        (lambda z: round(z), "uses round; use math.floor"),
        (lambda z: float(np.array(z)), "turns its argument into a plain number or an array"),
        (lambda z: np.cumsum(z), "uses np.cumsum, which has no compiled form"),
        (lambda z: [z], "computes with 'list'"),
        (lambda z: None, "computes with 'NoneType'"),
        (lambda z: z + random.random(), "must depend on its argument alone"),
        (lambda: 1.0, "cannot be called"),
        (lambda z: {0.0: 1.0}[z], "cannot be called with a symbol for a number"),
        ("tanh", "must be a function of a number, not str"),
    ],
)
def test_what_cannot_be_compiled_is_said_in_a_sentence(function, message):
    with pytest.raises((ValueError, TypeError), match=message) as stopped:
        trace(function, "f")
    assert str(stopped.value).startswith("f ")


def test_loops_without_end_are_refused():
    def halved(z):
        while abs(z) > 1:
            z = z / 2
        return z

    def many(z):
        return sum(z if math.sin(k * z) > 0 else -z for k in range(1, 12))

    with pytest.raises(ValueError, match=r"f decides more than 300 times .* loops"):
        trace(halved, "f")
    with pytest.raises(ValueError, match="f has more than 512 ways through its branches"):
        trace(many, "f")


@pytest.mark.parametrize(
    "text", ["", "input 0", "input 0 -> 3", "import os -> 0", "input 0; exp 1 -> 1", "add 0 -> 0"]
)
def test_a_text_that_is_no_program(text):
    with pytest.raises(ValueError, match="no program of a scalar function"):
        parse(text)
