"""The two errors, of step size and particle number, where both are known in closed form."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos import step_size_errors
from meanfield.chaos.step_size import separate_errors

COUNTS, STEPS = np.array([16, 64, 256]), np.array([0.4, 0.2, 0.1])
BIAS = np.array([0.3, -0.2])  # of the limit, per unit of step size


def linear_problem(**options):
    X = np.random.default_rng(1).normal(size=(6, 1))
    options = {"bias": False, "train": ("w",), "l2": 0.2, "temperature": 0.1, **options}
    return mf.Problem(X, np.tanh(-X[:, 0]), **{"activation": "identity", **options})


def made_up(n_replicas=200, curvature=0.0):
    """Limits 1 + bias η + curvature η², and networks that miss them by scatter / √N and by η."""
    rng = np.random.default_rng(0)
    h = STEPS[:, None]
    limits = 1.0 + BIAS * h + curvature * h**2
    scatter = rng.normal(size=(n_replicas, 2)) / np.sqrt(COUNTS)[:, None, None, None]
    return limits[:, None] + scatter, limits


def test_linear_bias_and_scatter_are_taken_apart_exactly():
    runs, limits = made_up()
    found = separate_errors(COUNTS, STEPS, runs, limits, n_data=2)
    size = np.square(BIAS).mean()
    np.testing.assert_allclose(found.floor, size * STEPS**2, rtol=1e-9)
    assert found.limit_error == pytest.approx(0.0, abs=1e-12)
    # The scatter is the same at every step size, and scales with N exactly.
    np.testing.assert_allclose(found.step.value, np.tile(size * STEPS[1:] ** 2, (3, 1)))
    assert found.step_slope.value == pytest.approx(2.0)
    assert found.own_slope.value == pytest.approx(-1.0)
    assert found.extrapolated_slope.value == pytest.approx(-1.0)
    np.testing.assert_allclose(found.own.value, np.tile(found.own.value[:, :1], 3))
    np.testing.assert_allclose(found.extrapolated.value, found.own.value[:, 0])
    assert found.total_slope.excludes(-1.0)
    assert found.total_slope.expected is None
    # N from which the floor is larger: N · own / floor.
    balance = 16 * found.own.value[0, 0] / found.floor[0]
    assert found.balance.value == pytest.approx(balance)
    assert found.balance.low < balance < found.balance.high


def test_curvature_is_the_error_of_the_extrapolated_limit():
    """Extrapolated limits of 1 + c η² are 1 − 2 c (η/2)² and 1 − 2 c η² for halves η/2 and η."""
    runs, limits = made_up(curvature=0.5)
    found = separate_errors(COUNTS, STEPS, runs, limits, n_data=2)
    gap = 2 * 0.5 * (STEPS[1] ** 2 - STEPS[2] ** 2)
    assert found.limit_error == pytest.approx(gap)


def test_dataset_holds_every_mean_square():
    runs, limits = made_up()
    found = separate_errors(COUNTS, STEPS, runs, limits, n_data=2)
    saved = found.to_xarray()
    assert saved["step"].sel(step_size=0.1).isnull().all()
    at = saved["step"].sel(particles=64, step_size=0.2)
    assert at.values.tolist() == [getattr(found.step[1, 1], p) for p in ("value", "low", "high")]
    np.testing.assert_array_equal(saved["total"].sel(bound="high"), found.total.high)


def test_floor_of_a_linear_network_is_that_of_its_closed_form():
    problem = linear_problem()
    found = step_size_errors(problem, [16, 64, 256], 24, step_size=0.5, n_steps=4, levels=3, seed=3)
    assert found.reference_particles is None
    size = np.mean(problem.X**2)
    rate = size + 0.2
    target = np.mean(problem.X[:, 0] * problem.y) / rate
    ends = np.array([target * (1 - (1 - rate * 0.5 / m) ** (4 * m)) for m in (1, 2, 4)])
    limit = 2 * ends[2] - ends[1]
    np.testing.assert_allclose(found.floor, size * (ends - limit) ** 2, rtol=1e-9)
    # Noise is additive: Euler's scheme has strong order 1.
    assert found.step_slope.expected == 2.0
    assert found.own_slope.agrees
    assert found.extrapolated_slope.agrees


def test_large_systems_share_their_noise():
    """The limits at two step sizes differ by their bias, not by their scatter."""
    problem = linear_problem(activation="tanh", train=("a", "w"), bias=True)
    found = step_size_errors(
        problem, [4, 8, 16], 8, step_size=0.5, n_steps=4, levels=3, n_particles=400
    )
    assert found.reference_particles == 400
    assert found.limit_error**2 < 0.1 * found.own.value[-1, 0] * 16 / 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 2}, "levels must be an integer of at least 3"),
        ({"integrator": "leimkuhler-matthews"}, "integrator must be of weak order 1"),
        ({"particle_counts": [4, 8]}, "particle_counts must hold at least three"),
        ({"n_replicas": 3}, "n_replicas must be at least 4"),
    ],
)
def test_what_cannot_be_extrapolated_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        step_size_errors(linear_problem(), **options)


def test_limits_are_of_one_method_at_every_step_size(monkeypatch):
    """Where the exact law costs too much at the finest step alone, no limit is exact."""
    problem, run = linear_problem(), {"step_size": 0.5, "n_steps": 4, "levels": 3}
    exact = step_size_errors(problem, [4, 8, 16], 8, **run)
    asked = []

    def automatic(plan, n_particles):
        asked.append(plan.scheme.n_steps)
        return "particles" if plan.scheme.n_steps == 16 else "gaussian"

    monkeypatch.setattr("meanfield.chaos.step_size.automatic_method", automatic)
    found = step_size_errors(problem, [4, 8, 16], 8, n_particles=4096, **run)
    assert asked == [4, 8, 16]
    assert (exact.reference_particles, found.reference_particles) == (None, 4096)
    # The noise of the large systems is shared, and drops out of the differences.
    np.testing.assert_allclose(found.floor, exact.floor, rtol=0.1)
