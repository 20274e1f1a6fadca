"""Sharp laws of linear networks: the numbers of the theory, the recursion, and replicas."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.limit.gaussian_closure import gaussian_closure

ONE = {"activation": "identity", "bias": False, "train": ("w",)}


def scalar(s=0.9, l2=0.3, temperature=0.2):
    return mf.Problem([[np.sqrt(s)]], [1.0], l2=l2, temperature=temperature, **ONE)


def test_the_numbers_of_the_theory():
    law = mf.limit.sharp_chaos(scalar(), 16, 0.1)
    assert law.pair_covariance[0, 0] / law.variance == pytest.approx(-0.738032, abs=5e-7)
    divergences = [law.kullback_leibler(k) for k in (1, 2, 4, 16)]
    assert divergences == pytest.approx([5.48870e-4, 2.268337e-3, 9.727831e-3, 0.300750], rel=2e-6)
    squares = [law.wasserstein2(k) for k in (1, 2, 4, 16)]
    assert squares == pytest.approx([3.68567e-4, 1.510589e-3, 6.362155e-3, 0.161294], rel=2e-6)
    assert 16 * law.free_energy_gap == pytest.approx(0.138629, abs=5e-7)
    assert 16 * law.product_free_energy_gap == pytest.approx(0.3)


def problem(seed=0):
    X = np.random.default_rng(seed).normal(size=(8, 2))
    return mf.Problem(X, X[:, 0], activation="identity", train=("w", "b"), l2=0.3, temperature=0.1)


def test_it_is_where_the_recursion_ends():
    law = mf.limit.sharp_chaos(problem(), 8, 0.2)
    closure = gaussian_closure(problem(), mf.Scheme.of(problem(), step_size=0.2, n_steps=600))
    limit, fluctuation = closure.covariance(600), closure.propagation_matrix(600)[3:, 3:]
    np.testing.assert_allclose(limit, law.variance * np.eye(3), atol=1e-12)
    np.testing.assert_allclose(fluctuation - limit, law.pair_covariance, atol=1e-12)


def test_divergence_and_distance_are_those_of_gaussians():
    law = mf.limit.sharp_chaos(problem(), 5, 0.2)
    k, N, p = 3, 5, 3
    shared = law.pair_covariance / N
    own = law.variance * np.eye(p) + shared  # of one neuron of N
    whole = np.kron(np.eye(k), own - shared) + np.kron(np.ones((k, k)), shared)
    ratio = whole / law.variance
    divergence = 0.5 * (np.trace(ratio) - k * p - np.linalg.slogdet(ratio)[1])
    assert law.kullback_leibler(k) == pytest.approx(divergence, rel=1e-9)
    zero = np.zeros(k * p)
    distance = mf.gaussian_wasserstein2(zero, whole, zero, law.variance * np.eye(k * p))
    assert law.wasserstein2(k) == pytest.approx(distance, rel=1e-6)


def test_free_energy_gap_of_the_product_measure_is_half_the_variance_of_the_outputs():
    linear = problem()
    law = mf.limit.sharp_chaos(linear, 7, 1e-6)
    inner = linear.with_bias(linear.X)
    variances = law.variance * np.square(inner).sum(1)
    assert law.product_free_energy_gap == pytest.approx(0.5 * variances.mean() / 7, rel=1e-5)


@pytest.mark.parametrize("networks", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_replicas_by_exchangeability(networks):
    """The exact covariance holds for every N and step."""
    linear = problem()
    run = mf.simulate(linear, n_particles=6, n_replicas=networks, step_size=0.2, n_steps=12, seed=5)
    particles = run.particles
    found = mf.chaos.pair_covariance(np.concatenate([particles.w, particles.b[..., None]], axis=2))
    closure = gaussian_closure(linear, mf.Scheme.of(linear, step_size=0.2, n_steps=12))
    exact = closure.propagation_matrix(12)[3:, 3:] - closure.covariance(12)
    error = found.width / (2 * 1.96)
    assert (np.abs(found.value - exact) < 4 * error).all()
    assert (np.abs(np.diag(exact)) > 6 * np.diag(error)).all()


def test_pair_covariance_of_few_networks_is_unbiased():
    """The mean of all networks is taken off, which the estimate makes up for."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=(4000, 3, 1))  # 4000 experiments of three networks
    values = common + rng.normal(size=(4000, 3, 4))
    found = np.array([mf.chaos.pair_covariance(x).value for x in values])
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - 4.0) < 4 * error  # N times the covariance 1
    assert error < 0.15


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: mf.limit.sharp_chaos(scalar(), 4, 2.0),
            "step_size must be below 1.67 to be stable",
        ),
        (lambda: mf.limit.sharp_chaos(scalar(l2=0.0), 4, 0.1), "unless l2 and temperature are"),
        (lambda: mf.limit.sharp_chaos(scalar(), 4, 0.1).wasserstein2(5), "k must be at most 4"),
        (lambda: mf.limit.sharp_chaos(mf.Problem([[1.0]], [1.0]), 4, 0.1), "does not apply"),
        (lambda: mf.chaos.pair_covariance(np.ones((1, 4))), "R and N at least 2"),
    ],
)
def test_what_has_no_sharp_law(call, match):
    with pytest.raises(ValueError, match=match):
        call()
