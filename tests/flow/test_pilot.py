"""Short runs that recommend settings."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow import pilot


def waves(n=160, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)) / np.sqrt(2)
    return X, np.sin(3 * X[:, 0]) + X[:, 1] + noise * rng.normal(size=n)


def test_a_network_learns_with_what_it_recommends():
    X, y = waves()
    problem = mf.Problem(X, y)
    found = mf.pilot(problem, n_particles=128)
    X_test, y_test = waves(seed=1)
    settled = problem.replace(
        l2=found.l2, temperature=found.temperature, X_test=X_test, y_test=y_test
    )
    run = mf.simulate(settled, 256, found.step_size, found.n_steps)
    assert run.score().value > 0.9
    # Every score is out of sample, so that it foretells the one on new rows.
    assert abs(run.score().value - found.chosen.score.value) < 0.06
    assert found.chosen in found.trials
    again = mf.pilot(problem, n_particles=128)
    assert (again.step_size, again.trials) == (found.step_size, found.trials)


def test_no_smaller_penalty_than_needed():
    X, _ = waves()
    noisy = X @ [1.0, -1.0] + np.random.default_rng(1).normal(size=len(X))
    found = mf.pilot(mf.Problem(X, noisy), n_particles=64)
    assert found.l2 >= 0.01
    best = max(found.trials, key=lambda trial: trial.score.value)
    assert found.chosen.as_good_as(best)


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_large_inputs_get_smaller_steps(activation):
    X, y = waves(n=60)
    small, large = (
        mf.pilot(mf.Problem(scale * X, y, activation), n_particles=32) for scale in (1, 10)
    )
    assert large.step_size < small.step_size


def test_classes_with_one_row_are_never_left_out():
    X, _ = waves(n=40)
    y = np.where(X[:, 0] > 0, 1, 0)
    y[7] = 2
    found = mf.pilot(mf.Problem(X, y, loss="cross-entropy"), n_particles=32)
    assert found.chosen.score.value > 0.8


def test_too_few_rows_are_said():
    with pytest.raises(ValueError, match="n_folds must leave two rows for each part, got 3 for 5"):
        mf.pilot(mf.Problem(np.eye(5), np.arange(5.0)))


def test_differences_within_the_noise_of_the_rows_do_not_count():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 2))
    y = np.sign(X[:, 0] + 0.8 * rng.normal(size=60))
    found = mf.pilot(mf.Problem(X, y, loss="logistic"), n_particles=32)
    best = max(found.trials, key=lambda trial: trial.score.value)
    behind = best.by_row - found.chosen.by_row
    assert found.chosen.as_good_as(best)
    assert behind.mean() <= max(0.01, behind.std() / np.sqrt(60))
    for trial in found.trials:
        assert trial.by_row.mean() == pytest.approx(trial.score.value)
    larger = [trial for trial in found.trials if trial.l2 > found.l2]
    assert not any(trial.as_good_as(best) for trial in larger)


def test_a_share_of_r2_for_every_row():
    X, y = waves(n=60)
    both = np.stack([y, 3 + X[:, 0]], axis=1)
    for trial in mf.pilot(mf.Problem(X, both), n_particles=32).trials:
        assert trial.by_row.mean() == pytest.approx(trial.score.value)


def test_labels_that_are_all_alike_are_refused():
    with pytest.raises(ValueError, match="problem has labels that are all alike"):
        mf.pilot(mf.Problem(np.eye(12), np.ones(12)))


def test_long_rows_are_looked_at_in_smaller_numbers(monkeypatch):
    seen = []

    def run(problem, *arguments, batch_size=None, **settings):
        seen.append(problem.n_data)
        return mf.simulate(problem, 4, 1e-3, 2, save_at=[0, 1, 2])

    monkeypatch.setattr(pilot, "simulate", run)
    X = np.random.default_rng(0).normal(size=(1200, 400))
    mf.pilot(mf.Problem(X, X[:, 0]), n_particles=4)
    assert max(seen) == 200
    mf.pilot(mf.Problem(X[:, :50], X[:, 0]), n_particles=4)
    assert max(seen) == 667
    mf.pilot(mf.Problem(X[:, :50], X[:, 0]), n_particles=4, batch_size=100)
    assert max(seen) == 800


def test_minibatches_are_taken_where_rows_are_more(monkeypatch):
    sizes = []

    def run(problem, *arguments, batch_size=None, **settings):
        sizes.append((problem.n_data, batch_size))
        return mf.simulate(problem, 4, 1e-3, 2, save_at=[0, 1, 2])

    monkeypatch.setattr(pilot, "simulate", run)
    X, y = waves(n=90)
    mf.pilot(mf.Problem(X, y), n_particles=4, batch_size=50)
    mf.pilot(mf.Problem(X, y), n_particles=4, batch_size=60)
    assert set(sizes) == {(60, 50), (60, None)}
