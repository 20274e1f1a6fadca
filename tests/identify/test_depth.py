"""Moment map and the two depths: derivative, known values, structural negatives."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.identify import canonical, orbit_depth, variety_depth
from meanfield.identify.depth import _is_square
from meanfield.identify.fibre import Fibre
from meanfield.identify.gaussian import l2_norm
from meanfield.identify.moments import MomentMap
from meanfield.identify.rank import _singular_values, generic_rank
from meanfield.problem import ACTIVATIONS, get_activation
from tests.identify.identify_cases import ALL


def parameters(seed, n_atoms, d, bias):
    return np.random.default_rng(seed).normal(size=(n_atoms, 1 + d + bias))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("d", "bias"), [(1, False), (3, True)])
def test_jacobian_is_the_derivative(name, d, bias):
    moments = MomentMap(ACTIVATIONS[name], d, 2, bias, 5)
    theta = parameters(1, 2, d, bias)
    jacobian = moments.evaluate(theta)[1]
    h = 1e-6
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = h
        step = step.reshape(theta.shape)
        difference = (moments.evaluate(theta + step)[0] - moments.evaluate(theta - step)[0]) / (
            2 * h
        )
        np.testing.assert_allclose(
            jacobian[:, i], difference, atol=1e-8 * (1 + np.abs(jacobian).max())
        )


@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "sin"])
def test_moments_sum_to_the_norm(name):
    # Parseval: Σ_k |T_k|² = ‖f‖².
    theta = parameters(2, 3, 2, True)
    theta[:, 1:3] *= 0.4
    values = MomentMap(ACTIVATIONS[name], 2, 3, True, 30).evaluate(theta)[0]
    atoms = canonical((theta[:, 0], theta[:, 1:3], theta[:, 3]), name, normalisation="sum")
    assert np.sum(values**2) == pytest.approx(l2_norm(atoms)[0] ** 2, rel=2e-3)


def test_moments_are_expectations():
    # T_2 against quadrature: E[f (x_i x_j − δ_ij)] / √2.
    theta = parameters(3, 2, 2, True)
    moments = MomentMap(ACTIVATIONS["tanh"], 2, 2, True, 2)
    x = np.arange(-9, 9, 0.05)
    weight = np.exp(-x * x / 2) * 0.05 / np.sqrt(2 * np.pi)
    X, Y = np.meshgrid(x, x, indexing="ij")
    f = sum(t[0] * np.tanh(t[1] * X + t[2] * Y + t[3]) for t in theta)
    expected = [
        weight @ (f * (X * X - 1)) @ weight / np.sqrt(2),
        weight @ (f * X * Y) @ weight,
        weight @ (f * (Y * Y - 1)) @ weight / np.sqrt(2),
    ]
    values = moments.evaluate(theta)[0][moments.degrees == 2]
    np.testing.assert_allclose(np.sort(values), np.sort(expected), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "d", "n_atoms", "bias", "depth"),
    [
        ("tanh", 1, 1, False, 3),
        ("tanh", 1, 2, False, 7),
        ("tanh", 2, 2, False, 3),
        ("tanh", 2, 3, False, 5),
        ("tanh", 3, 3, False, 3),
        ("tanh", 3, 4, False, 5),
        ("tanh", 1, 3, False, 11),
        ("tanh", 1, 4, False, 15),
        ("silu", 1, 2, False, 4),
        ("sin", 2, 3, False, 5),
        ("erf", 1, 2, False, 7),
        ("tanh", 1, 2, True, 5),
        ("relu", 2, 2, False, 2),
        ("relu", 2, 2, True, 2),
        ("he3", 2, 2, False, 3),
        ("tanh", 20, 4, False, 3),
    ],
)
def test_variety_depth(name, d, n_atoms, bias, depth):
    found = variety_depth(name, d, n_atoms, bias=bias, n_points=4)
    assert found.depth == depth
    assert all(e.clear for e in found.evidence)
    assert [e.degree for e in found.evidence] == list(range(depth + 1))


@pytest.mark.parametrize(
    ("name", "d", "n_atoms", "bias"),
    [("he3", 1, 2, False), ("identity", 2, 2, True), ("he2", 3, 2, False), ("relu", 1, 3, False)],
)
def test_variety_depth_that_does_not_exist(name, d, n_atoms, bias):
    found = variety_depth(name, d, n_atoms, bias=bias, max_degree=9)
    assert found.depth is None
    assert "Not reached up to degree 9" in found.explanation


@pytest.mark.parametrize(
    ("name", "d", "n_atoms", "depth"),
    [
        ("tanh", 1, 1, 3),
        ("tanh", 1, 2, 7),
        ("tanh", 2, 2, 3),
        ("tanh", 2, 3, 5),
        ("tanh", 3, 3, 3),
        ("tanh", 3, 4, 5),
    ],
)
def test_orbit_depth_of_tanh_is_the_variety_depth(name, d, n_atoms, depth):
    found = orbit_depth(name, d, n_atoms, n_points=2, n_starts=8, n_paths=1)
    assert found.depth == found.variety.depth == depth
    assert found.evidence[-1].n_solved > 0


def test_depths_of_silu_separate():
    found = orbit_depth("silu", 1, 2, n_points=3, n_starts=2, n_paths=1)
    assert (found.variety.depth, found.depth) == (4, 6)
    orbits = {e.degree: max(e.orbits) for e in found.evidence}
    assert orbits[4] == orbits[5] > 1
    assert orbits[6] == 1


def test_orbits_found_are_other_functions_with_the_same_moments():
    activation = ACTIVATIONS["silu"]
    origin = np.array([[0.95194, -1.56454], [1.00041, 0.54368]])
    low, high = (Fibre(MomentMap(activation, 1, 2, False, D), origin) for D in (5, 6))
    other = low.solve(np.array([[0.2, 2.1], [1.3, -1.1]]))
    assert low.is_new(other, [origin])
    assert low.still_solves(other)
    assert not high.still_solves(other)


def test_curves_find_what_starts_find():
    fibre = Fibre(
        MomentMap(ACTIVATIONS["silu"], 1, 2, False, 4),
        np.array([[0.95194, -1.56454], [1.00041, 0.54368]]),
    )
    rng = np.random.default_rng(0)
    found = [fibre.origin]
    for _ in range(4):
        found += [theta for theta in fibre.trace(found[0], rng) if fibre.is_new(theta, found)]
    assert len(found) > 1


def test_curves_do_not_depend_on_what_rounding_turns(monkeypatch):
    fibre = Fibre(
        MomentMap(ACTIVATIONS["silu"], 1, 2, False, 4),
        np.array([[0.95194, -1.56454], [1.00041, 0.54368]]),
    )
    expected = fibre.trace(fibre.origin, np.random.default_rng(0))
    svd, flips = np.linalg.svd, np.random.default_rng(1)

    def turned(matrix, **options):
        """The same decomposition with other signs, as another processor may give it."""
        u, s, vt = svd(matrix, **options)
        signs = flips.choice([-1.0, 1.0], len(vt))
        return u[:, : len(s)] * signs[: len(s)], s, vt * signs[:, None]

    monkeypatch.setattr(np.linalg, "svd", turned)
    found = fibre.trace(fibre.origin, np.random.default_rng(0))
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_undecided_without_power():
    found = orbit_depth("tanh", 1, 3, n_points=1, n_starts=1, n_paths=0, seed=3)
    assert found.evidence[-1].n_solved == 0
    assert found.depth is None
    assert "undecided" in found.explanation


def test_extended_singular_values():
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(7, 4)))
    v, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    expected = np.array([1, 1e-3, 1e-6, 1e-9])
    found = _singular_values(((u * expected) @ v).astype(np.longdouble))
    np.testing.assert_allclose(found.astype(float), expected, rtol=1e-6)


NEAR = np.array([[0.9, 1.3], [1.1, 1.301]])


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no extended precision here")
@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_extended_precision_decides_what_double_leaves_open(name):
    """Two atoms at distance δ: the third-order cancellation leaves a singular value ∝ δ³."""
    moments = MomentMap(ACTIVATIONS[name], 1, 2, False, 8)
    found = generic_rank(moments, [NEAR])
    assert (found.rank, found.clear, found.extended) == (4, True, True)
    wider = generic_rank(moments, [NEAR + np.array([[0, 0], [0, 0.001]])])
    assert wider.smallest / found.smallest == pytest.approx(8, rel=0.05)


def test_an_unclear_rank_is_said_where_there_is_no_extended_precision():
    found = generic_rank(MomentMap(ACTIVATIONS["erf"], 1, 2, False, 8), [NEAR])
    assert (found.rank, found.clear, found.extended) == (3, False, False)


@pytest.mark.parametrize("name", ["identity", "he1"])
def test_affine_atoms(name):
    """At degree 0 there is no entry at all; at any degree Σ a w is all that is determined."""
    one, two = (variety_depth(name, 2, n_atoms) for n_atoms in (1, 2))
    assert one.depth == 1  # up to the scale that a and w share
    assert two.depth is None
    for found in (one, two):
        assert [e.rank for e in found.evidence[:2]] == [0, 2]


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "he3"])
def test_vanishing_tensors_have_rank_zero(name):
    """Odd activations have no T_0 without bias; its rounding is not a direction."""
    assert variety_depth(name, 1, 1).evidence[0].rank == 0


@pytest.mark.parametrize("depth", [variety_depth, orbit_depth])
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"d": 0}, ValueError, "d must be an integer of at least 1"),
        ({"n_atoms": 1.5}, TypeError, "n_atoms must be an integer"),
        ({"n_points": 0}, ValueError, "n_points must be an integer of at least 1"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0"),
        ({"max_degree": -1}, ValueError, "max_degree must be an integer of at least 0"),
    ],
)
def test_bad_arguments(depth, options, error, words):
    with pytest.raises(error, match=words):
        depth("tanh", **({"d": 1, "n_atoms": 1} | options))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_starts": -3}, ValueError, "n_starts must be an integer of at least 0"),
        ({"n_paths": "a"}, TypeError, "n_paths must be an integer"),
    ],
)
def test_bad_numbers_of_a_search(options, error, words):
    with pytest.raises(error, match=words):
        orbit_depth("tanh", 1, 1, **options)


def test_whole_numbers_may_be_floats():
    assert variety_depth("tanh", 1.0, 1.0, n_points=2.0).depth == variety_depth("tanh", 1, 1).depth


def test_power_is_stated_and_square_systems_get_more_points():
    assert not _is_square(*_shape("tanh", 3, 3))  # 13 equations, 12 parameters
    assert _is_square(*_shape("tanh", 1, 2))
    found = orbit_depth("tanh", 1, 1, n_starts=2, n_paths=0)
    assert len(found.evidence[-1].orbits) == 12
    # Twelve fibres without it have probability 5 % where 22 % of all have it.
    assert (1 - found.unseen) ** 12 == pytest.approx(0.05)
    assert "12 fibres were searched" in found.explanation
    assert "22%" in found.explanation
    three = orbit_depth("tanh", 1, 1, n_points=3, n_starts=2, n_paths=0)
    assert "3 fibres were searched: another orbit in more than 63%" in three.explanation


def _shape(name, d, n_atoms):
    moments = MomentMap(get_activation(name), d, n_atoms, False, 8)
    return moments, variety_depth(name, d, n_atoms, n_points=2, max_degree=8)
