"""Extraction: exact recovery, invariances, and what must not be claimed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import meanfield as mf
from meanfield.dictionary import dual_certificate, extract_dictionary
from meanfield.identify import Atoms, canonical, equivalent
from meanfield.problem import ACTIVATIONS, Problem, get_activation
from meanfield.problem.targets import Teacher
from tests.dictionary.dictionary_cases import cloud, has_remainder, problem_of, teacher, worst_angle
from tests.identify.identify_cases import moved

NAMES = [name for name in ACTIVATIONS if ACTIVATIONS[name].degree is None]
POLYNOMIALS = [name for name in ACTIVATIONS if (ACTIVATIONS[name].degree or 0) > 1]


@pytest.mark.parametrize("name", NAMES)
def test_recovers_the_teacher(name):
    target = teacher(name, 3, 3, seed=4, angle=35)
    found = extract_dictionary(cloud(target), problem_of(target))
    assert found.n_atoms == 3
    assert worst_angle(target, found) < 0.01
    assert found.confident, found.statement
    assert not found.certificate.missing
    truth = canonical((target.a, target.w, target.b), name, normalisation="sum")
    assert equivalent(found, truth, name, tolerance=1e-4)  # a dictionary is its atoms
    assert found.residual[list(found.sizes).index(3)] < 1e-6
    np.testing.assert_allclose(found.share, 1, atol=0.2)
    assert found.mass.sum() == pytest.approx(60 / 90, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_with_biases_is_recovered_and_symmetry_moves_change_nothing(name):
    target = teacher(name, 3, 2, seed=6, bias=True, angle=35)
    problem, arrays = problem_of(target), cloud(target)
    one = extract_dictionary(arrays, problem)
    assert worst_angle(target, one) < 0.01
    assert one.confident, one.statement
    truth = canonical((target.a, target.w, target.b), name, normalisation="sum")
    assert equivalent(one, truth, name, tolerance=1e-4)
    two = extract_dictionary(moved(arrays, get_activation(name), 3), problem)
    assert one.n_atoms == two.n_atoms == 2
    assert equivalent(one.function, two.function, name, tolerance=1e-5)
    np.testing.assert_allclose(two.share, one.share, atol=1e-4)
    # Halves of the weakest active particles count as inactive, so mass is not quite the same.
    np.testing.assert_allclose(two.mass, one.mass, atol=0.03)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomial_activations_keep_the_function(name):
    target = teacher(name, 3, 2, seed=2, angle=40)
    problem, arrays = problem_of(target), cloud(target, jitter=0.02)
    for particles in (arrays, moved(arrays, get_activation(name), 3)):
        found = extract_dictionary(particles, problem)
        assert found.n_atoms == 2
        error = found.predict(problem.X) - problem.y
        assert np.abs(error).max() < 1e-5 * np.abs(problem.y).max()


# Not silu in two dimensions: four atoms cannot be told from three in this noise.
NOISY = [("tanh", 5, 8, 600), ("silu", 5, 8, 1500), ("relu", 20, 4, 600)]
NOISY += [(name, 2, 4, 600) for name in ("tanh", "erf", "relu")]


@pytest.mark.parametrize(("name", "d", "n_atoms", "n"), NOISY)
def test_recovery_with_label_noise(name, d, n_atoms, n):
    target = teacher(name, d, n_atoms, seed=1, angle=30)
    problem = problem_of(target, n=n, noise=0.05)
    found = extract_dictionary(cloud(target), problem)
    assert found.n_atoms == n_atoms
    assert worst_angle(target, found) < 6
    assert (
        0.8
        < np.sqrt(np.mean((found.predict(problem.X) - problem.y) ** 2))
        / (0.05 * problem.y.std() / np.sqrt(1.0025))
        < 1.1
    )


def test_several_outputs():
    target = teacher("tanh", 4, 3, seed=0, bias=True, outputs=3)
    found = extract_dictionary(cloud(target), problem_of(target))
    assert found.n_atoms == 3
    assert found.coefficients.shape == (3, 3)
    assert worst_angle(target, found) < 0.01


def test_trained_network():
    target = teacher("tanh", 3, 2, seed=3, angle=40)
    problem = problem_of(target, n=300, l2=1e-3, temperature=1e-5)
    run = mf.simulate(problem, n_particles=150, step_size=0.5, n_steps=1500, seed=1)
    found = extract_dictionary(run.particles, problem)
    assert found.n_atoms == 2
    assert found.confident, found.statement
    assert worst_angle(target, found) < 0.01
    assert found.compression_gap < 0.1


def test_classification_by_the_network():
    target = teacher("tanh", 3, 2, seed=5, angle=40)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 3))
    y = np.where(rng.random(1500) < 1 / (1 + np.exp(-4 * target(X))), 1.0, -1.0)
    problem = Problem(X, y, "tanh", loss="logistic", bias=False)
    a, w, _ = cloud(target, jitter=0.03)
    found = extract_dictionary((4 * a, w), problem, target="network")
    assert found.n_atoms == 2
    assert worst_angle(target, found) < 5


def test_plain_sums_and_replicas():
    target = teacher("relu", 3, 3, seed=4, angle=35)
    problem, (a, w, _) = problem_of(target), cloud(target)
    mean = extract_dictionary((a, w), problem)
    plain = extract_dictionary((a / len(a), w), problem, normalisation="sum")
    pooled = SimpleNamespace(a=np.stack([a, a]), w=np.stack([w, w]), b=None)
    for other in (plain, extract_dictionary(pooled, problem)):
        assert equivalent(mean.function, other.function, "relu", tolerance=1e-6)


@pytest.mark.parametrize(
    ("name", "gone"), [("tanh", 0), ("tanh", 1), ("tanh", 2), ("erf", 1), ("relu", 2), ("silu", 0)]
)
def test_certificate_finds_an_atom_whose_particles_are_gone(name, gone):
    target = teacher(name, 5, 3, seed=7, angle=35)
    problem = problem_of(target, noise=0.05)
    found = extract_dictionary(cloud(target, without=[gone], jitter=0.02), problem)
    assert found.n_atoms == 2
    assert not found.confident
    assert found.certificate.missing


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "silu", "gelu", "sigmoid"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_certificate_finds_an_atom_that_is_taken_out(name, noise):
    target = teacher(name, 6, 4, seed=round(10 * noise), angle=25)
    problem = problem_of(target, noise=noise)
    whole = (target.a, target.w)
    part = (target.a[1:], target.w[1:])
    complete = dual_certificate(canonical(whole, name, normalisation="sum"), problem)
    lacking = dual_certificate(canonical(part, name, normalisation="sum"), problem)
    assert not complete.missing
    assert lacking.missing
    assert lacking.minimum < 2 * complete.minimum
    if not has_remainder(name):
        found, gone = lacking.minimiser, target.w[0]
        cosine = abs(found @ gone) / np.linalg.norm(found) / np.linalg.norm(gone)
        assert cosine > np.cos(np.radians(12))


def test_potential_and_gradient_vanish_at_refit_atoms():
    target = teacher("tanh", 4, 3, seed=2)
    found = extract_dictionary(cloud(target), problem_of(target, noise=0.1)).certificate
    assert np.abs(found.potential).max() < 0.02 * abs(found.minimum)
    assert found.gradient.max() < 1e-2


@pytest.mark.parametrize("name", ["tanh", "relu"])
@pytest.mark.parametrize("d", [2, 6])
@pytest.mark.parametrize("labels", ["teacher", "own", "noise"])
def test_particles_without_structure_yield_no_confident_size(name, d, labels):
    rng = np.random.default_rng(d)
    X, w, a = rng.standard_normal((250, d)), rng.standard_normal((80, d)), rng.standard_normal(80)
    target = teacher(name, d, 3, seed=0, angle=40)
    own = ACTIVATIONS[name].value(X @ w.T) @ a / 80
    y = {"teacher": target(X), "own": own, "noise": rng.standard_normal(250)}[labels]
    assert not extract_dictionary((a, w), Problem(X, y, name, bias=False)).confident


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["tanh", "silu", "sigmoid"])
def test_particles_without_structure_in_one_dimension(name, bias):
    """Features are nearly parallel there, so that any particle is near an atom."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((300, 1)), np.sign(rng.standard_normal(300))
        a, w, b = rng.standard_normal(200), rng.standard_normal((200, 1)), rng.standard_normal(200)
        problem = Problem(X, y, name, bias=bias, loss="logistic")
        found = extract_dictionary((a, w, b) if bias else (a, w), problem)
        assert not found.confident, found.statement


@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_crowds_in_one_dimension_are_believed(name):
    target = Teacher(np.array([1.0, -1.5]), np.array([[0.7], [2.2]]), np.array([0.5, -1.0]), name)
    problem = problem_of(target)
    found = extract_dictionary(cloud(target), problem)
    assert found.n_atoms == 2
    assert found.confident, found.statement


@pytest.mark.parametrize("name", ["tanh", "erf", "relu"])
@pytest.mark.parametrize("d", [2, 3])
def test_random_features_are_no_atoms(name, d):
    """Output weights fitted to random features are largest near the atoms of the target."""
    rng = np.random.default_rng(d + 48)
    X, v, w = (rng.standard_normal(shape) for shape in ((300, d), (2, d), (150, d)))
    value = ACTIVATIONS[name].value
    y, features = value(X @ v.T) @ [1.0, -1.0], value(X @ w.T)
    a = np.linalg.solve(features.T @ features + 3 * np.eye(150), features.T @ y)
    found = extract_dictionary((a, w), Problem(X, y, name, bias=False), normalisation="sum")
    assert not found.confident, found.statement


@pytest.mark.parametrize(("name", "d", "step_size"), [("relu", 5, 0.2), ("tanh", 10, 0.5)])
def test_trained_networks_are_believed(name, d, step_size):
    """Particles on their way to the one atom, most of them still far from it."""
    target = teacher(name, d, 1, seed=3)
    problem = problem_of(target, l2=1e-3, temperature=1e-5)
    run = mf.simulate(
        problem,
        n_particles=200,
        step_size=step_size,
        n_steps=1500,
        temperature=mf.schedule.Geometric(1e-3, 1e-5),
    )
    found = extract_dictionary(run.particles, problem)
    assert found.n_atoms == 1
    assert found.confident, found.statement


def test_a_network_that_lacks_an_atom_is_counted_as_it_is():
    """Particles of one of the two atoms only, and a network refit to itself."""
    target = teacher("tanh", 3, 2, seed=1, bias=True, angle=35)
    particles = cloud(target, without=(1,))
    found = extract_dictionary(particles, problem_of(target), target="network")
    assert found.n_atoms == 1
    assert found.certificate.missing
    assert "S counts the atoms that the network has" in found.statement


def test_labels_need_a_loss_that_is_a_likelihood():
    target = teacher("tanh", 3, 1, seed=0)
    X = np.random.default_rng(0).standard_normal((100, 3))
    problem = Problem(X, np.sign(target(X)), "tanh", bias=False, loss="huber(1)")
    with pytest.raises(ValueError, match="use target='network'"):
        extract_dictionary(cloud(target)[:2], problem, target="labels")


def test_no_active_particles():
    target = teacher("tanh", 3, 2, seed=0)
    found = extract_dictionary((np.zeros(5), np.ones((5, 3))), problem_of(target))
    assert (found.n_atoms, found.inactive_mass) == (0, 1.0)
    assert not found.confident
    assert "no particle is active" in found.statement
    assert found.certificate.missing
    np.testing.assert_array_equal(found.predict(np.ones((2, 3))), 0)


def test_one_particle_duplicates_and_zero_weights():
    target = teacher("tanh", 3, 1, seed=0, bias=True)
    problem = problem_of(target)
    one = (target.a, target.w, target.b)
    assert extract_dictionary(one, problem).n_atoms == 1
    several = tuple(np.concatenate([part] * 4) for part in one)
    zero = (np.ones(2), np.zeros((2, 3)), np.zeros(2))
    a, w, b = (np.concatenate(parts) for parts in zip(several, zero, strict=True))
    found = extract_dictionary((6 / 4 * a, w, b), problem)
    assert found.n_atoms == 1
    assert found.mass.sum() == pytest.approx(4 / 6)
    assert found.confident, found.statement


def test_constant_particles_are_the_affine_part():
    target = teacher("tanh", 3, 2, seed=1, bias=True, angle=35)
    problem = problem_of(target)
    shifted = Problem(problem.X, problem.y + 2.0, "tanh", bias=True)
    a, w, b = cloud(target)
    level = (np.array([20.0 * len(a)]) / 10, np.zeros((1, 3)), np.array([40.0]))
    particles = [np.concatenate(p) for p in zip((a, w, b), level, strict=True)]
    found = extract_dictionary(tuple(particles), shifted)
    assert found.n_atoms == 2
    assert found.function.constant == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize(
    ("particles", "options", "words"),
    [
        ((np.array([np.nan]), np.ones((1, 3))), {}, "NaN"),
        ((np.ones(2), np.ones((2, 4))), {}, "4 inputs"),
        ((np.ones((2, 2)), np.ones((2, 3))), {}, "2 outputs"),
        ((np.ones(2), np.ones((2, 3)), np.ones(2)), {}, "bias=False"),
        ((np.ones(2), np.ones((2, 3))), {"target": "label"}, "Did you mean 'labels'"),
        ((np.ones(2), np.ones((2, 3))), {"max_atoms": 0}, "max_atoms"),
    ],
)
def test_bad_input_is_refused_in_words(particles, options, words):
    with pytest.raises(ValueError, match=words):
        extract_dictionary(particles, problem_of(teacher("tanh", 3, 2, seed=0)), **options)


def test_affine_activation_is_refused():
    problem = Problem(np.eye(3), np.ones(3), "identity", bias=False)
    with pytest.raises(ValueError, match="no atoms"):
        extract_dictionary((np.ones(2), np.ones((2, 3))), problem)


@pytest.mark.parametrize("penalised", [False, True])
def test_constant_labels_lack_no_atom(penalised):
    # What a network leaves of them is rounding, in which any feature may seem to explain much.
    X = np.random.default_rng(0).standard_normal((60, 2))
    problem = Problem(X, np.full(60, 2.0), "tanh", l2=1e-3, temperature=1e-3)
    w = np.random.default_rng(1).standard_normal((5, 2))
    rounding, none = np.full(5, 1e-15), np.zeros(5)
    network = Atoms(get_activation("tanh"), rounding, w, none, 2.0, np.zeros(2), none)
    found = dual_certificate(network, problem, penalised=penalised)
    assert not found.missing
    assert str(found) == "No atom is missing: the labels are constant."


def test_a_network_without_crowds_has_no_number_of_atoms_but_a_set():
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((200, 20)), rng.standard_normal((80, 20))
    a = 20 * rng.standard_normal(80)
    # Predictions near ±1, which atoms of any length would fit best.
    problem = Problem(X, np.sign(np.tanh(X @ w.T) @ a), "tanh", l2=1e-3)
    found = extract_dictionary((a, w, np.zeros(80)), problem)
    assert not found.confident
    assert "do not crowd" in found.statement
    assert found.n_atoms_set == tuple(range(found.n_atoms_set[0], found.n_atoms_set[-1] + 1))
    assert found.n_atoms_set[0] <= found.n_atoms
    # Neurons apart by far more than crowds are: nearly as many as carry nine tenths.
    assert 33 < found.n_atoms_set[-1] <= 80
    assert np.linalg.norm(found.atoms, axis=1).max() <= 1.5 * np.linalg.norm(w, axis=1).max() * 1.01


def test_a_crowd_below_the_noise_is_not_confidently_left_out():
    target = teacher("tanh", 3, 3, seed=4, angle=35)
    weak = Teacher(target.a * [1, 1, 0.08], target.w, None, "tanh")
    found = extract_dictionary(cloud(weak), problem_of(weak, n=150, noise=0.3))
    assert found.n_atoms == 2
    assert not found.confident
    assert "crowds where there is no atom, and labels do not exclude one" in found.statement
    assert 3 in found.n_atoms_set


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("excluded", [True, False])
def test_a_crowd_counts_unless_labels_exclude_an_atom_there(loss, excluded):
    """Neurons may be on their way: where labels are enough, their crowd is no atom."""
    target = teacher("tanh", 3, 3, seed=4, angle=35)
    few = Teacher(target.a[:2], target.w[:2], None, "tanh")
    part, size = 0.2 if excluded and loss == "logistic" else 0.08, 1.0
    with_crowd = Teacher(target.a * [1, 1, part], target.w, None, "tanh")
    if loss == "squared":
        problem = problem_of(few, n=300, noise=0.02 if excluded else 0.4)
    else:
        rng, size = np.random.default_rng(1), 10.0
        X = rng.standard_normal((2000 if excluded else 1000, 3))
        y = np.where(rng.random(len(X)) < 1 / (1 + np.exp(-size * few(X))), 1, -1)
        problem = Problem(X, y, "tanh", bias=False, loss="logistic")
    a, w, _ = cloud(with_crowd, per_atom=10, inactive=5)
    found = extract_dictionary((size * a, w), problem)
    assert found.target == "labels"
    assert found.n_atoms == 2
    assert found.confident == excluded, found.statement
    assert found.n_atoms_set == ((2,) if excluded else (2, 3))


def test_neurons_that_turned_from_all_data_are_no_structure():
    """On a line half of all relu neurons are affine: those that bend lie no nearer for that."""
    rng = np.random.default_rng(0)
    X, w, b = (rng.standard_normal(shape) for shape in ((150, 1), 60, 60))
    y = np.maximum(X[:, 0] - 0.5, 0) - np.maximum(-X[:, 0] - 0.7, 0)
    features = np.maximum(X * w + b, 0)
    gram = features.T @ features + 15 * np.eye(60)
    a = 60 * np.linalg.solve(gram, features.T @ y)
    problem = Problem(X, y + 0.1 * rng.standard_normal(150), "relu", l2=1e-3)
    found = extract_dictionary((a, w[:, None], b), problem)
    assert found.null_spread < 2 * found.spread
    assert not found.confident, found.statement


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_few_labels_miss_no_atom_by_chance(name):
    """Sixty labels without noise in ten dimensions, and a network that shrinks its atoms."""
    target = teacher(name, 10, 3, seed=0, angle=40)
    problem = problem_of(target, n=60, l2=1e-3)
    whole = (0.97 * target.a, target.w + 0.02)
    lacking = (target.a[1:], target.w[1:])
    found = dual_certificate(canonical(whole, name, normalisation="sum"), problem)
    assert found.gain > found.threshold
    assert found.by_chance
    assert not found.missing
    assert "so few labels are noise" in str(found)
    # Five hundred labels tell an atom that is left out; so few cannot.
    many = problem_of(target, n=500)
    assert dual_certificate(canonical(lacking, name, normalisation="sum"), many).missing


def test_certificates_of_objective_and_labels_speak_of_themselves():
    """Dictionary and labels may each be right: a penalty keeps an atom out that labels call for."""
    target = teacher("tanh", 3, 2, seed=1, angle=40)
    problem = problem_of(target, noise=0.02, l2=0.05)
    part = (target.a[:1], target.w[:1])
    atoms = canonical(part, "tanh", normalisation="sum")
    by_labels = str(dual_certificate(atoms, problem))
    assert by_labels.startswith("The labels call for another atom near")
    by_network = str(dual_certificate(atoms, problem, penalised=True))
    assert by_network.startswith("By its own objective the network lacks")


@pytest.mark.parametrize("d", [2, 12])
def test_an_atom_of_the_size_that_is_called_detectable_is_found(d):
    for seed, name in enumerate(["tanh", "relu", "silu", "erf"]):
        target = teacher(name, d, 2, seed=seed, angle=30)
        kept = (target.a[:1], target.w[:1])
        atoms = canonical(kept, name, normalisation="sum")
        base = Teacher(*kept, None, name)
        problem = problem_of(base, noise=0.1, seed=seed)
        complete = dual_certificate(atoms, problem)
        assert not complete.missing
        assert "is found in 97 of 100 cases" in str(complete)
        feature = Teacher(np.ones(1), target.w[1:], None, name)(problem.X)
        # What is linear costs no atom, and is no part of one.
        own = feature
        if has_remainder(name):
            own = feature - problem.X @ np.linalg.lstsq(problem.X, feature, rcond=None)[0]
        size = complete.detectable * problem.y.std() / np.sqrt((own**2).mean())
        lacking = problem.replace(y=problem.y + size * feature)
        assert dual_certificate(atoms, lacking).missing
        half = problem.replace(y=problem.y + 0.2 * size * feature)
        assert not dual_certificate(atoms, half).missing
