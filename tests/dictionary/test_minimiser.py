"""The network at rest: the minimiser of the training objective, its gap, its number of atoms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.dictionary import extract_dictionary, sparse_minimiser
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.settle import settle
from meanfield.dictionary.uncertainty import intervals_at_rest
from meanfield.problem import Problem
from tests.dictionary.dictionary_cases import problem_of, teacher


def noisy_classes(n=150, d=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.where(X[:, 0] * X[:, 1] + 0.5 * X[:, 2] + 0.5 * rng.standard_normal(n) > 0, 1, -1)
    return Problem(X, y, "tanh", loss="logistic", **{"l2": 0.01, **options})


def test_one_relu_is_the_closed_form():
    """``J = ½ E[(c − 1)² x₊²] + λ|c|`` is least at ``c = 1 − λ/q``, ``q = E[x₊²]``."""
    x = np.random.default_rng(0).standard_normal(80)
    problem = Problem(x[:, None], np.maximum(x, 0), "relu", bias=False, l2=0.05)
    found = sparse_minimiser(problem)
    q = (np.maximum(x, 0) ** 2).mean()
    assert (found.n_atoms, found.n_atoms_set, found.reached) == (1, (1,), True)
    assert found.objective == pytest.approx(0.05 - 0.05**2 / (2 * q), rel=1e-6)
    assert found.atoms.coefficients == pytest.approx([1 - 0.05 / q], rel=1e-4)


def test_under_a_large_penalty_nothing_is_left():
    problem = noisy_classes(l2=1.0)
    found = sparse_minimiser(problem)
    assert (found.n_atoms, found.n_atoms_set, found.reached) == (0, (0,), True)
    assert found.objective == found.at_zero == pytest.approx(np.log(2))
    some = (np.ones(2), np.eye(3)[:2], np.zeros(2))
    assert extract_dictionary(some, problem, target="rest").n_atoms == 0


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
def test_no_place_of_a_grid_has_a_lower_potential(activation):
    """In two dimensions the certificate can be searched by hand, and particles cannot do better."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 2))
    y = np.tanh(2 * X[:, 0]) - np.tanh(X[:, 0] + 2 * X[:, 1]) + 0.2 * rng.standard_normal(60)
    problem = Problem(X, y, activation, bias=False, l2=0.02, temperature=0.0)
    found = sparse_minimiser(problem)
    assert found.reached
    f = found.atoms.predict(X)[:, None]
    potential = PenalisedPotential.of(problem, f - problem.targets)
    side = np.linspace(-6, 6, 241)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    if activation == "relu":
        grid = grid / np.linalg.norm(grid, axis=1).clip(1e-9)[:, None]
    learned = found.at_zero - found.objective
    at_atoms = potential.at_atoms(found.atoms.w)[0]
    assert potential(grid).min() > at_atoms.min() - 2e-4 * learned
    run = mf.simulate(problem, 200, step_size=0.5, n_steps=3000, seed=0)
    trained = float(run.regularised_risk[0, -1])
    assert found.objective - 1e-5 * learned < trained < found.objective + 0.02 * learned


def three_classes():
    problem = noisy_classes()
    y = (problem.X[:, 0] > 0.3).astype(int) + (np.asarray(problem.y).ravel() > 0)
    return Problem(problem.X, y, "tanh", loss="cross-entropy", l2=0.02)


@pytest.mark.parametrize("problem", [noisy_classes(), three_classes()], ids=["two", "three"])
def test_the_number_does_not_depend_on_where_the_search_starts(problem):
    rng, k = np.random.default_rng(5), problem.n_outputs
    a = rng.standard_normal((40, k)) if problem.vector_output else rng.standard_normal(40)
    start = (a, rng.standard_normal((40, 3)), rng.standard_normal(40))
    found = [
        sparse_minimiser(problem),
        sparse_minimiser(problem, seed=1),
        sparse_minimiser(problem, start=start, seed=2),
    ]
    learned = found[0].at_zero - found[0].objective
    for other in found[1:]:
        assert other.n_atoms == found[0].n_atoms > 1
        assert other.objective == pytest.approx(found[0].objective, abs=1e-5 * learned)
        np.testing.assert_allclose(np.sort(other.share), np.sort(found[0].share), atol=0.01)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
def test_where_the_potential_falls_without_end_searches_end_alike(activation):
    """Lengths are then not bounded by the mass, and a far place must not hide the others."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 2))
    y = np.abs(X[:, 0]) - np.tanh(2 * X[:, 1]) + 0.2 * rng.standard_normal(30)
    problem = Problem(X, y, activation, loss=mf.problem.huber(), l2=0.1)
    one, other = (sparse_minimiser(problem, seed=seed) for seed in (0, 1))
    assert one.reached
    assert other.reached
    learned = one.at_zero - one.objective
    assert learned > 0.1 * one.at_zero
    assert one.objective == pytest.approx(other.objective, abs=1e-5 * learned)
    assert {*one.n_atoms_set} & {*other.n_atoms_set}


def test_the_gap_bounds_a_potential_without_a_least_value():
    """The network that is zero, under relu: what it lacks is known in closed form."""
    x = np.random.default_rng(0).standard_normal(80)
    y = np.maximum(x, 0)[:, None]
    problem = Problem(x[:, None], y[:, 0], "relu", bias=False, l2=0.05)
    q = float((y**2).mean())
    least = PenalisedPotential.of(problem, -y).least_mean(np.eye(1), q / 2)
    assert least == pytest.approx(-(q / 0.05 - 1) * q / 2)
    assert -least > (q - 0.05) ** 2 / (2 * q)


def test_under_a_penalty_next_to_none_the_number_is_not_relied_on():
    rng = np.random.default_rng(0)
    problem = Problem(rng.standard_normal((10, 20)), rng.standard_normal(10), "gelu", l2=1e-6)
    assert not sparse_minimiser(problem).reached


def test_an_atom_without_mass_can_gain_some():
    """A softmax of masses left it where it was: the objective is then not the least."""
    target = teacher("tanh", 2, 2, seed=0, angle=60)
    problem = problem_of(target, n=80, l2=1e-3)
    columns = target.a[:, None] * [[1.0], [1e-6]]
    assert settle(problem, target.w, columns).mass.min() > 0.05


@pytest.mark.parametrize("seed", range(2))
def test_a_teacher_without_noise_is_found_again(seed):
    target = teacher("tanh", 4, 3, seed=seed, angle=40)
    found = sparse_minimiser(problem_of(target, n=400, l2=1e-4))
    assert found.reached
    largest = found.atoms.w[np.argsort(-found.share)[:3]]
    assert mf.dictionary.agreement.largest_angle(target.w, largest) < 3
    assert found.share[np.argsort(-found.share)[:3]].sum() > 0.9


def test_all_networks_of_a_problem_have_the_same_number_at_rest():
    problem = noisy_classes(l2=0.02, temperature=1e-5)
    found = []
    for seed, last in ((0, 1e-5), (1, 5e-6)):
        cooling = mf.schedule.Geometric(1e-2, last)
        run = mf.simulate(problem, 128, 1.0, 1500, temperature=cooling, seed=seed)
        found.append(extract_dictionary(run.particles, problem, target="rest"))
    one, other = found
    assert one.n_atoms == other.n_atoms == len(one.atoms)
    assert one.n_atoms_set == other.n_atoms_set
    assert one.confident == other.confident == (len(one.n_atoms_set) == 1)
    assert one.target == "rest"
    assert "duality gap" in one.statement
    assert one.network_gap < 0.1
    assert not one.certificate.missing
    assert (np.diff(one.residual) <= 1e-9).all()
    assert one.residual[-1] < 1e-6
    assert one.mass.sum() + one.inactive_mass == pytest.approx(1)


def test_a_network_far_from_rest_does_not_speak_for_it():
    problem = noisy_classes(l2=0.02)
    run = mf.simulate(problem, 64, 0.1, 10)
    found = extract_dictionary(run.particles, problem, target="rest")
    assert not found.confident
    assert "run.n_steps" in found.statement


def test_labels_that_do_not_decide_name_the_target_that_does():
    problem = noisy_classes(l2=0.02, temperature=1e-5)
    run = mf.simulate(problem, 64, 1.0, 500)
    found = extract_dictionary(run.particles, problem)
    assert not found.confident
    assert "atoms.target" in found.statement
    unpenalised = problem.replace(l2=(0.02, 0.0))
    assert "atoms.target" not in extract_dictionary(run.particles, unpenalised).statement


def test_what_cannot_rest_is_refused():
    with pytest.raises(ValueError, match="needs a penalty on all weights: set l2 > 0"):
        sparse_minimiser(noisy_classes(l2=0.0))
    for activation, named in (("identity", "are affine"), ("he2", "of bounded slope")):
        with pytest.raises(ValueError, match=named):
            sparse_minimiser(noisy_classes().replace(activation=activation))
    X, y = np.eye(3), np.arange(3.0)
    bowl = mf.Loss.from_function(lambda f, y: 1 - math.exp(-((f - y) ** 2)), name="bowl")
    for loss, named in ((mf.problem.quantile(), "straight pieces"), (bowl, "a convex loss")):
        with pytest.raises(ValueError, match=named):
            sparse_minimiser(Problem(X, y, "tanh", loss=loss, l2=0.01))
    with pytest.raises(ValueError, match="all weights trained: add w, b to train"):
        sparse_minimiser(noisy_classes(train=("a",)))
    with pytest.raises(ValueError, match="start has 2 inputs and 1 outputs, but the problem has 3"):
        sparse_minimiser(noisy_classes(), start=(np.ones(2), np.ones((2, 2)), np.ones(2)))
    run = mf.simulate(noisy_classes(l2=0.0), 8, 0.1, 2)
    with pytest.raises(ValueError, match="set l2 > 0"):
        extract_dictionary(run.particles, noisy_classes(l2=0.0), target="rest")


def test_intervals_are_those_of_the_side_that_neurons_are_on():
    """A flip of sigmoid turns the coefficient too, and costs a constant that is not free."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    y = np.tanh(2 * X[:, 0]) - np.tanh(X[:, 0] + 2 * X[:, 1]) + 0.1 * rng.standard_normal(60)
    problem = Problem(X, y, "sigmoid", l2=0.02)
    bars = intervals_at_rest(sparse_minimiser(problem).atoms, problem)
    assert bars.direction.max() < 20
    assert (bars.coefficients.width < 1).all()


def test_a_search_without_room_is_not_certified():
    found = sparse_minimiser(noisy_classes(), max_atoms=2)
    assert not found.reached
    assert found.n_atoms <= 2


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_intervals_hold_what_other_rows_would_give(loss):
    """Over data sets of one law atoms scatter by as much as their intervals say."""
    rng = np.random.default_rng(0)
    values, widths = [], []
    for _ in range(150):
        X = rng.standard_normal((300, 2))
        z = 2 * np.tanh(1.5 * X[:, 0]) - 2 * np.tanh(1.5 * X[:, 1])
        y = z + 0.5 * rng.standard_normal(300)
        if loss == "logistic":
            y = np.where(rng.random(300) < 1 / (1 + np.exp(-z)), 1, -1)
        problem = Problem(X, y, "tanh", bias=False, loss=loss, l2=0.05)
        atoms = sparse_minimiser(problem).atoms
        if atoms.n_atoms > 2:  # one of the two has split, and its parts are not it
            continue
        bars, first = intervals_at_rest(atoms, problem), int(np.abs(atoms.w[:, 0]).argmax())
        w = atoms.w[first] * np.sign(atoms.w[first, 0])
        turn = np.degrees(np.arctan2(w[1], w[0]))
        c = atoms.coefficients[first] * np.sign(atoms.w[first, 0])
        values.append([c, bars.length.value[first], turn])
        both = [float((bar.high - bar.low)[first]) / 2 for bar in (bars.coefficients, bars.length)]
        widths.append([*both, bars.direction[first]])
    assert len(values) > 80
    inside = np.abs(np.array(values) - np.mean(values, axis=0)) < np.array(widths)
    # Linearised, so that the longest tail, of a coefficient by classes, is not covered in full.
    assert (inside.mean(axis=0) > 0.82).all(), inside.mean(axis=0)
    scatter = np.std(values, axis=0) / (np.mean(widths, axis=0) / 1.96)
    assert (np.abs(np.log(scatter)) < 0.25).all(), scatter
