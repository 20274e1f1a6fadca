"""Integrators against textbook twins: paths, schedules, minibatches, restarts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import meanfield as mf
from meanfield.flow import noise
from meanfield.flow import step_loop as run_steps
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.integrators import INTEGRATORS, get_integrator, kinetic
from meanfield.flow.minibatch import draw_batch
from meanfield.flow.scheme import Scheme
from tests.flow import naive_flow as naive
from tests.naive_functions import LOSSES

SIZES = np.array([0.3, 0.1, 0.25, 0.2, 0.05, 0.15])
TAUS = np.array([0.02, 0.05, 0.01, 0.03, 0.0, 0.04])
SETTINGS = {"n_particles": 20, "n_steps": 6, "seed": 11, "first_replica": 4}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(9, 2))
    return mf.Problem(X, np.sin(X[:, 0]), activation="silu", l2=(0.3, 0.2), temperature=0.03)


def twin(problem, name, *, substeps=1, friction=1.0, batch=None, anchor=None, drive=None):
    """Particles (C, N) at the end, step by step as in a textbook."""
    N, seed, replica = SETTINGS["n_particles"], SETTINGS["seed"], SETTINGS["first_replica"]
    theta = mf.InitialLaw().sample(problem, N, seed=seed, replica=replica)
    C = len(theta)
    l2 = np.array([problem.l2_output] + [problem.l2_input] * (C - 1))[:, None]
    moves = np.array(["a", "w", "w", "b"])
    moves = np.isin(moves, list(problem.train))[:, None]
    code = problem.activation.code

    def xi(number):
        fine = range(substeps * number, substeps * (number + 1))
        return sum(naive.gaussians(seed, replica, m, N, C) for m in fine) / np.sqrt(substeps)

    def data_part(at, rows, t):
        X, targets = problem.X[rows], problem.targets[rows]
        f = naive.predict(at, X, code, 1) if drive is None else drive[t][rows, None]
        return naive.data_gradient(at, X, LOSSES[problem.loss.name].derivative(f, targets), code, 1)

    everything = np.arange(problem.n_data)
    still = {}

    def gradient(t, at):
        if batch is None:
            return data_part(at, everything, t) + l2 * at
        rows = draw_batch(seed, replica, t, problem.n_data, batch)
        g = data_part(at, rows, t)
        if anchor is not None:
            if t % anchor == 0:
                still["at"] = at.copy()
            start = t - t % anchor
            g += data_part(still["at"], everything, start) - data_part(still["at"], rows, start)
        return g + l2 * at

    v = np.sqrt(TAUS[0]) * noise.gaussian(seed, replica, 1, N, C, stream=noise.INITIAL)
    for t, (h, tau) in enumerate(zip(SIZES, TAUS, strict=True)):
        if name == "euler":
            move = -h * gradient(t, theta) + np.sqrt(2 * h * tau) * xi(t)
        elif name == "leimkuhler-matthews":
            move = -h * gradient(t, theta) + np.sqrt(2 * h * tau) * (xi(t) + xi(t + 1)) / 2
        elif name == "kinetic":
            c = np.exp(-friction * h / 2)
            v = c * v + np.sqrt(tau * (1 - c**2)) * xi(2 * t)
            v = v - h / 2 * gradient(t, theta)
            after = theta + np.where(moves, h * v, 0)
            # The gradient at the end of a step belongs to the next one: its batch and its drive.
            if t + 1 < len(SIZES):
                v = v - h / 2 * gradient(t + 1, after)
                v = c * v + np.sqrt(tau * (1 - c**2)) * xi(2 * t + 1)
            move = after - theta
        theta = theta + np.where(moves, move, 0)
    return theta


def run(problem, name, **more):
    settings = {"step_size": SIZES, "temperature": TAUS, "integrator": name} | SETTINGS | more
    return mf.simulate(problem, **settings).particles.coordinates[0].T


NAMES = ["euler", "leimkuhler-matthews", "kinetic"]


@pytest.mark.parametrize("name", NAMES)
def test_scheduled_steps_follow_the_textbook(problem, name):
    assert_allclose(run(problem, name), twin(problem, name), rtol=0, atol=1e-13)
    got = run(problem, name, dtype="float32")
    assert_allclose(got, twin(problem, name), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_stay(problem, name):
    frozen = mf.Problem(problem.X, problem.y, train=("w",), l2=0.2, temperature=0.03)
    want = twin(frozen, name)
    assert_allclose(run(frozen, name), want, rtol=0, atol=1e-13)
    assert np.all(want[0] == 1)


def test_friction_is_a_parameter_of_the_name(problem):
    want = twin(problem, "kinetic", friction=2.5)
    assert_allclose(run(problem, "kinetic(2.5)"), want, rtol=0, atol=1e-13)
    assert_array_equal(run(problem, kinetic(2.5)), run(problem, "Kinetic(friction=2.5)"))
    assert get_integrator("kinetic").name == kinetic(1.0).name == "kinetic"
    assert get_integrator(kinetic(1 / 3).name).name == kinetic(1 / 3).name
    assert get_integrator("OBABO") is INTEGRATORS["kinetic"]
    assert get_integrator("obabo(0.5)").name == kinetic(0.5).name


def test_names_are_read_generously():
    for name in INTEGRATORS:
        assert get_integrator(name.replace("-", "_").upper()) is INTEGRATORS[name]
    with pytest.raises(ValueError, match="Did you mean 'leimkuhler-matthews'"):
        get_integrator("leimkuhler_mathews")
    with pytest.raises(ValueError, match=r"friction in 'kinetic\(high\)' must be a number"):
        get_integrator("kinetic(high)")
    with pytest.raises(ValueError, match="friction must be greater than 0"):
        get_integrator("kinetic(0)")


@pytest.mark.parametrize("name", NAMES)
def test_coarse_steps_sum_the_increments_of_the_fine_path(problem, name):
    want = twin(problem, name, substeps=3)
    assert_allclose(run(problem, name, substeps=3), want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_driven_particles(problem, name):
    drive = np.random.default_rng(0).normal(size=(6, 9))
    assert_allclose(
        run(problem, name, drive=drive), twin(problem, name, drive=drive), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("anchor", [None, 2])
def test_minibatches_follow_the_textbook(problem, name, anchor):
    got = run(problem, name, batch_size=4, anchor_period=anchor)
    assert_allclose(got, twin(problem, name, batch=4, anchor=anchor), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_driven_svrg_does_not_depend_on_the_saved_steps(problem, name):
    drive = np.random.default_rng(0).normal(size=(6, 9))
    more = {"batch_size": 4, "anchor_period": 3, "drive": drive}
    got = run(problem, name, **more)
    assert_allclose(got, twin(problem, name, batch=4, anchor=3, drive=drive), rtol=0, atol=1e-13)
    assert_array_equal(run(problem, name, save_at=range(7), **more), got)


def test_a_batch_of_all_data_is_the_full_gradient(problem):
    for more in ({}, {"anchor_period": 3}):
        assert_allclose(
            run(problem, "euler", batch_size=9, **more), run(problem, "euler"), atol=1e-14
        )


@pytest.mark.parametrize("anchor", [None, 5])
def test_the_average_over_all_batches_is_the_full_gradient(problem, anchor):
    """Unbiased, exactly: one noiseless step from each of the 84 batches of 3 out of 9."""
    rng = np.random.default_rng(1)
    theta, still = rng.normal(size=(2, 1, 4, 6))
    scheme = Scheme.of(
        problem, step_size=1.0, n_steps=10, temperature=0.0, batch_size=3, anchor_period=anchor
    )
    dynamics = Dynamics(problem, scheme)
    full = dynamics._gradient(theta, 0, 0)
    steps = []
    for batch in itertools.combinations(range(9), 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("meanfield.flow.minibatch.draw_batch", lambda *_, b=batch: np.array(b))
            state = np.concatenate([theta, still], axis=1) if anchor else theta.copy()
            dynamics.advance(state, 7, 8)  # between two anchors
            l2 = np.array([0.3, 0.2, 0.2, 0.2])[:, None]
            steps.append(theta - l2 * theta - state[:, :4])
    steps = np.array(steps)
    assert_allclose(steps.mean(axis=0), full, rtol=0, atol=1e-14)
    assert steps.std(axis=0).max() > 1e-2  # each batch alone is off


def test_svrg_has_no_variance_at_its_anchor(problem):
    exact = run(problem, "euler", n_steps=1, step_size=0.2, temperature=0.0)
    svrg = {"batch_size": 2, "n_steps": 1, "step_size": 0.2, "temperature": 0.0}
    assert_allclose(run(problem, "euler", anchor_period=1, **svrg), exact, atol=1e-14)
    assert np.abs(run(problem, "euler", **svrg) - exact).max() > 1e-3


def test_batches_are_uniform_sets_that_depend_on_seed_replica_and_step_only():
    counts = dict.fromkeys(itertools.combinations(range(5), 2), 0)
    for step in range(4000):
        counts[tuple(draw_batch(3, 1, step, 5, 2))] += 1
    squares = sum((count - 400) ** 2 / 400 for count in counts.values())
    assert squares < 27.9  # chi-square with 9 degrees of freedom, 0.1 %
    assert_array_equal(draw_batch(3, 1, 7, 100, 10), draw_batch(3, 1, 7, 100, 10))
    others = [
        draw_batch(4, 1, 7, 100, 10),
        draw_batch(3, 2, 7, 100, 10),
        draw_batch(3, 1, 8, 100, 10),
    ]
    assert all(not np.array_equal(draw_batch(3, 1, 7, 100, 10), other) for other in others)
    assert_array_equal(draw_batch(0, 0, 0, 6, 6), np.arange(6))


def test_batches_of_a_replica_do_not_depend_on_how_replicas_are_run(problem):
    more = {"batch_size": 3, "anchor_period": 4}
    together = mf.simulate(problem, 10, 0.1, 9, n_replicas=3, seed=2, **more)
    alone = mf.simulate(problem, 10, 0.1, 9, first_replica=2, seed=2, **more)
    assert_array_equal(together.particles.coordinates[2], alone.particles.coordinates[0])


@pytest.mark.parametrize("name", ["leimkuhler-matthews", "kinetic"])
@pytest.mark.parametrize("batches", [{}, {"batch_size": 3}, {"batch_size": 3, "anchor_period": 7}])
def test_an_interrupted_run_ends_with_the_same_bits(problem, name, batches, tmp_path, monkeypatch):
    monkeypatch.setattr(run_steps.Checkpoint, "due", lambda self: True)
    settings = {
        "n_particles": 70, "step_size": 0.1, "n_steps": 40, "n_replicas": 2, "integrator": name,
        "save_at": [0, 10, 40], **batches,
    }  # fmt: skip
    whole = mf.simulate(problem, **settings)

    def stop_at(limit):
        def progress(step, n_steps):
            if step >= limit:
                raise KeyboardInterrupt

        return progress

    for limit in (3, 10, 25):
        with pytest.raises(KeyboardInterrupt):
            mf.simulate(problem, checkpoint=tmp_path / "state", progress=stop_at(limit), **settings)
    resumed = mf.simulate(problem, checkpoint=tmp_path / "state", **settings)
    for first, second in zip(whole.trajectory, resumed.trajectory, strict=True):
        assert_array_equal(first.coordinates, second.coordinates)
    assert whole.particles.coordinates.shape == (2, 70, 4)


def test_velocities_start_from_their_gibbs_law(problem):
    """At λ = 0 and a silent data part the first step moves each particle by η v."""
    free = mf.Problem(problem.X, problem.y, l2=0.0, temperature=0.4)
    still = np.broadcast_to(problem.y, (1, 9))
    run = mf.simulate(free, 20000, 0.5, 1, integrator="kinetic", drive=still)
    moves = (run.particles.coordinates - run.at(0).coordinates) / 0.5
    error = 0.4 * np.sqrt(2 / moves.size)
    assert abs(moves.var() - 0.4) < 4 * error


@pytest.mark.parametrize("name", INTEGRATORS)
def test_every_prediction_path_is_that_of_the_particles(problem, name):
    """The large system behind a mean-field path moves like a simulated one."""
    path = mf.mean_field(
        problem, n_particles=64, step_size=SIZES, n_steps=6, integrator=name, temperature=TAUS
    )
    assert_allclose(path.times, [0, *np.cumsum(SIZES)])
    run = mf.simulate(
        problem, 64, SIZES, 6, integrator=name, temperature=TAUS, first_replica=2**32 - 1
    )
    assert_allclose(path.predictions[[0, -1]], run.predictions[0], rtol=0, atol=1e-14)
    assert_allclose(run.times, path.times[[0, -1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 10}, "batch_size must be at most the 9 data, got 10"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"anchor_period": 5}, "anchor_period needs a batch_size"),
        ({"batch_size": 3, "anchor_period": 0}, "anchor_period must be an integer of at least 1"),
        ({"step_size": [0.1, 0.2]}, r"step_size must be one number or one per step \(6\)"),
        ({"step_size": -SIZES}, "step_size must be finite and greater than 0 at every step"),
        ({"step_size": mf.schedule.Piecewise([1, 0], [3])}, "greater than 0 at every step"),
    ],
)
def test_bad_arguments_are_named(problem, arguments, message):
    with pytest.raises(ValueError, match=message):
        mf.simulate(problem, **({"step_size": 0.1, "n_steps": 6, "n_particles": 8} | arguments))


def test_a_diverged_schedule_names_one_that_held(problem):
    steep = mf.Problem(problem.X, problem.y, activation="identity", l2=100.0)
    growing = mf.schedule.Geometric(0.001, 0.5)
    with pytest.raises(
        mf.DivergenceError, match=r"a schedule of step sizes up to 0\.5 diverged"
    ) as error:
        mf.simulate(steep, 8, growing, 400)
    held = error.value.stable_step_size
    mf.simulate(steep, 8, mf.schedule.Geometric(0.001 * held / 0.5, held), 400)


def test_a_drive_with_other_step_sizes_is_refused(problem):
    path = mf.mean_field(problem, n_particles=32, step_size=SIZES, n_steps=6)
    assert mf.simulate(problem, 4, SIZES, 6, drive=path).driven
    with pytest.raises(ValueError, match="drive was computed for another problem or step"):
        mf.simulate(problem, 4, SIZES[::-1], 6, drive=path)
