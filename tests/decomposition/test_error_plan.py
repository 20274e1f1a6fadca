"""Budgets are checked, and their data are what they are said to be."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import meanfield as mf
from meanfield.decomposition.error_plan import ErrorSettings
from meanfield.decomposition.laws import fitted_counts
from meanfield.errors import ArgumentError
from meanfield.problem import HermiteTarget
from meanfield.problem.draws import generator, sobol_inputs
from meanfield.studies.errors.study import ErrorsSection
from tests.decomposition.by_keyword import plan_errors

TARGET = HermiteTarget(2, {"1": 1.0, "1,2": 0.5})
X = np.random.default_rng(0).normal(size=(16, 2))


def problem(noise=0.0, **options):
    y = TARGET(X) + noise * np.random.default_rng(1).normal(size=len(X))
    return mf.Problem(X, y, bias=False, **options)


def pool(n=40):
    rng = np.random.default_rng(2)
    inputs, labels = rng.normal(size=(n, 2)), rng.normal(size=n)
    return mf.Problem(inputs, labels, X_test=inputs[:5] + 1, y_test=labels[:5])


@pytest.mark.parametrize("law", ["gaussian", "uniform-cube", "sphere", "rademacher"])
def test_population_inputs_have_the_moments_of_their_law(law):
    points = sobol_inputs(law, 4096, 3, generator(0, 51))
    for part in (points, points[:2048]):
        # Chance would give errors of 1/√4096 = 0.016; even coverage gives less.
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=0.004)
        np.testing.assert_allclose(part.T @ part / len(part), np.eye(3), atol=0.012)
    fourth = {"gaussian": 3.0, "uniform-cube": 1.8, "sphere": 1.8, "rademacher": 1.0}[law]
    np.testing.assert_allclose((points**4).mean(axis=0), fourth, rtol=0.03)


def test_training_sets_are_nested_and_differ_between_replicas():
    plan = plan_errors(problem(), TARGET)
    small, large = plan.training_set(0, 8), plan.training_set(0, 32)
    np.testing.assert_array_equal(small.X, large.X[:8])
    np.testing.assert_array_equal(large.y, TARGET(large.X))
    assert not np.isin(plan.training_set(1, 32).X, large.X).any()


def test_noise_of_the_labels_is_found_and_drawn_again():
    labels = problem(noise=0.3)
    plan = plan_errors(labels, TARGET)
    assert plan.noise == pytest.approx(np.std(labels.y - TARGET(X)), rel=1e-12)
    drawn = plan.training_set(0, 2000)
    left = drawn.y - TARGET(drawn.X)
    assert left.std() == pytest.approx(plan.noise, rel=0.1)
    assert abs(np.corrcoef(left, drawn.X[:, 0])[0, 1]) < 0.1
    assert plan_errors(problem(), TARGET).noise == 0.0
    np.testing.assert_array_equal(plan.population[1][:, 0], TARGET(plan.population[0]))


def test_a_pool_is_subsampled_without_replacement():
    data = pool()
    plan = plan_errors(data)
    assert plan.n_data == 10
    assert plan.data_counts[-1] <= 40
    drawn = plan.training_set(3, 25)
    rows = [np.flatnonzero((x == data.X).all(axis=1)).item() for x in drawn.X]
    assert len(set(rows)) == 25
    np.testing.assert_array_equal(drawn.y, data.y[rows])
    whole = plan.training_set(5, 40)
    np.testing.assert_array_equal(whole.X, data.X)


def test_laws_span_a_factor_32_and_hold_the_budget_and_its_double():
    plan = plan_errors(problem(), TARGET, n_data=64, n_particles=96, n_atoms=6)
    assert plan.data_counts == (16, 32, 64, 128, 256, 512)
    assert plan.particle_counts == (6, 12, 24, 48, 96, 192)
    assert {6, 12} <= set(plan.atom_counts)
    plan = plan_errors(problem(), TARGET, n_data=64, data_counts=[8, 100])
    assert plan.data_counts == (8, 64, 100, 128)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 32, 100, 1024])
def test_laws_of_small_and_large_budgets_span_a_factor_32_too(size):
    plan = plan_errors(problem(), TARGET, n_data=size, n_particles=size)
    for counts in (plan.data_counts, plan.particle_counts):
        assert counts[-1] >= 32 * counts[0]
        assert {size, 2 * size} <= set(counts)
    assert plan.data_counts[-1] <= 2048
    narrow = plan_errors(problem(), TARGET, n_particles=8, path_particles=64, long_particles=64)
    assert narrow.particle_counts == (4, 8, 16, 32)


def test_long_time_networks_are_wider_than_those_compared_with_them():
    assert plan_errors(problem(), TARGET, n_particles=256).long_particles == 1024
    plan = plan_errors(problem(), TARGET, n_particles=1024)
    assert plan.long_particles == 2 * plan.particle_counts[-1] == 4096


def test_samples_of_nearly_all_rows_do_not_decide_the_slope():
    plan = plan_errors(pool(514))
    assert plan.n_data == 128
    assert plan.data_counts == (8, 16, 32, 64, 128, 256)
    plan = plan_errors(pool(514), data_counts=[32, 64, 512, 514])
    assert plan.data_counts == (32, 64, 128, 256, 512, 514)
    assert fitted_counts(plan).tolist() == [True] * 4 + [False] * 2
    assert fitted_counts(plan_errors(pool(20))).tolist() == [True, True, False]


def test_population_is_rounded_up_to_a_power_of_two():
    assert len(plan_errors(problem(), TARGET, n_population=1000).population[0]) == 1024


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: problem().replace(loss="logistic", y=np.sign(X[:, 0])), {}, "'squared'"),
        (lambda: problem(temperature=0.0), {}, "temperature > 0"),
        (problem, {"n_replicas": 3}, "at least 4"),
        (problem, {"n_data": 10_000}, "n_population"),
        (problem, {"data_counts": [10_000]}, "data_counts must not exceed 2048"),
        (problem, {"path_particles": 20, "long_particles": 10}, "twice the largest particle count"),
        (
            problem,
            {"particle_counts": [8, 64, 4096], "path_particles": 4096},
            "twice the largest particle count 4096, got 4096",
        ),
        (problem, {"inputs": "normal"}, "inputs"),
        (problem, {"n_atoms": 0}, "n_atoms"),
        (problem, {"degree": -1}, "degree must be an integer of at least 0"),
    ],
)
def test_bad_budgets_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        plan_errors(make(), TARGET, **options)


def test_data_need_a_held_out_part_and_targets_must_be_functions():
    with pytest.raises(ValueError, match="X_test"):
        plan_errors(problem())
    with pytest.raises(ValueError, match="rows of the data"):
        plan_errors(pool(), n_data=41)
    with pytest.raises(TypeError, match="function of the inputs"):
        plan_errors(problem(), 3.0)
    with pytest.raises(TypeError, match="must be a Problem"):
        plan_errors(X, TARGET)
    with pytest.raises(ValueError, match="2 values per input"):
        plan_errors(problem(), lambda inputs: inputs)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (lambda X: 1.0, ValueError, r"shape \(n,\) or \(n, k\) for n inputs, got \(\) for 16"),
        (lambda X: np.stack([X[:, 0]] * 2), ValueError, r"got \(2, 16\) for 16 inputs"),
        (lambda X: X[:-1, 0], ValueError, r"got \(15,\) for 16 inputs"),
        (lambda X: np.where(X[:, 0] > 0, X[:, 0], np.nan), ValueError, "NaN or infinite"),
        (lambda X: X[:, 0] + 1j, TypeError, "real numbers, got an array of complex128"),
        (lambda X: None, TypeError, "real numbers, got an array of object"),
    ],
)
def test_values_of_the_target_are_checked(target, error, message):
    with pytest.raises(error, match=message):
        plan_errors(problem(), target)


def test_degree_is_a_whole_number_and_atoms_are_counted_in_integers():
    with pytest.raises(TypeError, match="degree must be an integer"):
        plan_errors(problem(), TARGET, degree=2.5)
    plan = plan_errors(problem(), TARGET, n_atoms=20.0)
    assert all(type(s) is int for s in plan.atom_counts)


def test_a_population_that_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match=r"^n_population = .* GB .* give a smaller n_pop"):
        plan_errors(problem(), TARGET, n_population=2**38)


def test_settings_have_one_set_of_names_and_defaults():
    fields = ErrorSettings.__dataclass_fields__
    keywords = inspect.signature(mf.decompose_error).parameters
    section = ErrorsSection.model_fields
    assert set(section) == set(fields) <= set(keywords)
    for name, field in fields.items():
        assert section[name].default == keywords[name].default == field.default


def test_a_schedule_stays_as_it_ends():
    sizes, cooling = mf.schedule.Geometric(0.4, 0.1), mf.schedule.Geometric(0.5, 0.02)
    plan = plan_errors(problem(l2=0.1), TARGET, step_size=sizes, temperature=cooling, n_steps=20)
    assert plan.settle_steps == 200  # two relaxation times of steps of the last size
    assert plan.training(7) == plan.scheme.shortened(7)
    longer = plan.training(50)
    assert longer.shortened(20) == plan.scheme
    assert (longer.step_sizes[20:] == 0.1).all()
    assert (longer.temperatures[20:] == 0.02).all()
    at = plan.times.tolist().index(20)
    assert plan.elapsed[at] == plan.training_time == pytest.approx(sizes.values(20).sum())
    with pytest.raises(ValueError, match="temperature > 0"):
        plan_errors(problem(), TARGET, temperature=[0.1] * 19 + [0.0], n_steps=20)
