"""Equivalence: verdict, matching, distance and gap against exact cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from meanfield.identify import Atoms, canonical, equivalent
from meanfield.identify.gaussian import (
    _graded_pair,
    _normal_orthant,
    _quadrature_gram,
    gaussian_gram,
    l2_norm,
)
from meanfield.problem import ACTIVATIONS
from tests.identify.identify_cases import ALL, IDENTIFIABLE, moved, network


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("outputs", [0, 2])
def test_symmetry_moves_are_equivalent(name, outputs):
    arrays = network(7, outputs=outputs)
    found = equivalent(arrays, moved(arrays, ACTIVATIONS[name], 8), name)
    assert found
    assert found.same_function
    assert found.distance < 1e-12
    assert found.l2_gap <= 1e-12 * (1 + found.l2_norm)
    assert len(found.matching) == found.first.n_atoms


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("parameter", [0, 1, 2])
def test_a_perturbation_is_not(name, parameter):
    arrays = network(7)
    other = [part.copy() for part in arrays]
    other[parameter][2] += 1e-3
    found = equivalent(arrays, moved(other, ACTIVATIONS[name], 9), name)
    assert not found
    assert found.l2_gap > 0


def test_perturbation_of_one_particle_among_many_is_seen():
    a, w, b = network(3, n_atoms=300, d=4)
    other = a.copy()
    other[17] += 1e-3
    assert not equivalent((a, w, b), (other, w, b), "tanh")


def test_distance_is_the_exact_transport():
    # One atom moves by 0.1, one dies: cost 0.1² + (c/c̄)² with c̄² the mean square of all three.
    p = (np.array([2.0, 6.0]), np.array([[1.0, 0.0], [0.0, 3.0]]))
    q = (np.array([2.0]), np.array([[1.1, 0.0]]))
    found = equivalent(p, q, "tanh", normalisation="sum")
    unit = (4 + 36 + 4) / 3
    assert found.distance == pytest.approx(np.sqrt(0.01 + 36 / unit))
    np.testing.assert_array_equal(found.matching, [[1, 0]])


@pytest.mark.parametrize("name", IDENTIFIABLE)
def test_distance_is_symmetric_and_blind_to_the_hemisphere(name):
    # Atoms near the border of the hemisphere: representatives jump, the quotient does not.
    a, w, b = network(5)
    w[:, 0] = 1e-4
    other = w.copy()
    other[:, 0] = -1e-4
    forth = equivalent((a, w, b), (a, other, b), name)
    back = equivalent((a, other, b), (a, w, b), name)
    assert forth.distance == pytest.approx(back.distance, rel=1e-9)
    assert 0 < forth.distance < 1e-2
    assert len(forth.matching) == 5


def test_silu_networks_that_differ_by_the_affine_left_over():
    a, w, b = network(11)
    flipped = (a, -w, -b)
    bare = equivalent((a, w, b), flipped, "silu")
    assert not bare
    assert bare.distance > 0.1
    left_over = Atoms(
        ACTIVATIONS["silu"], a / 5, -w, -b, float(a @ b) / 5, a @ w / 5, np.full(5, 0.2)
    )
    full = equivalent((a, w, b), left_over, "silu")
    assert full
    assert full.l2_gap < 1e-12
    X = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(left_over.predict(X), canonical((a, w, b), "silu").predict(X))


def test_polynomial_disagreement_is_explained():
    # He2(x) + He2(y) is rotation invariant: other atoms, one function.
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    found = equivalent((np.ones(2), np.eye(2)), (np.ones(2), turn), "he2")
    assert not found
    assert found.same_function
    assert "linearly dependent" in found.explanation


def test_agreement_on_few_inputs_is_explained():
    X = np.array([[1.0, 0.0]])
    p, q = (np.ones(1), np.array([[1.0, 0.0]])), (np.ones(1), np.array([[1.0, 5.0]]))
    found = equivalent(p, q, "tanh", inputs=X)
    assert not found
    assert found.same_function
    assert "given inputs" in found.explanation
    assert not equivalent(p, q, "tanh").same_function


def test_networks_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        equivalent(network(0, d=2), network(0, d=3), "tanh")


def test_empty_networks_agree():
    zero = (np.zeros(3), np.ones((3, 2)))
    assert equivalent(zero, zero, "tanh")
    assert not equivalent(zero, (np.ones(3), np.ones((3, 2))), "tanh")


@pytest.mark.parametrize("name", ALL)
def test_l2_norm_against_sampling(name):
    a, w, b = network(13, d=2)
    atoms = canonical((a, 0.5 * w, b), name)
    X = np.random.default_rng(1).normal(size=(200_000, 2))
    squares = atoms.predict(X) ** 2
    norm = l2_norm(atoms)[0]
    deviation = (norm**2 - squares.mean()) / (squares.std() / np.sqrt(len(X)))
    assert abs(deviation) < 4.5


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "erf"])
def test_closed_gram_against_two_dimensional_quadrature(name):
    activation = ACTIVATIONS[name]
    _, w, b = network(21, n_atoms=3, d=2)
    w[2] = -w[0]  # exactly opposite atoms
    x = np.arange(-9, 9, 0.02) + 0.01
    weight = np.exp(-x * x / 2) * 0.02 / np.sqrt(2 * np.pi)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1)
    values = activation.value(grid @ w.T + b)
    expected = np.einsum("xyi,xyj,x,y->ij", values, values, weight, weight, optimize=True)
    np.testing.assert_allclose(gaussian_gram(activation, w, b), expected, atol=2e-4)


@pytest.mark.parametrize("name", ["sin", "cos", "he2", "he3", "he6", "identity"])
def test_closed_gram_against_trapezoids(name):
    activation = ACTIVATIONS[name]
    _, w, b = network(22, n_atoms=4, d=3)
    w[2], w[3] = -w[0], w[1]
    r = np.linalg.norm(w, axis=1)
    rho = np.clip((w @ w.T) / np.outer(r, r), -1, 1)
    expected = _quadrature_gram(activation, r, b, rho)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_array_less(np.abs(gaussian_gram(activation, w, b) - expected), 1e-13 * size)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "gelu", "softplus"])
@pytest.mark.parametrize("scale", [0.3, 2.0, 8.0])
def test_graded_panels_against_trapezoids(name, scale):
    activation = ACTIVATIONS[name]
    _, w, b = network(23, n_atoms=4, d=3)
    w[2], w[3] = -w[0], w[0] + 1e-9
    w, b = scale * w, scale * np.array([0.0, -0.4, 5.0, 0.7])
    r = np.linalg.norm(w, axis=1)
    rho = np.clip((w @ w.T) / np.outer(r, r), -1, 1)
    expected = _quadrature_gram(activation, r, b, rho)
    found = np.array([
        [_graded_pair(activation, r[[i, j]], b[[i, j]], rho[i, j]) for j in range(4)]
        for i in range(4)
    ])  # fmt: skip
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_array_less(np.abs(found - expected), 1e-13 * size)


@pytest.mark.parametrize("w", [30.0, 1000.0, 10000.0])
def test_steep_atoms_differ_by_little_and_are_compared_in_no_time(w):
    """In one dimension ‖tanh(wx) − tanh(ux)‖² → φ(0) ∫ (tanh(wx) − tanh(ux))² dx."""
    u = 1.5 * w
    found = equivalent(([1.0], [[w]]), ([1.0], [[u]]), "tanh")
    x = np.linspace(-40, 40, 400_001) / w
    square = (np.tanh(w * x) - np.tanh(u * x)) ** 2 * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    assert not found
    assert found.l2_gap == pytest.approx(np.sqrt(np.trapezoid(square, x)), rel=1e-6)


@pytest.mark.parametrize("apart", [1e-12, 3e-8, 4e-7])
def test_atoms_within_tolerance_are_one_also_within_a_network(apart):
    one = ([1.0], [[1.0]])
    two = ([0.5, 0.5], [[1 + apart], [1 - apart]])
    found = equivalent(one, two, "tanh", normalisation="sum")
    assert found.equivalent
    assert found.distance < 1e-6


def test_a_gap_that_rounding_hides_is_said_to_be_hidden():
    steep = (np.array([1e7, -1e7]), np.array([[1 + 5e-6], [1 - 5e-6]]))
    found = equivalent(steep, ([0.0], [[1.0]]), "tanh", tolerance=1e-7)
    assert not found.equivalent
    assert found.l2_gap > 1


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.99])
def test_bivariate_normal_probability(rho):
    law = multivariate_normal(cov=[[1, rho], [rho, 1]])
    for h in (-1.5, 0.0, 0.7):
        for k in (-0.4, 0.0, 2.0):
            found = _normal_orthant(np.array(h), np.array(k), np.array(rho))
            np.testing.assert_allclose(found, law.cdf([h, k]), atol=2e-6)


def test_sobol_norm_agrees_with_pairs():
    rng = np.random.default_rng(3)
    atoms = canonical((rng.normal(size=60), rng.normal(size=(60, 5))), "tanh")
    norm, error, method = l2_norm(atoms)
    assert method == "scrambled Sobol points"
    gram = gaussian_gram(atoms.activation, atoms.w, atoms.b)
    expected = np.sqrt(atoms.coefficients @ gram @ atoms.coefficients)
    assert abs(norm - expected) < 5 * error
    assert error < 0.01 * norm


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_units_of_the_output_do_not_matter(factor):
    a, w, b = network(7)
    same = equivalent((factor * a, w, b), (factor * a, w, b), "tanh")
    assert same
    assert same.first.n_atoms == canonical((a, w, b), "tanh").n_atoms
    other = equivalent((factor * a, w, b), (factor * a, w + 0.5, b), "tanh")
    assert not other
    assert not other.same_function
    assert other.distance == pytest.approx(equivalent((a, w, b), (a, w + 0.5, b), "tanh").distance)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": np.full((4, 3), np.nan)}, "inputs"),
        ({"inputs": np.ones((0, 3))}, "inputs"),
        ({"inputs": np.ones((4, 2))}, "inputs"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"tolerance": np.nan}, "tolerance"),
    ],
)
def test_options_are_checked(options, words):
    a, w, b = np.ones(2), np.ones((2, 3)), np.zeros(2)
    with pytest.raises(ValueError, match=words):
        equivalent((a, w, b), (a, w, b), "tanh", **options)
