"""Agreement of dictionaries, and the methods that extraction is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.dictionary import compare_dictionaries, extract_dictionary
from meanfield.dictionary.agreement import largest_angle
from meanfield.dictionary.baselines import frank_wolfe_atoms, hdbscan_atoms, kmeans_atoms
from meanfield.identify import canonical, equivalent
from tests.dictionary.dictionary_cases import cloud, problem_of, teacher


def test_dictionaries_of_one_teacher_agree():
    target = teacher("tanh", 4, 3, seed=0, angle=35)
    problems = [problem_of(target, noise=0.05, seed=s) for s in range(3)]
    found = compare_dictionaries(
        [extract_dictionary(cloud(target, seed=s), p) for s, p in enumerate(problems)]
    )
    assert found.modal == 3
    assert found.modal_share == 1.0
    np.testing.assert_array_equal(found.present, 1.0)
    assert 0 < np.nanmax(found.angle) < 5
    assert np.nanmax(found.coefficient) < 0.5
    assert "100% of 3 dictionaries have 3 atoms" in str(found)


def test_a_missing_atom_lowers_presence():
    target = teacher("relu", 4, 3, seed=0, angle=35)
    problem = problem_of(target)
    whole = extract_dictionary(cloud(target), problem)
    part = extract_dictionary(cloud(target, without=[1]), problem)
    found = compare_dictionaries([whole, part])
    assert (found.modal, found.reference, found.modal_share) == (3, 0, 0.5)
    assert sorted(found.present) == [0.5, 1.0, 1.0]
    assert found.match[0].tolist() == [0, 1, 2]
    assert sorted(found.match[1]) == [-1, 0, 1]
    np.testing.assert_array_equal(found.match < 0, np.isnan(found.sign))
    np.testing.assert_array_equal(found.match < 0, np.isnan(found.angle))


def test_flipped_atoms_are_the_same():
    target = teacher("tanh", 3, 2, seed=1, angle=35)
    problem, (a, w, _) = problem_of(target), cloud(target)
    found = compare_dictionaries([extract_dictionary(p, problem) for p in ((a, w), (-a, -w))])
    assert np.nanmax(found.angle) < 1e-4
    assert np.nanmax(found.coefficient) < 1e-6


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="empty"):
        compare_dictionaries([])


def test_largest_angle():
    true = np.array([[1.0, 0.0], [0.0, 2.0]])
    turned = np.array([[np.cos(0.1), np.sin(0.1)], [0.0, -1.0]])
    assert largest_angle(true, turned) == pytest.approx(np.degrees(0.1))
    assert largest_angle(true, np.zeros((0, 2))) == 90.0
    tiny = np.array([[1.0, 1e-10], [0.0, 1.0]])
    assert largest_angle(true, tiny) == pytest.approx(np.degrees(1e-10))


@pytest.mark.parametrize("name", ["tanh", "relu", "silu"])
def test_frank_wolfe_fits_a_noiseless_teacher(name):
    target = teacher(name, 3, 2, seed=0, bias=True, angle=40)
    found = frank_wolfe_atoms(problem_of(target))
    truth = canonical((target.a, target.w, target.b), name, normalisation="sum")
    assert equivalent(found, truth, name, tolerance=1e-4).same_function
    assert 2 <= found.n_atoms <= 4


def test_clustering_finds_tight_clusters():
    target = teacher("tanh", 2, 3, seed=3, angle=50)
    problem = problem_of(target)
    a, w, _ = cloud(target, jitter=0.01, inactive=0, per_atom=40)
    a = np.sign(a) * np.abs(target.a).mean() * 3  # one coefficient per atom: round clusters
    for found in (kmeans_atoms((a, w), problem), hdbscan_atoms((a, w), problem)):
        assert found.n_atoms == 3
        cosine = found.w @ target.w.T
        cosine /= np.outer(np.linalg.norm(found.w, axis=1), np.linalg.norm(target.w, axis=1))
        assert np.abs(cosine).max(axis=0).min() > np.cos(np.radians(2))
        assert found.mass.sum() == pytest.approx(1.0)
