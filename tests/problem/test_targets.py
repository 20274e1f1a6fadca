"""Targets: orthonormality, symmetry, exact moments, recorded parameters."""

from __future__ import annotations

import json
import math
import pickle
import re

import numpy as np
import pytest
from scipy import special

from meanfield.problem import (
    HermiteTarget,
    IndexTarget,
    Parity,
    Teacher,
)
from meanfield.system import memory

RNG = np.random.default_rng(0)
X4 = RNG.normal(size=(50, 4))

TARGETS = [
    Teacher.random(4, 3),
    Teacher.random(4, 3, "relu", False, n_outputs=2, weight_norm=[1.0, 2.0, 3.0]),
    HermiteTarget(4, {(0,): 1.0, "2,0,1": -2.0}),
    IndexTarget.random(4, 2, "he2"),
    IndexTarget.random(4, 1, [0.0, 1.0, 0.5]),
    Parity(4, [2, 0]),
]


def gauss(d, degree):
    """Nodes and weights that integrate polynomials under N(0, I_d) exactly."""
    z, weights = special.roots_hermitenorm(degree)
    grids = np.meshgrid(*[z] * d, indexing="ij")
    products = np.prod(np.meshgrid(*[weights / weights.sum()] * d, indexing="ij"), axis=0)
    return np.stack([grid.ravel() for grid in grids], axis=1), products.ravel()


def angles(w):
    """Angles between the lines through the rows of w, in degrees."""
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T)[np.triu_indices(len(w), 1)]
    return np.degrees(np.arccos(np.minimum(cosines, 1)))


def test_hermite_target_has_its_coefficients_as_moments():
    target = HermiteTarget(3, {(0,): 0.7, (2, 0, 1): 1.5, "0,3": -0.5})
    X, weights = gauss(3, 8)
    for index in np.ndindex(4, 4, 4):
        moment = weights @ (target(X) * HermiteTarget(3, {index: 1.0})(X))
        assert moment == pytest.approx(target.coefficients.get(index, 0.0), abs=1e-11)


def test_parity_is_the_hermite_term_of_degree_one_in_each_coordinate():
    assert np.allclose(Parity(4, [1, 3])(X4), HermiteTarget(4, {"0,1,0,1": 1.0})(X4), rtol=1e-14)
    signs = np.sign(X4)
    assert np.array_equal(Parity(4, [0, 1, 2, 3])(signs), signs.prod(axis=1))


def test_teacher_is_the_sum_of_its_atoms():
    target = Teacher([1.0, -2.0], [[1.0, 0.0], [0.5, 0.5]], [0.1, -0.2], "sigmoid")
    x = np.array([0.3, -0.4])
    expected = 1 / (1 + math.exp(-(0.3 + 0.1))) - 2 / (1 + math.exp(-(0.15 - 0.2 - 0.2)))
    assert target(x[None])[0] == pytest.approx(expected, rel=1e-15)


def test_teacher_norms_and_angles():
    target = Teacher.random(
        5, 4, min_angle=50, output_norm=[1, 2, 3, 4], weight_norm=0.5, bias_scale=0, seed=3
    )
    assert np.allclose(np.abs(target.a), [1, 2, 3, 4], rtol=1e-15)
    assert np.allclose(np.linalg.norm(target.w, axis=1), 0.5, rtol=1e-14)
    assert np.array_equal(target.b, np.zeros(4))
    # Without the constraint some of these seeds come closer than 50°: it is the option that acts.
    free = [angles(Teacher.random(5, 4, seed=seed).w).min() for seed in range(20)]
    kept = [angles(Teacher.random(5, 4, min_angle=50, seed=seed).w).min() for seed in range(20)]
    assert min(free) < 50 <= min(kept)
    vectors = Teacher.random(3, 4, n_outputs=3, output_norm=2).a
    assert np.allclose(np.linalg.norm(vectors, axis=1), 2, rtol=1e-14)


def test_index_target_sees_only_its_directions():
    for target in TARGETS[3:5]:
        u = target.directions
        assert np.abs(u @ u.T - np.eye(len(u))).max() < 1e-14
        assert np.allclose(target(X4 @ u.T @ u), target(X4), rtol=1e-12, atol=1e-13)
    z = X4 @ TARGETS[4].directions[0]
    assert np.allclose(TARGETS[4](X4), z + 0.5 * (z**2 - 1) / math.sqrt(2), rtol=1e-12, atol=1e-13)
    z = X4 @ TARGETS[3].directions.T
    assert np.allclose(TARGETS[3](X4), (z**2 - 1).sum(axis=1), rtol=1e-12, atol=1e-13)


def test_index_target_keeps_its_norm_under_rotation():
    target = IndexTarget.random(3, 2, {"1,1": 2.0, "0,3": 1.0}, seed=5)
    X, weights = gauss(3, 6)
    assert weights @ target(X) ** 2 == pytest.approx(5.0, rel=1e-12)


def test_directions_are_uniform():
    # E[u_1²] = 1/d and E[u_1] = 0 over seeds; standard errors 0.01 and 0.03.
    firsts = np.array([IndexTarget.random(4, 2, "tanh", seed=s).directions for s in range(400)])
    assert np.abs((firsts**2).mean(axis=0) - 0.25).max() < 0.06
    assert np.abs(firsts.mean(axis=0)).max() < 0.12


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: type(t).__name__)
def test_every_target_is_a_recorded_value(target):
    values = target(X4)
    assert values.shape == ((50, 2) if target is TARGETS[1] else (50,))
    assert json.loads(json.dumps(target.info)) == target.info
    again = pickle.loads(pickle.dumps(target))
    assert again == target
    assert hash(again) == hash(target)
    assert np.array_equal(again(X4), values)
    assert sum(target == other for other in TARGETS) == 1
    with pytest.raises(AttributeError):
        target.activation = None
    with pytest.raises(ValueError, match=re.escape("X must have 4 columns, got shape (1, 2)")):
        target(np.zeros((1, 2)))


def test_seed_decides_the_draw():
    assert Teacher.random(4, 3, seed=7) == Teacher.random(4, 3, seed=7)
    assert Teacher.random(4, 3, seed=7) != Teacher.random(4, 3, seed=8)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
        Teacher.random(4, 3, seed=-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Teacher([1], [[1], [2]]), "a must have one row per row of w, got (1,) and (2, 1)"),
        (lambda: Teacher([1, 2], [[1], [2]], [0]), "b must have shape (2,)"),
        (lambda: Teacher.random(2, 3, min_angle=80), "room for 2 of 3 directions in 2 dimensions"),
        (lambda: Teacher.random(1, 2, min_angle=1), "lower min_angle"),
        (lambda: Teacher.random(2, 2, min_angle=91), "0 to 90 degrees"),
        (lambda: Teacher.random(2, 2, weight_norm=[1, 2, 3]), "weight_norm must be one number"),
        (lambda: Teacher.random(2, 2, output_norm=0), "output_norm must be positive, got 0"),
        (lambda: Teacher.random(2, 0), "n_atoms must be an integer of at least 1, got 0"),
        (lambda: HermiteTarget(2, {}), "coefficients must map multi-indices to numbers"),
        (lambda: HermiteTarget(2, {"1,0": 1.0, "1": 2.0}), "multi-index (1, 0) twice"),
        (lambda: HermiteTarget(2, {"1,2,3": 1.0}), "1 to 2 degrees, none negative"),
        (lambda: HermiteTarget(2, {(-1,): 1.0}), "none negative"),
        (lambda: HermiteTarget(2, {(): 1.0}), "none negative"),
        (lambda: HermiteTarget(2, {"0,100001": 1.0}), "need degrees of at most 100000, got '0,1"),
        (lambda: IndexTarget.random(2, 1, link={"1000000": 1.0}), "need degrees of at most 100000"),
        (lambda: HermiteTarget(2, {"x": 1.0}), "got 'x'"),
        (lambda: HermiteTarget(2, {(1.5,): 1.0}), "got (1.5,)"),
        (lambda: HermiteTarget(2, {"1": np.nan}), "coefficients['1'] must be finite, got nan"),
        (lambda: Parity(3, [0, 3]), "distinct numbers from 0 to 2, got [0, 3]"),
        (lambda: Parity(3, [1, 1]), "distinct numbers"),
        (lambda: Parity(3, []), "distinct numbers"),
        (lambda: IndexTarget([[1, 1]], "tanh"), "orthonormal rows; pass np.linalg.qr"),
        (lambda: IndexTarget.random(2, 3, "tanh"), "at most n_features = 2, got 3"),
        (lambda: IndexTarget.random(3, 2, [0, 1]), "for several give multi-indices"),
        (lambda: IndexTarget.random(3, 2, HermiteTarget(3, {"1": 1.0})), "takes 3 projections"),
        (lambda: IndexTarget.random(3, 2, "tnah"), "Did you mean 'tanh'"),
    ],
)  # fmt: skip
def test_impossible_targets_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_degrees_and_rows_that_do_not_fit_into_memory_are_named(monkeypatch):
    target, X = HermiteTarget(2, {"0,1000": 1.0}), np.ones((400, 2))
    assert np.isfinite(target(X)).all()
    monkeypatch.setattr(memory, "available", lambda: 8 * 1001 * 400)
    with pytest.raises(MemoryError, match="give fewer rows, or lower degrees than 1000"):
        target(X)
