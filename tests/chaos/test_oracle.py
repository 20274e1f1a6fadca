"""Particle systems against the exact Gaussian closure: the constant of the 1/N rate."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos.metrics import coupling

REPLICAS, STEPS, TIMES = 400, 80, [4, 20, 80]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(30, 3)) * [1.0, 0.7, 0.4]
    y = X @ [1.0, -0.5, 0.2] + 0.1 * rng.normal(size=30)
    return mf.Problem(
        X, y, activation="identity", bias=False, train=("w",), l2=0.1, temperature=0.05
    )


@pytest.fixture(scope="module")
def path(problem):
    return mf.mean_field(problem, "gaussian", step_size=0.2, n_steps=STEPS)


@pytest.fixture(scope="module", params=[16, 64, 256])
def runs(request, problem, path):
    settings = {
        "n_particles": request.param, "step_size": 0.2, "n_steps": STEPS,
        "n_replicas": REPLICAS, "save_at": TIMES, "seed": 7,
    }  # fmt: skip
    return mf.simulate(problem, **settings), mf.simulate(problem, drive=path, **settings)


def within_four_errors(samples, exact):
    """Whether the mean over replicas lies within four standard errors of `exact`."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return np.all(np.abs(samples.mean(axis=0) - exact) < 4 * error)


def test_coupling_constant(runs, path):
    """E[N D_N(t)] = tr P_δδ(t) for every N."""
    interacting, copies = runs
    n = interacting.particles.n_particles
    for time in TIMES:
        distances = n * coupling(interacting.at(time), copies.at(time))
        assert within_four_errors(distances, path.details.coupling_constant[time])


def test_matched_w2_equals_the_coupling(runs):
    """Here every particle is displaced by the same vector, so the coupling is optimal."""
    interacting, copies = runs
    p, q = (r.particles.coordinates[:5] for r in (interacting, copies))
    np.testing.assert_allclose(
        mf.matched_wasserstein2(p, q),
        coupling(interacting.particles, copies.particles)[:5],
        rtol=1e-9,
    )


def test_function_constant(runs, path):
    """N E (1/n) Σ_j (f_N − f̄)² = tr(Σ̂ P_ee(t)) for every N."""
    interacting, _ = runs
    n = interacting.particles.n_particles
    error = np.mean((interacting.predictions - path.predictions[TIMES]) ** 2, axis=-1)
    assert within_four_errors(n * error, path.details.function_constant[TIMES])


def test_law_of_the_copies_is_the_gaussian(runs, path):
    """The copies are independent draws of N(m̄_t, C̄_t)."""
    _, copies = runs
    for time in TIMES:
        points = copies.at(time).w
        gap = points - path.details.mean[time]
        assert within_four_errors(points.mean(axis=1), path.details.mean[time])
        products = np.einsum("rni,rnj->rij", gap, gap) / points.shape[1]
        assert within_four_errors(products, path.details.covariance(time))


def test_law_of_one_particle_at_finite_n(runs, path):
    """Mean and covariance of a particle of the interacting system, exact for every N."""
    interacting, _ = runs
    n = interacting.particles.n_particles
    for time in TIMES:
        points = interacting.at(time).w
        center = points.mean(axis=1)
        gap = points - path.details.mean[time]
        assert within_four_errors(center, path.details.mean[time])
        fluctuation = n * np.sum((center - path.details.mean[time]) ** 2, axis=-1)
        assert within_four_errors(fluctuation, path.details.mean_constant[time])
        products = np.einsum("rni,rnj->rij", gap, gap) / n
        assert within_four_errors(products, path.details.particle_covariance(time, n))


def test_w2_to_the_gaussian_limit(runs, path):
    """W2² from the law of one particle to the limit: both sides Gaussian, in closed form."""
    interacting, _ = runs
    n = interacting.particles.n_particles
    for time in TIMES:
        points = interacting.at(time).w
        limit = path.details.mean[time], path.details.covariance(time)
        centers = points.mean(axis=1)
        squares = np.einsum("rni,rnj->rij", points, points) / n

        def distance(center, square, limit=limit):
            return mf.gaussian_wasserstein2(center, square - np.outer(center, center), *limit)

        # The jackknife over replicas removes the upward bias of sample moments.
        total = distance(centers.mean(0), squares.mean(0))
        center_sum, square_sum = centers.sum(0), squares.sum(0)
        left_out = np.array(
            [
                distance((center_sum - c) / (REPLICAS - 1), (square_sum - s) / (REPLICAS - 1))
                for c, s in zip(centers, squares, strict=True)
            ]
        )
        pseudo = REPLICAS * total - (REPLICAS - 1) * left_out
        exact = mf.gaussian_wasserstein2(
            limit[0], path.details.particle_covariance(time, n), *limit
        )
        assert within_four_errors(pseudo, exact)


def test_large_system_approaches_the_closure(problem, path):
    """The particle path of M particles misses the exact one by O(1/M) in mean square."""
    errors = []
    for size in (1000, 16000):
        large = mf.mean_field(problem, n_particles=size, step_size=0.2, n_steps=STEPS, seed=2)
        errors.append(size * np.mean((large.predictions - path.predictions) ** 2))
    constant = path.details.function_constant.mean()
    for error in errors:
        assert 0.05 * constant < error < 4 * constant
