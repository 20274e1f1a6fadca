"""Functions of the user's own in compiled code: every operation, in both float types."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from meanfield.flow.compiled import own_functions
from meanfield.flow.compiled.own_functions import scalar_function, vector_function
from meanfield.flow.compiled.simd import GROUP_BYTES, load, store
from meanfield.problem.scalar.operations import OPERATIONS, arity
from meanfield.problem.scalar.program import Builder
from meanfield.problem.scalar.trace import trace

# Operations at arguments inside their domains: u = tanh z, v = 1 + z², z itself.
IN_DOMAIN = {
    **dict.fromkeys(("asin", "acos", "atanh"), "u"),
    **dict.fromkeys(("sqrt", "log", "log1p", "log2", "log10", "acosh", "gamma", "lgamma"), "v"),
}
# The left side of a power is positive; a remainder jumps.
PAIRS = {"pow": ("v", "u"), "fmod": ("z", "v"), "div": ("z", "v")}


def all_operations():
    """The program whose results are all operations, and their names."""
    b = Builder()
    z = b.input(0)
    at = {"z": z, "u": b("mul", b.const(0.9), b("tanh", z))}
    at["v"] = b("add", b.const(1.0), b("mul", z, z))
    places = {}
    for name in OPERATIONS:
        if name in ("lt", "le", "eq"):
            numbers = (b(name, z, b.const(0.5)), b(name, b.const(-1.0), at["u"]))
            places[name] = b("add", *(b("select", n, at["u"], b.const(2.0)) for n in numbers))
        elif name == "select":
            places[name] = b(name, b("lt", at["u"], z), b.const(1.5), z)
        elif arity(name) == 2:
            left, right = PAIRS.get(name, ("z", "u"))
            places[name] = b("add", b(name, at[left], at[right]), b(name, at[left], b.const(1.25)))
        else:
            places[name] = b(name, at[IN_DOMAIN.get(name, "z")])
    return b.program(*places.values()), list(places)


def evaluate(program, z):
    """All results at an array of whole groups, compiled."""
    function = vector_function(program.text)
    step, lines = GROUP_BYTES // z.itemsize, []
    for k in range(len(program.outputs)):
        lines.append(f"        store(out, {k} * z.size + i, r[{k}])")
    source = "def run(z, out):\n    for i in range(0, z.size, step):\n"
    source += "        r = f(load(z, i))\n" + "\n".join(lines)
    names = {"f": function, "load": load, "store": store, "step": step}
    exec(source, names)
    out = np.empty(len(program.outputs) * z.size, z.dtype)
    with np.errstate(all="ignore"):
        numba.njit(names["run"])(z, out)
    return out.reshape(len(program.outputs), -1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_operation_is_numpys(dtype):
    program, names = all_operations()
    special = [0.0, 1.0, -1.0, 0.5, 1.25, np.inf, -np.inf, np.nan]
    z = np.concatenate([np.linspace(-4, 4, 120), special]).astype(dtype)
    z = np.concatenate([z, np.resize(z, 128)])
    found, expected = evaluate(program, z), program.evaluate(z)
    inside = np.isfinite(z)
    unit = np.finfo(dtype).eps
    for name, got, want in zip(names, found, expected, strict=True):
        error = np.abs(got[inside] - want[inside]) / np.maximum(np.abs(want[inside]), 1.0)
        # Gamma and powers magnify the rounding of their arguments.
        limit = 400 if name in ("gamma", "lgamma", "pow") else 40
        assert error.max() <= limit * unit, name
        assert np.isnan(got[np.isnan(z)]).all(), name


def test_every_operation_has_both_forms():
    assert set(own_functions._VECTOR) == set(own_functions._SCALAR) == set(OPERATIONS)


def test_functions_of_numbers_divide_as_numpy_does():
    program = trace(lambda f, y: math.log(f * f) + (1 / (f - y) if f > y else math.exp(f)), "f", 2)
    function = scalar_function(program.text, 0, "fy")
    with np.errstate(all="ignore"):
        for f, y in ((1.0, 0.5), (0.5, 2.0), (0.0, 1.0), (800.0, 900.0), (np.nan, 0.0)):
            found = function(np.float64(f), np.float64(y))
            np.testing.assert_allclose(found, program.evaluate(*map(np.array, (f, y)))[0], 1e-13)
