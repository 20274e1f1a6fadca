"""The mean-field path and its two sources."""

import numpy as np
import pytest

import meanfield as mf


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(12, 2))
    return mf.Problem(X, np.sin(X[:, 0]), l2=0.1, temperature=0.05)


SETTINGS = {"step_size": 0.2, "n_steps": 40}


def test_is_one_large_system_at_every_step(problem):
    path = mf.mean_field(problem, n_particles=300, seed=3, **SETTINGS)
    assert path.predictions.shape == (41, 12)
    assert path.scheme.n_steps == 40
    run = mf.simulate(problem, 300, 0.2, 40, seed=3, first_replica=2**32 - 1, save_at=range(41))
    np.testing.assert_array_equal(path.predictions, run.predictions[0])
    np.testing.assert_array_equal(path.particles.coordinates, run.particles.coordinates)
    np.testing.assert_allclose(path.loss, run.loss[0])


def test_is_independent_of_the_replicas(problem):
    path = mf.mean_field(problem, n_particles=64, n_steps=0)
    run = mf.simulate(problem, 64, n_steps=0, n_replicas=3)
    assert not np.any(path.particles.coordinates == run.particles.coordinates)


def test_interrupted_path_ends_with_the_same_bits(problem, tmp_path, monkeypatch):
    from meanfield.flow.checkpoint import Checkpoint

    monkeypatch.setattr(Checkpoint, "due", lambda self: True)

    def stop(step, n_steps):
        if step >= 15:
            raise KeyboardInterrupt

    settings = {**SETTINGS, "n_particles": 200, "checkpoint": tmp_path / "state"}
    with pytest.raises(KeyboardInterrupt):
        mf.mean_field(problem, progress=stop, **settings)
    resumed = mf.mean_field(problem, **settings)
    again = mf.mean_field(problem, **settings)
    whole = mf.mean_field(problem, n_particles=200, **SETTINGS)
    np.testing.assert_array_equal(resumed.predictions, whole.predictions)
    np.testing.assert_array_equal(again.predictions, whole.predictions)


def test_vector_outputs():
    X = np.random.default_rng(0).normal(size=(9, 2))
    problem = mf.Problem(X, np.arange(9) % 3, loss="cross-entropy", temperature=0.01)
    path = mf.mean_field(problem, n_particles=50, n_steps=5)
    assert path.predictions.shape == (6, 9, 3)
    copies = mf.simulate(problem, 20, 0.1, 5, drive=path)
    assert copies.predictions.shape == (1, 2, 9, 3)


def test_gaussian_follows_scale_and_schedule():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(15, 2))
    problem = mf.Problem(
        X, X[:, 0], activation="identity", bias=False, train=("w",), l2=0.1, temperature=0.1
    )
    cooling = np.geomspace(0.5, 0.01, 40)
    settings = {**SETTINGS, "init": mf.InitialLaw(scale=2.0), "temperature": cooling}
    exact = mf.mean_field(problem, "gaussian", **settings)
    large = mf.mean_field(problem, n_particles=20000, **settings)
    covariance = exact.details.covariance(40)
    four_errors = 4 * covariance[0, 0] * np.sqrt(2 / 20000)
    np.testing.assert_allclose(np.cov(large.particles.w[0].T), covariance, atol=four_errors)
    scatter = np.sqrt(exact.details.function_constant / 20000)
    gap = np.sqrt(np.mean((large.predictions - exact.predictions) ** 2, axis=1))
    assert np.all(gap < 4 * scatter)
    assert exact.n_particles is None


def test_laws_on_a_grid_agree_with_a_large_system():
    X = np.linspace(-2, 2, 8)[:, None]
    problem = mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), l2=0.2, temperature=0.1)
    settings = {"step_size": 0.1, "n_steps": 20}
    chain = mf.mean_field(problem, "chain", **settings)
    large = mf.mean_field(problem, n_particles=2**16, **settings)
    np.testing.assert_allclose(large.predictions, chain.predictions, atol=4 / 2**8)
    continuous = mf.mean_field(problem, "fokker-planck", **settings)
    assert 1e-5 < np.max(np.abs(continuous.predictions - chain.predictions)) < 0.05
    assert chain.details.error.max() < 1e-6
    rates = mf.chaos_rates(problem, [8, 16, 32], 24, reference=chain, cloud_replicas=0, **settings)
    assert rates.fits["coupling"].slope.agrees


def test_methods_that_do_not_apply_say_why(problem):
    with pytest.raises(ValueError, match="activation is 'tanh'"):
        mf.mean_field(problem, "gaussian", **SETTINGS)
    with pytest.raises(ValueError, match=r"gausian.*Did you mean 'gaussian'"):
        mf.mean_field(problem, "gausian", **SETTINGS)
    X = problem.X
    linear = mf.Problem(X, X[:, 0], activation="identity", bias=False, train=("w",))
    with pytest.raises(ValueError, match="needs init='gaussian', got 'laplace'"):
        mf.mean_field(linear, "gaussian", init="laplace", **SETTINGS)
