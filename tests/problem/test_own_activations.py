"""Activations of the user's own: facts found and checked, one identity, nothing changed by hand."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest

import meanfield as mf
from meanfield.problem import ACTIVATIONS, Activation, get_activation
from tests.problem import scalar_cases as cases

# Entries of the table, written as a user would.
TWINS = {
    "tanh": math.tanh,
    "erf": math.erf,
    "sin": math.sin,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "gelu": lambda z: 0.5 * z * (1 + math.erf(z / math.sqrt(2))),
    "softplus": cases.softplus,
    "cos": math.cos,
    "abs": abs,
    "he2": lambda z: z * z - 1,
    "he3": lambda z: z**3 - 3 * z,
    "identity": lambda z: 1.0 * z,
}


@pytest.mark.parametrize("name", TWINS)
def test_the_facts_of_a_twin_are_those_of_the_table(name):
    known, own = ACTIVATIONS[name], Activation.from_function(TWINS[name], name="twin")
    z = np.linspace(-5, 5, 101) + 1e-3
    np.testing.assert_allclose(own.value(z), known.value(z), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(own.derivative(z), known.derivative(z), rtol=1e-12, atol=1e-13)
    for fact in ("sign", "homogeneous", "smooth", "degree"):
        assert getattr(own, fact) == getattr(known, fact), fact
    assert own.remainder == pytest.approx(known.remainder, abs=1e-13)
    assert own.lipschitz == pytest.approx(known.lipschitz, rel=1e-9)
    assert own.curvature == pytest.approx(known.curvature, rel=1e-9)
    for fact in ("bounds", "asymptote"):
        found, expected = getattr(own, fact), getattr(known, fact)
        assert (found is None) == (expected is None), fact
        if found is not None:
            assert found == pytest.approx(expected, abs=1e-4), fact


def test_functions_without_a_relation_have_no_flip():
    own = Activation.from_function(cases.elu)
    assert (own.name, own.sign, own.remainder, own.smooth) == ("elu", 0, (), False)
    assert (own.bounds, own.degree, own.lipschitz) == (None, None, 1.0)
    assert own.asymptote == pytest.approx((0.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "slope",
    [
        lambda z: 2 * cases.swirl_slope(z),
        lambda z: -cases.swirl_slope(z),
        lambda z: cases.swirl_slope(z) * (1 + 1e-4),
        lambda z: 0.99 if abs(z) < 1e-3 else cases.swirl_slope(z),
        lambda z: 0.0 if z > 2.5 else cases.swirl_slope(z),
    ],
)
def test_a_wrong_derivative_is_refused(slope):
    with pytest.raises(ValueError, match=r"derivative is .* where differences of f give"):
        Activation.from_function(cases.swirl, slope)


def test_right_derivatives_are_accepted():
    given = Activation.from_function(cases.swirl, cases.swirl_slope)
    derived = Activation.from_function(cases.swirl)
    z = np.linspace(-4, 4, 81)
    np.testing.assert_allclose(given.derivative(z), derived.derivative(z), rtol=1e-12, atol=1e-14)
    Activation.from_function(lambda z: math.sin(40 * z), lambda z: 40 * math.cos(40 * z), name="s")
    Activation.from_function(lambda z: 1e6 + z, lambda z: 1.0, name="far")
    Activation.from_function(cases.hard_tanh, lambda z: 1.0 if -1 < z < 1 else 0.0)


@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (cases.swirl, {"sign": 1}, "sign does not hold"),
        (cases.swirl, {"sign": 3}, "sign must be 1, -1 or 0"),
        (cases.swirl, {"remainder": [1.0]}, "remainder does not hold"),
        (cases.swirl, {"homogeneous": True}, "homogeneous is True, but"),
        (cases.swirl, {"smooth": "yes"}, "smooth must be True or False"),
        (cases.swirl, {"name": "Tan-H"}, "'Tan-H' is that of a known activation"),
        (cases.swirl, {"name": "a:b"}, "name must be of letters"),
        (lambda z: z, {}, "name is needed"),
        (lambda z: 2.0, {"name": "two"}, "f is constant"),
        (math.log, {"name": "ln"}, "f is not finite at z = -10"),
        (lambda z: 1 / z, {"name": "pole"}, "f is not finite at z = 0"),
        (lambda z: math.gamma(z * z + 1), {"name": "g"}, "derivative is needed"),
    ],
)
def test_what_is_given_is_checked(f, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Activation.from_function(f, **options)


def test_what_is_given_and_holds_is_taken():
    own = Activation.from_function(cases.leaky_softplus, sign=1, remainder=(0.0, 1.1), smooth=True)
    assert (own.sign, own.remainder, own.smooth) == (1, (0.0, 1.1), True)
    assert Activation.from_function(cases.swirl, sign=0).sign == 0


def test_an_activation_is_its_operations():
    first, again = (Activation.from_function(cases.swirl) for _ in range(2))
    other = Activation.from_function(lambda z: z * math.exp(-1.01 * z**2), name="swirl")
    assert first == again == pickle.loads(pickle.dumps(first))
    assert first.identity == dataclasses.replace(first, name="renamed").identity != other.identity
    X, y = np.eye(3), np.arange(3.0)
    problems = [mf.Problem(X, y, activation=a) for a in (first, again, other)]
    assert problems[0] == problems[1] != problems[2]
    assert pickle.loads(pickle.dumps(problems[0])) == problems[0]


def test_entries_of_the_table_cannot_be_changed_by_hand():
    tanh = get_activation("tanh")
    for changes in ({"name": "cube"}, {"sign": 1}, {"code": 2}, {"lipschitz": 2.0}):
        with pytest.raises(ValueError, match="is not changed by hand; make one"):
            dataclasses.replace(tanh, **changes)
    with pytest.raises(TypeError, match="_value"):
        dataclasses.replace(tanh, name="cube", _value=lambda z: z**3)
    own = Activation.from_function(cases.swirl)
    with pytest.raises(ValueError, match="known activation"):
        dataclasses.replace(own, name="tanh")

    class Cube(Activation):
        def value(self, z):
            return z**3

    fields = {f.name: getattr(tanh, f.name) for f in dataclasses.fields(tanh)}
    with pytest.raises((TypeError, ValueError), match="from_function"):
        get_activation(Cube(**fields))
    with pytest.raises(TypeError, match="from_function"):
        mf.Problem(np.eye(2), [0.0, 1.0], activation=math.tanh)


def test_a_reference_reads_the_file_as_it_is_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine_of_tests.py"
    text = "import math\nK = 2.0\ndef tanh(z):\n    return math.tanh(K * z)\n"
    file.write_text(text)
    first = get_activation("mine_of_tests:tanh")
    assert first.name == "mine_of_tests.tanh"
    assert first.value(1.0) == pytest.approx(math.tanh(2))
    file.write_text(text.replace("2.0", "3.0"))
    assert get_activation("mine_of_tests:tanh").identity != first.identity
    file.write_text(
        "import meanfield as mf\nf = mf.Activation.from_function(lambda z: z**3, name='cube')\n"
        "def g(z):\n    return z**3\ng.derivative = lambda z: z**2\n"
    )
    assert get_activation("mine_of_tests:f").degree == 3
    for name, message in (
        ("mine_of_tests:g", "derivative is"),
        ("mine_of_tests:h", "has no 'h'"),
        ("no_such_module:f", "There is no module 'no_such_module'"),
    ):
        with pytest.raises(ValueError, match=message):
            get_activation(name)
