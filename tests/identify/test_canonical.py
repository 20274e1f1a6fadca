"""Canonical form: the same function, one representative per orbit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.identify import canonical
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import ACTIVATIONS
from tests.identify.identify_cases import ALL, IDENTIFIABLE, forward, moved, network


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [0, 2])
def test_is_the_same_function(name, bias, outputs):
    activation, arrays = ACTIVATIONS[name], network(1, bias=bias, outputs=outputs)
    X = np.random.default_rng(0).normal(size=(50, 3))
    expected = forward(arrays, activation, X)
    found = canonical(arrays, name).predict(X)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-12 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("name", ALL)
def test_idempotent_and_invariant(name):
    activation, arrays = ACTIVATIONS[name], network(2)
    once = canonical(arrays, name)
    for again in (canonical(once, name), canonical(moved(arrays, activation, 3), name)):
        np.testing.assert_allclose(again.w, once.w, atol=1e-12)
        np.testing.assert_allclose(again.b, once.b, atol=1e-12)
        np.testing.assert_allclose(again.coefficients, once.coefficients, atol=1e-12)
        np.testing.assert_allclose(again.constant, once.constant, atol=1e-12)
        np.testing.assert_allclose(again.linear, once.linear, atol=1e-12)


@pytest.mark.parametrize("name", IDENTIFIABLE)
def test_one_hemisphere_and_unit_scale(name):
    atoms = canonical(network(4), name)
    assert atoms.n_atoms == 5
    assert (atoms.w[:, 0] > 0).all()
    if ACTIVATIONS[name].homogeneous:
        np.testing.assert_allclose(np.hypot(np.linalg.norm(atoms.w, axis=1), atoms.b), 1)
    if symmetry_of(ACTIVATIONS[name]).sinusoid:
        assert ((atoms.b >= 0) & (atoms.b < np.pi)).all()


@pytest.mark.parametrize("name", ["identity", "he1"])
def test_affine_activation_has_no_atoms(name):
    a, w, b = network(5)
    atoms = canonical((a, w, b), name)
    assert atoms.n_atoms == 0
    np.testing.assert_allclose(atoms.linear, a @ w / 5)
    np.testing.assert_allclose(atoms.constant, a @ b / 5)


def test_flipped_silu_pair_leaves_an_affine_function():
    w = np.array([[2.0, -1.0], [-2.0, 1.0]])
    atoms = canonical((np.array([1.0, 3.0]), w, np.array([0.5, -0.5])), "silu")
    assert atoms.n_atoms == 1
    np.testing.assert_allclose(atoms.coefficients, [2.0])
    np.testing.assert_allclose(atoms.linear, -1.5 * w[0])
    np.testing.assert_allclose(atoms.constant, -0.75)


def test_sinusoids_of_one_frequency_are_one_atom():
    w = np.array([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]])
    atoms = canonical((np.array([3.0, 3.0, 3.0]), w, np.array([0.1, 0.7, 2.0])), "sin")
    assert atoms.n_atoms == 1
    phasor = np.exp(0.1j) + np.exp(1j * (np.pi - 0.7)) + np.exp(2.0j)
    np.testing.assert_allclose(abs(atoms.coefficients[0]), abs(phasor))


def test_dead_zero_weight_duplicate_and_cancelling_particles():
    a = np.array([0.0, 2.0, 1.0, 1.0, 5.0, -5.0])
    w = np.array([[9.0, 9.0], [0.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [3.0, 0.0], [3.0, 0.0]])
    b = np.array([0.0, 0.3, 0.2, -0.2, 1.0, 1.0])
    atoms = canonical((a, w, b), "tanh")
    assert atoms.n_atoms == 0  # the two remaining atoms are flips with opposite sign: they cancel
    np.testing.assert_allclose(atoms.constant, 2 * np.tanh(0.3) / 6)
    assert atoms.inactive_mass == pytest.approx(1)
    atoms = canonical((np.abs(a), w, b), "cos")
    assert atoms.n_atoms == 2


@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "sin"])
def test_particles_that_cancel_are_inactive(name):
    b = np.array([0.1, 0.7, 0.7])
    atoms = canonical((np.array([1.0, 2.0, -2.0]), np.array([[1.0], [3.0], [3.0]]), b), name)
    assert atoms.mass.sum() == pytest.approx(1 / 3)
    assert atoms.inactive_mass == pytest.approx(2 / 3)


def test_what_is_left_over_as_an_affine_function_is_inactive():
    """silu(2x) − silu(−2x) = 2x."""
    atoms = canonical((np.array([1.0, -1.0]), np.array([[2.0], [-2.0]])), "silu")
    assert (atoms.n_atoms, atoms.inactive_mass) == (0, 1.0)
    np.testing.assert_allclose(atoms.linear, [1.0])


def test_all_inactive_and_single_particle():
    w = np.ones((4, 2))
    atoms = canonical((np.zeros(4), w), "relu")
    assert (atoms.n_atoms, atoms.inactive_mass) == (0, 1.0)
    assert canonical((np.array([1.0]), w[:1]), "relu").n_atoms == 1
    np.testing.assert_array_equal(atoms.predict(w), 0)


def test_replicas_are_pooled_and_sum_is_a_sum():
    a, w, b = network(6)
    one = canonical((a, w, b), "tanh")
    pair = SimpleNamespace(a=np.stack([a, a]), w=np.stack([w, w]), b=np.stack([b, b]))
    np.testing.assert_allclose(canonical(pair, "tanh").coefficients, one.coefficients)
    summed = canonical((a / 5, w, b), "tanh", normalisation="sum")
    np.testing.assert_allclose(summed.coefficients, one.coefficients)


@pytest.mark.parametrize(
    ("particles", "error", "words"),
    [
        ((np.array([np.nan]), np.ones((1, 2))), ValueError, "NaN"),
        ((np.ones(1), np.array([[np.inf, 0.0]])), ValueError, "infinite"),
        ((np.ones(3), np.ones((2, 2))), ValueError, "a must have shape"),
        ((np.ones(2), np.ones((2, 2)), np.ones(3)), ValueError, "b must have shape"),
        ((np.ones(2), np.ones(2)), ValueError, "w must have shape"),
        ((np.ones(0), np.ones((0, 2))), ValueError, "no empty axis"),
        (np.ones((2, 2)), TypeError, "Particles"),
        ((["x"], [[1.0]]), TypeError, "real numbers"),
    ],
)
def test_bad_input_is_refused_in_words(particles, error, words):
    with pytest.raises(error, match=words):
        canonical(particles, "tanh")


def test_unknown_normalisation():
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        canonical(network(0), "tanh", normalisation="means")


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(ALL),
    seed=st.integers(0, 2**32 - 1),
    n_atoms=st.integers(1, 6),
    d=st.integers(1, 4),
)
def test_canonical_never_changes_the_function(name, seed, n_atoms, d):
    activation, arrays = ACTIVATIONS[name], network(seed, n_atoms, d)
    X = np.random.default_rng(seed).normal(size=(20, d))
    change = moved(arrays, activation, seed)
    expected = forward(arrays, activation, X)
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(change.predict(X), expected, atol=1e-10 * scale)
    np.testing.assert_allclose(canonical(change, name).predict(X), expected, atol=1e-10 * scale)
