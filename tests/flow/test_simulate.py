"""The public simulation: identities of the theory, bits, checkpoints, boundary errors."""

import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
from scipy import stats

import meanfield as mf
from meanfield.flow import noise
from meanfield.flow import step_loop as run_steps
from meanfield.flow.simulate import simulate_scheme
from tests.naive_functions import ACTIVATIONS


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(23, 3))
    return X, np.sin(X[:, 0]) - 0.3 * X[:, 1]


@pytest.fixture(scope="module")
def problem(data):
    return mf.Problem(*data, activation="tanh", l2=0.03, temperature=0.01)


def same(first, second):
    """Whether two runs agree in every bit."""
    return all(
        np.array_equal(p.coordinates, q.coordinates)
        for p, q in zip(first.trajectory, second.trajectory, strict=True)
    ) and np.array_equal(first.predictions, second.predictions)


@pytest.mark.parametrize("activation", ["tanh", "silu", "relu"])
def test_is_plain_training_under_mup(data, activation):
    """A two-layer network trained by µP's table equals the particles ([RFL] Table 2)."""
    X, y = data
    N, eta, n_steps = 37, 0.3, 100
    sigma = ACTIVATIONS[activation]
    problem = mf.Problem(X, y, activation=activation, bias=False, l2=0.0, temperature=0.0)
    run = mf.simulate(problem, N, eta, n_steps, seed=5)

    start = mf.InitialLaw().sample(problem, N, seed=5)
    W1, W2 = start[1:].T.copy(), start[0] / N  # variances 1 and N^-2
    for _ in range(n_steps):
        h = X @ W1.T
        residual = (sigma.value(h) @ W2 - y) / len(y)
        gradient_2 = residual @ sigma.value(h)
        gradient_1 = ((residual[:, None] * sigma.derivative(h)) * W2).T @ X
        W1 -= eta * N * gradient_1
        W2 -= eta / N * gradient_2
    np.testing.assert_allclose(run.particles.w[0], W1, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run.particles.a[0] / N, W2, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run.predictions[0, -1], sigma.value(X @ W1.T) @ W2, atol=1e-10)


def test_shapes_and_contents(problem):
    run = mf.simulate(problem, 20, 0.1, 30, n_replicas=2, save_at=[0, 7, 30], seed=1)
    assert run.steps.tolist() == [0, 7, 30]
    assert run.particles.a.shape == (2, 20)
    assert run.particles.w.shape == (2, 20, 3)
    assert run.particles.b.shape == (2, 20)
    assert run.predictions.shape == (2, 3, 23)
    assert run.loss.shape == (2, 3)
    np.testing.assert_allclose(
        run.loss, 0.5 * np.mean((run.predictions - problem.y) ** 2, axis=-1), rtol=1e-14
    )
    particles = run.at(7)
    hidden = np.tanh(np.einsum("rnd,jd->rjn", particles.w, problem.X) + particles.b[:, None, :])
    direct = np.mean(particles.a[:, None, :] * hidden, axis=-1)
    np.testing.assert_allclose(run.predictions[:, 1], direct, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(run.predict(problem.X, step=7), run.predictions[:, 1])
    with pytest.raises(ValueError, match="Step 8 was not saved"):
        run.at(8)


def test_vector_outputs_and_frozen_parameters():
    X = np.random.default_rng(0).normal(size=(12, 2))
    labels = np.repeat(X[:, :1], 3, axis=1)  # frozen output weights make all outputs the same
    problem = mf.Problem(X, labels, train=("w",), temperature=0.01)
    run = mf.simulate(problem, 16, 0.2, 10)
    assert run.particles.a.shape == (1, 16, 3)
    assert run.predictions.shape == (1, 2, 12, 3)
    assert np.all(run.particles.a == 1)  # frozen output weights are the constant 1
    assert np.array_equal(run.particles.b, run.at(0).b)
    assert not np.array_equal(run.particles.w, run.at(0).w)


def test_first_particles_do_not_depend_on_the_number(problem):
    """Driven particles are independent, so a larger system contains the smaller one's paths."""
    drive = np.zeros((21, problem.n_data))
    small = mf.simulate(problem, 70, 0.1, 20, drive=drive, seed=9)
    large = mf.simulate(problem, 200, 0.1, 20, drive=drive, seed=9)
    np.testing.assert_array_equal(
        large.particles.first(70).coordinates, small.particles.coordinates
    )


def test_replicas_do_not_depend_on_the_batch(problem):
    together = mf.simulate(problem, 33, 0.1, 25, n_replicas=5, seed=2)
    alone = mf.simulate(problem, 33, 0.1, 25, first_replica=3, seed=2)
    np.testing.assert_array_equal(together.particles.coordinates[3:4], alone.particles.coordinates)


def test_refined_runs_see_the_same_path(data):
    """With no drift the coarse and the fine run end at the same point."""
    problem = mf.Problem(*data, l2=0.0, temperature=0.5)
    still = np.broadcast_to(problem.y, (401, problem.n_data))  # the residual is zero
    coarse = mf.simulate(problem, 50, 0.4, 25, substeps=4, drive=still, seed=4)
    fine = mf.simulate(problem, 50, 0.1, 100, drive=still, seed=4)
    np.testing.assert_allclose(
        coarse.particles.coordinates, fine.particles.coordinates, rtol=0, atol=1e-12
    )


def test_driven_by_its_own_predictions_is_the_same_run(problem):
    """McKean–Vlasov copies driven by the system's own path are the system."""
    own = mf.simulate(problem, 40, 0.1, 15, save_at=range(16), seed=6)
    driven = mf.simulate(problem, 40, 0.1, 15, drive=own.predictions[0], seed=6)
    np.testing.assert_array_equal(driven.particles.coordinates, own.particles.coordinates)


def test_exponential_euler_solves_the_linear_part_exactly(data):
    """With a silent data part the law is Ornstein–Uhlenbeck at any step size."""
    problem = mf.Problem(*data, l2=(0.7, 0.4), temperature=0.3)
    still = np.broadcast_to(problem.y, (6, problem.n_data))
    run = mf.simulate(problem, 20000, 1.5, 5, drive=still, integrator="exponential-euler", seed=8)
    time = 7.5
    for points, rate in ((run.particles.a[0], 0.7), (run.particles.w[0, :, 1], 0.4)):
        decay = math.exp(-2 * rate * time)
        variance = decay + 0.3 / rate * (1 - decay)
        error = variance * math.sqrt(2 / points.size)
        assert abs(points.var() - variance) < 4 * error


def test_temperature_can_follow_a_schedule(problem):
    constant = mf.simulate(problem, 30, 0.1, 20, seed=1)
    array = mf.simulate(problem, 30, 0.1, 20, seed=1, temperature=np.full(20, 0.01))
    cooling = mf.simulate(problem, 30, 0.1, 20, seed=1, temperature=np.geomspace(0.01, 1e-6, 20))
    assert same(constant, array)
    assert not same(constant, cooling)


class TestInitialLaws:
    def sample(self, data, **law):
        problem = mf.Problem(*data)
        return mf.InitialLaw(**law).sample(problem, 40000, seed=1).T

    def test_gaussian_with_a_scale_per_block(self, data):
        points = self.sample(data, scale=(2.0, 1.0, 0.5))
        for column, scale in zip(points.T, (2, 1, 1, 1, 0.5), strict=True):
            assert stats.kstest(column / scale, "norm").pvalue > 1e-4

    def test_laplace(self, data):
        points = self.sample(data, law="laplace")
        assert stats.kstest(points[:, 2], "laplace").pvalue > 1e-4

    def test_uniform_ball(self, data):
        radius = np.linalg.norm(self.sample(data, law="uniform-ball"), axis=1)
        assert stats.kstest(radius**5, "uniform").pvalue > 1e-4

    def test_stretched_exponential(self, data):
        radius = np.linalg.norm(self.sample(data, law="stretched-exponential", rho=0.5), axis=1)
        assert stats.kstest(radius**0.5, stats.gamma(10).cdf).pvalue > 1e-4

    def test_student_t(self, data):
        points = self.sample(data, law="student-t", nu=3.0)
        assert stats.kstest(points[:, 1], stats.t(3).cdf).pvalue > 1e-4

    def test_particles_as_a_start(self, problem):
        first = mf.simulate(problem, 25, 0.1, 10, n_replicas=2)
        again = mf.simulate(problem, 25, 0.1, 0, n_replicas=2, init=first.particles)
        np.testing.assert_array_equal(again.particles.coordinates, first.particles.coordinates)

    def test_streams_are_separate(self, problem):
        start = mf.InitialLaw().sample(problem, 64, seed=1)
        increments = noise.gaussian(1, 0, 0, 64, 5)
        assert not np.any(start == increments)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"gausian.*Did you mean 'gaussian'"):
            mf.InitialLaw("gausian")
        with pytest.raises(ValueError, match="needs the parameter nu"):
            mf.InitialLaw("student-t")
        with pytest.raises(ValueError, match="takes no parameter rho"):
            mf.InitialLaw(rho=1.0)


class TestCheckpoint:
    def run(self, problem, path=None, progress=None):
        return mf.simulate(
            problem, 40, 0.1, 300, n_replicas=2, save_at=[0, 100, 300], seed=3,
            checkpoint=path, progress=progress,
        )  # fmt: skip

    def test_an_interrupted_run_ends_with_the_same_bits(self, problem, tmp_path, monkeypatch):
        monkeypatch.setattr(run_steps.Checkpoint, "due", lambda self: True)
        path = tmp_path / "state"

        def interrupt_at(limit):
            def progress(step, n_steps):
                if step >= limit:
                    raise KeyboardInterrupt

            return progress

        for limit in (1, 90, 100, 220):
            with pytest.raises(KeyboardInterrupt):
                self.run(problem, path, interrupt_at(limit))
        assert same(self.run(problem, path), self.run(problem))
        assert same(self.run(problem, path), self.run(problem))  # finished: read back

    def test_killed_at_random(self, problem, tmp_path):
        """SIGKILL at arbitrary moments, then resumed to the same bits."""
        script = textwrap.dedent(
            """
            import sys
            import numpy as np
            import meanfield as mf
            from meanfield.flow import step_loop
            step_loop.Checkpoint.due = lambda self: True
            X = np.linspace(-1, 1, 20)[:, None]
            problem = mf.Problem(X, X[:, 0] ** 2, temperature=0.01)
            run = mf.simulate(problem, 64, 0.1, 3000, seed=1, checkpoint=sys.argv[1])
            np.save(sys.argv[2], run.particles.coordinates)
            """
        )

        def start(state, result):
            return subprocess.Popen([sys.executable, "-c", script, str(state), str(result)])

        X = np.linspace(-1, 1, 20)[:, None]
        whole = mf.simulate(mf.Problem(X, X[:, 0] ** 2, temperature=0.01), 64, 0.1, 3000, seed=1)
        state, result = tmp_path / "cut", tmp_path / "cut.npy"
        for _ in range(2):
            process = start(state, result)
            seen = state.stat().st_mtime_ns if state.exists() else 0
            while process.poll() is None and not (
                state.exists() and state.stat().st_mtime_ns > seen
            ):
                time.sleep(0.001)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert start(state, result).wait() == 0
        np.testing.assert_array_equal(np.load(result), whole.particles.coordinates)

    def test_another_run_or_a_damaged_file_is_refused(self, problem, tmp_path):
        path = tmp_path / "state"
        self.run(problem, path)
        with pytest.raises(mf.CheckpointError, match="left by another run"):
            mf.simulate(problem, 40, 0.1, 300, n_replicas=2, seed=4, checkpoint=path)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(mf.CheckpointError, match=re.escape(str(path))):
            self.run(problem, path)


class TestDivergence:
    def test_names_step_replica_and_a_step_size_that_holds(self, data):
        problem = mf.Problem(*data, activation="relu", l2=0.0, temperature=0.0)
        with pytest.raises(mf.DivergenceError, match="diverged at step") as caught:
            mf.simulate(problem, 32, 60.0, 400, n_replicas=3)
        error = caught.value
        assert 0 < error.step <= 400
        assert 0 <= error.replica < 3
        assert error.stable_step_size < 60
        mf.simulate(problem, 32, error.stable_step_size, 400, n_replicas=3)

    def test_a_step_size_is_found_from_far_off(self, data):
        problem = mf.Problem(*data, activation="relu")
        with pytest.raises(mf.DivergenceError) as caught:
            mf.simulate(problem, 16, 1e6, 100)
        assert 0.1 < caught.value.stable_step_size < 100

    @pytest.mark.parametrize("step_size", [1e18, np.finfo(float).max])
    def test_even_from_the_edge_of_the_numbers(self, data, step_size, brief_trials):
        problem = mf.Problem(*data, temperature=0.01)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(mf.DivergenceError) as caught:
                mf.simulate(problem, 16, step_size, 100)
        stable = caught.value.stable_step_size
        assert 0.1 < stable < 100
        mf.simulate(problem, 16, stable, 100)

    def test_no_step_size_helps_particles_that_overflow_by_themselves(self, data):
        problem = mf.Problem(*data, activation="relu")
        init = mf.InitialLaw("gaussian", scale=1e200)
        with pytest.raises(mf.DivergenceError, match="no smaller step size helped") as caught:
            mf.simulate(problem, 16, 0.1, 10, init=init)
        assert caught.value.stable_step_size is None

    def test_replica_is_counted_within_the_run(self, data):
        problem = mf.Problem(*data, activation="relu", l2=0.0, temperature=0.0)
        with pytest.raises(mf.DivergenceError) as caught:
            mf.simulate(problem, 32, 60.0, 400, first_replica=17)
        assert caught.value.replica == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_particles": 0}, "n_particles must be an integer of at least 1, got 0"),
        ({"n_particles": 2.5}, "n_particles must be an integer, got 2.5"),
        ({"n_steps": -1}, "n_steps must be an integer of at least 0"),
        ({"step_size": 0}, "step_size must be greater than 0"),
        ({"step_size": math.nan}, "step_size must be finite"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"seed": 2**64}, "seed must be below"),
        ({"integrator": "eulr"}, "Unknown integrator 'eulr'.*Did you mean 'euler'"),
        ({"dtype": "float16"}, "Unknown dtype 'float16'"),
        ({"save_at": [11]}, "save_at must hold steps between 0 and n_steps=10"),
        ({"temperature": -1.0}, "temperature must be finite and not negative"),
        ({"temperature": np.ones(3)}, "temperature must be one number or one per step"),
        ({"drive": np.zeros((3, 23))}, "drive must hold the predictions of at least n_steps=10"),
        ({"drive": np.full((11, 23), np.nan)}, "drive holds NaN"),
        (
            {"init": 3},
            "init must be a law's name, an InitialLaw, .* or a sampler, got int",
        ),
        ({"n_replicas": 0}, "n_replicas must be"),
        ({"substeps": 0}, "substeps must be"),
        ({"substeps": 2**30}, "must not exceed"),
        ({"first_replica": 2**32}, "must not exceed"),
        ({"save_at": 5}, "save_at must be a sequence of integers, got 5"),
        ({"step_size": "0.1"}, "step_size must be a number"),
        ({"step_size": True}, "step_size must be a number"),
        ({"drive": "flow"}, "drive must be an array of predictions or a MeanFieldPath, got str"),
    ],
)
def test_bad_arguments_are_named(problem, arguments, message):
    settings = {"n_particles": 8, "step_size": 0.1, "n_steps": 10, **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        mf.simulate(problem, **settings)


def test_convenient_spellings(problem):
    plain = mf.simulate(problem, 8, 0.1, 10, save_at=[0, 5, 10], dtype="float32")
    spelled = mf.simulate(
        problem, 8, np.array(0.1), 10, save_at=np.linspace(0, 10, 3), dtype=np.float32
    )
    assert same(plain, spelled)
    again = mf.simulate(problem, step_size=0.1, n_steps=0, init=plain.particles)
    assert (again.particles.n_particles, again.particles.n_replicas) == (8, 1)
    np.testing.assert_array_equal(plain.particles[0].w, plain.particles.w)


def test_initial_laws_beyond_the_floating_point_numbers_are_refused(problem):
    for init, dtype in (
        (mf.InitialLaw("student-t", nu=0.01), "float64"),
        (mf.InitialLaw("gaussian", scale=1e39), "float32"),
    ):
        with pytest.raises(ValueError, match=f"beyond the range of {dtype}"):
            mf.simulate(problem, 64, 0.1, 4, init=init, dtype=dtype)


def test_particles_of_another_layout_are_refused():
    """Three outputs and three inputs have as many coordinates as one output and five inputs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, 3))
    three = mf.simulate(mf.Problem(X, np.c_[X[:, 0], X[:, 1], X[:, 2]]), 4, 0.1, 1).particles
    wide = mf.Problem(rng.normal(size=(9, 5)), X[:, 0])
    with pytest.raises(ValueError, match=r"\(3, 3, True\), but the problem has \(1, 5, True\)"):
        mf.simulate(wide, init=three)
    with pytest.raises(ValueError, match=r"particles has .* \(3, 3, True\), but the problem"):
        mf.predict(wide, three, wide.X)


def test_a_path_of_other_dynamics_is_no_drive(problem, data):
    path = mf.mean_field(problem, n_particles=32, step_size=0.1, n_steps=10)
    mf.simulate(problem, 4, 0.1, 10, drive=path)
    other = mf.Problem(*data, activation="sin", l2=0.03, temperature=0.01)
    for settings in ((problem, 4, 0.05, 10), (other, 4, 0.1, 10)):
        with pytest.raises(ValueError, match="drive was computed for another problem or step"):
            mf.simulate(*settings, drive=path)


def test_predict_checks_its_inputs(problem):
    run = mf.simulate(problem, 8, 0.1, 1)
    with pytest.raises(ValueError, match=r"X must have 3 columns, got shape \(4, 2\)"):
        run.predict(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="X has 12 NaN"):
        run.predict(np.full((4, 3), np.nan))
    with pytest.raises(TypeError, match="X must hold real numbers"):
        run.predict([["a", "b", "c"]])


def test_to_xarray_has_named_dimensions(problem):
    run = mf.simulate(problem, 8, 0.1, 4, n_replicas=2, save_at=[0, 2, 4])
    dataset = run.to_xarray()
    assert dict(dataset.sizes) == {
        "step": 3, "replica": 2, "particle": 8, "feature": 3, "datum": 23, "path_step": 5,
    }  # fmt: skip
    np.testing.assert_array_equal(dataset["w"].sel(step=2), run.at(2).w)
    np.testing.assert_allclose(dataset["time"], [0, 0.2, 0.4])


def test_a_run_goes_on_from_where_another_ended():
    """The same bits as one run, noise, schedules and batches included."""
    X = np.random.default_rng(0).normal(size=(12, 2))
    problem = mf.Problem(X, np.tanh(X[:, 0]), temperature=0.1)
    for integrator, batch_size in [("euler", None), ("leimkuhler-matthews", None), ("euler", 4)]:
        scheme = mf.Scheme.of(
            problem,
            step_size=mf.schedule.Geometric(0.4, 0.1),
            n_steps=30,
            temperature=mf.schedule.Geometric(0.1, 0.01),
            integrator=integrator,
            batch_size=batch_size,
        )
        whole = simulate_scheme(problem, scheme, 40, 2, save_at=[12, 30], first_replica=3)
        rest = simulate_scheme(problem, scheme, start=whole.at(12), first_step=12, first_replica=3)
        assert rest.steps.tolist() == [12, 30]
        np.testing.assert_array_equal(rest.particles.coordinates, whole.particles.coordinates)
