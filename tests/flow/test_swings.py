"""Networks that swing from step to step."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.swings import swings


@pytest.mark.parametrize(
    ("size", "swing"), [(0.5, False), (0.99, False), (1.5, False), (1.99, True), (2.0, True)]
)
def test_descent_overshoots_and_near_two_stays_in_a_cycle(size, swing):
    """x → (1 − size) x, beside outputs that stand still: its moves reverse above 1."""
    x = 0.5 * (1 - size) ** np.arange(40.0)
    still = np.linspace(-1, 1, 20)
    outputs = np.column_stack([x, np.broadcast_to(still, (40, 20))])
    assert swings(outputs[-3:]) == swing


def test_noise_does_not_swing():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(3, 500)), axis=0)
    white = rng.normal(size=(3, 500))
    unknown = np.full((3, 4), np.nan)
    assert [swings(walk), swings(white), swings(unknown), swings(np.ones((3, 4)))] == [False] * 4


def offset_problem():
    """Constant labels and one input: the curvature of the offset alone decides."""
    X = np.random.default_rng(0).normal(size=(60, 3)) / np.sqrt(3)
    return mf.Problem(X, 2 + X[:, 0], l2=1e-3, temperature=1e-4)


def test_the_pilot_keeps_away_from_the_edge():
    problem = offset_problem()
    found = mf.pilot(problem, n_particles=64)
    run = mf.simulate(
        problem.replace(l2=found.l2, temperature=found.temperature),
        256,
        found.step_size,
        found.n_steps,
        save_at=[found.n_steps - 2, found.n_steps - 1, found.n_steps],
    )
    assert not swings(run.predictions[0])


def test_a_rate_study_says_so():
    problem = offset_problem()
    found = {}
    for step_size in (0.25, 2.0):
        path = mf.mean_field(problem, n_particles=2000, step_size=step_size, n_steps=100)
        found[step_size] = swings(path.predictions[-3:])
        rates = mf.chaos_rates(
            problem, [4, 8, 16], 8, step_size=step_size, n_steps=100, reference=path,
            times=[50, 100], cloud_replicas=0,
        )  # fmt: skip
        said = any(note.code == "swings" for note in rates.fits["function"].slope.notes)
        assert said == found[step_size]
    assert list(found.values()) == [False, True]
