"""What the advice is checked with: every option tried by training, on random budgets."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.problem import Teacher
from scripts.doublings import FIRST_REPLICA, random_budgets, try_options
from tests.decomposition.by_keyword import plan_errors

TEACHER = Teacher([1.0], [[1.5]])


def test_trials_are_what_training_gives():
    line = np.linspace(-2, 2, 16)[:, None]
    problem = mf.Problem(line, TEACHER(line), bias=False, l2=0.1, temperature=0.02)
    sizes = {"n_particles": 32, "n_steps": 40, "n_atoms": None, "n_replicas": 4, "n_test": 50}
    plan = plan_errors(problem, TEACHER, **sizes)
    trial = try_options(plan, 4)
    assert list(trial.gain) == ["n", "N", "t"]
    errors = []
    for n, N, t in ((16, 32, 40), (32, 32, 40), (16, 64, 40), (16, 32, 80)):
        run = mf.simulate(
            plan.training_set(FIRST_REPLICA + 2, n),
            N,
            step_size=0.2,
            n_steps=t,
            first_replica=FIRST_REPLICA + 2,
            dtype="float32",
        )
        errors.append(((TEACHER(plan.X_test) - run.predict(plan.X_test)[0]) ** 2).mean())
    for option, error in zip(("n", "N", "t"), errors[1:], strict=True):
        assert trial.gains[option][2] == pytest.approx(errors[0] - error, rel=1e-5)
    lead = trial.better("t", "N")
    per_unit = [trial.gain[option].value / trial.cost[option] for option in ("t", "N")]
    assert lead.value == pytest.approx(per_unit[0] - per_unit[1])
    assert lead.low < lead.value < lead.high


def test_random_budgets_stay_in_their_ranges():
    ranges = {"n": (16, 64), "N": (8, 8), "t": (5, 500), "S": (1, 4)}
    budgets = random_budgets(50, ranges, seed=3)
    steps = np.array([budget["n_steps"] for budget in budgets])
    assert steps.min() >= 5
    assert steps.max() <= 500
    assert 25 < np.median(steps) < 100  # log-uniform: the middle is 50
    assert {budget["n_particles"] for budget in budgets} == {8}
    assert budgets == random_budgets(50, ranges, seed=3)
