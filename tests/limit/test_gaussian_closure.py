"""The exact Gaussian closure against its recursion as written and against brute simulation."""

import numpy as np
import pytest

import meanfield as mf
from tests.limit import naive_limit as naive
from tests.limit.by_keyword import gaussian_closure

N_STEPS = 25


def linear(X, y, **settings):
    settings = {"bias": False, "train": ("w",), "l2": 0.3, "temperature": 0.2} | settings
    return mf.Problem(X, y, activation="identity", **settings)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 3)), rng.normal(size=9)
    root = rng.normal(size=(3, 3))
    settings = {
        "step_size": 0.15,
        "temperature": np.linspace(0.3, 0.1, N_STEPS),
        "initial_mean": rng.normal(size=3),
        "initial_covariance": root @ root.T / 3,
    }
    return linear(X, y), settings


@pytest.fixture(scope="module")
def closure(case):
    problem, settings = case
    return gaussian_closure(problem, n_steps=N_STEPS, **settings)


def test_propagation_matrix_obeys_its_recursion(case, closure):
    problem, settings = case
    path = naive.propagation_matrix(
        problem.X,
        step_size=settings["step_size"],
        l2=problem.l2_input,
        temperatures=settings["temperature"],
        covariance=settings["initial_covariance"],
    )
    for t, expected in enumerate(path):
        np.testing.assert_allclose(closure.propagation_matrix(t), expected, atol=1e-14)
        assert closure.coupling_constant[t] == pytest.approx(np.trace(expected[:3, :3]), abs=1e-14)
        assert closure.mean_constant[t] == pytest.approx(np.trace(expected[3:, 3:]), abs=1e-14)


def test_law_obeys_its_recursion(case, closure):
    problem, settings = case
    mean, covariance = settings["initial_mean"], settings["initial_covariance"]
    for t, tau in enumerate(settings["temperature"]):
        np.testing.assert_allclose(closure.mean[t], mean, atol=1e-14)
        np.testing.assert_allclose(closure.covariance(t), covariance, atol=1e-14)
        np.testing.assert_allclose(closure.predictions[t], problem.X @ mean, atol=1e-13)
        force = problem.X.T @ (problem.X @ mean - problem.y) / 9 + problem.l2_input * mean
        mean = mean - settings["step_size"] * force
        decay = 1 - settings["step_size"] * problem.l2_input
        covariance = decay**2 * covariance + 2 * settings["step_size"] * tau * np.eye(3)


@pytest.mark.parametrize("n_particles", [16, 64])
def test_constants_are_those_of_simulated_particles(case, closure, n_particles):
    problem, settings = case
    n_replicas, rng = 3000, np.random.default_rng(n_particles)
    root = np.linalg.cholesky(settings["initial_covariance"])
    start = settings["initial_mean"] + rng.normal(size=(n_replicas, n_particles, 3)) @ root.T
    particles, copies, outputs = naive.linear_particles(
        problem.X,
        problem.y,
        start,
        start,
        step_size=settings["step_size"],
        l2=problem.l2_input,
        temperatures=settings["temperature"],
        rng=rng,
        drive=closure.predictions,
    )

    def deviates(samples, expected):
        error = samples.std(0, ddof=1) / np.sqrt(n_replicas)
        return np.abs(samples.mean(0) - expected) / error

    last = N_STEPS
    distance = n_particles * np.square(particles - copies).sum(-1).mean(1)
    assert deviates(distance, closure.coupling_constant[last]) < 4
    of_mean = n_particles * np.square(particles.mean(1) - closure.mean[last]).sum(-1)
    assert deviates(of_mean, closure.mean_constant[last]) < 4
    of_function = n_particles * np.square(outputs - closure.predictions[last]).mean(1)
    assert deviates(of_function, closure.function_constant[last]) < 4
    centred = particles[:, 0] - closure.mean[last]
    products = centred[:, :, None] * centred[:, None, :]
    assert (deviates(products, closure.particle_covariance(last, n_particles)) < 4).all()
    # The same statistics do notice a law that is wrong by a tenth.
    assert deviates(distance, 1.1 * closure.coupling_constant[last]) > 4
    assert (deviates(products, 1.3 * closure.covariance(last)) > 4).any()


def test_all_particles_are_displaced_by_one_vector(case, closure):
    problem, settings = case
    rng = np.random.default_rng(5)
    start = rng.normal(size=(2, 8, 3))
    particles, copies, _ = naive.linear_particles(
        problem.X,
        problem.y,
        start,
        start,
        step_size=settings["step_size"],
        l2=problem.l2_input,
        temperatures=settings["temperature"],
        rng=rng,
        drive=closure.predictions,
    )
    shift = particles - copies
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=1e-13)
    np.testing.assert_allclose(
        mf.wasserstein2(particles[0], copies[0]), np.square(shift[0, 0]).sum(), rtol=1e-10
    )


def test_bias_is_one_more_input(case):
    problem, _ = case
    ones = np.hstack([problem.X, np.ones((9, 1))])
    settings = {"step_size": 0.2, "n_steps": 10}
    with_bias = gaussian_closure(
        linear(problem.X, problem.y, bias=True, train=("w", "b")), **settings
    )
    plain = gaussian_closure(linear(ones, problem.y), **settings)
    np.testing.assert_array_equal(with_bias.predictions, plain.predictions)
    np.testing.assert_array_equal(with_bias.coupling_constant, plain.coupling_constant)


@pytest.mark.parametrize("integrator", ["euler", "exponential-euler"])
def test_step_size_to_zero_gives_the_flow_in_continuous_time(integrator):
    X, y, time = np.array([[0.5], [-1.0], [2.0]]), np.array([1.0, 0.0, 1.5]), 2.0
    rate = (X.T @ X / 3)[0, 0] + 0.3
    mean = (X[:, 0] @ y / 3) / rate * -np.expm1(-rate * time)
    variance = np.exp(-0.6 * time) + 0.2 / 0.3 * -np.expm1(-0.6 * time)
    errors = []
    for n_steps in (20, 40, 80, 160):
        law = gaussian_closure(
            linear(X, y), step_size=time / n_steps, n_steps=n_steps, integrator=integrator
        )
        errors.append([abs(law.mean[-1, 0] - mean), abs(law.covariance(n_steps)[0, 0] - variance)])
    errors = np.array(errors)
    slope = np.log2(errors[-2] / errors[-1])
    assert slope[0] == pytest.approx(1, abs=0.05)
    if integrator == "euler":
        assert slope[1] == pytest.approx(1, abs=0.05)
    else:  # the spread does not feel the data: the λ part is exact
        assert errors[:, 1].max() < 1e-13


def test_schedule_without_noise_and_without_penalty(case):
    problem, _ = case
    cold = linear(problem.X, problem.y, l2=0.0, temperature=0.0)
    law = gaussian_closure(cold, step_size=0.1, n_steps=5, integrator="exponential-euler")
    same = gaussian_closure(cold, step_size=0.1, n_steps=5)
    np.testing.assert_array_equal(law.predictions, same.predictions)
    np.testing.assert_allclose(law.covariance(5), np.eye(3))


def test_output_axis_follows_the_targets(case):
    problem, _ = case
    column = gaussian_closure(linear(problem.X, problem.y[:, None]), step_size=0.1, n_steps=3)
    flat = gaussian_closure(linear(problem.X, problem.y), step_size=0.1, n_steps=3)
    np.testing.assert_array_equal(column.predictions, flat.predictions[..., None])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation": "tanh"}, "activation is 'tanh'"),
        ({"loss": "logistic", "y": np.ones(9)}, "loss is 'logistic'"),
        ({"train": ("a", "w")}, r"\('a', 'w'\), not \('w',\)"),
        ({"bias": True}, r"\('w',\), not \('w', 'b'\)"),
        ({"y": np.ones((9, 2))}, "2 outputs"),
    ],
)
def test_refuses_what_does_not_close_and_names_the_reason(case, changes, reason):
    problem = case[0].replace(**changes)
    with pytest.raises(ValueError, match=reason) as caught:
        gaussian_closure(problem, step_size=0.1, n_steps=1)
    assert "method='particles'" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"step_size": 0.0}, "step_size"),
        ({"n_steps": -1}, "n_steps"),
        ({"integrator": "heun"}, "heun"),
        ({"temperature": [0.1, -0.1]}, "temperature"),
        ({"initial_mean": np.ones(2)}, "initial_mean"),
        ({"initial_covariance": -np.eye(3)}, "initial_covariance"),
    ],
)
def test_refuses_bad_arguments(case, arguments, name):
    with pytest.raises(ValueError, match=name):
        gaussian_closure(case[0], **({"step_size": 0.1, "n_steps": 2} | arguments))


def test_divergence_names_a_step_size_that_holds(case):
    problem, _ = case
    with pytest.raises(mf.DivergenceError) as caught:
        gaussian_closure(problem, step_size=100.0, n_steps=400)
    assert 0 < caught.value.step < 400
    stable = gaussian_closure(problem, step_size=caught.value.stable_step_size, n_steps=4000)
    assert np.abs(stable.predictions).max() < 100
