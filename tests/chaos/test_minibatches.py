"""Rates with minibatches: the limit is the one given the batches, which all systems share."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import meanfield as mf
from meanfield.flow.minibatch import Minibatch, draw_batch, shared
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.limit.mean_field import mean_field_path

STEPS, SIZE, RUN = 20, 0.3, {"step_size": 0.3, "n_steps": 20, "seed": 5}


@pytest.fixture(scope="module")
def linear():
    X = np.random.default_rng(1).normal(size=(12, 2))
    y = X @ [1.0, -0.5] + 0.5 * X[:, 0] ** 2  # gradients of batches differ at the minimum, too
    return mf.Problem(X, y, "identity", bias=False, train=("w",), l2=0.2, temperature=0.05)


def exact_constant(problem, batch_size, period):
    """N E|f_N − f̄|² at every step: means of neurons, and of their anchors, recur linearly."""
    X, one = problem.X, np.eye(2)
    covariance, constants = np.tile(one, (2, 2)), []
    for t in range(STEPS + 1):
        if period is None or t % period == 0:
            keep = np.vstack([np.hstack([one, 0 * one])] * 2)
            covariance = keep @ covariance @ keep.T
        constants.append(np.einsum("ni,ij,nj->n", X, covariance[:2, :2], X).mean())
        of = X[draw_batch(RUN["seed"], 0, t, len(X), batch_size)]
        here, everywhere = of.T @ of / len(of), X.T @ X / len(X)
        still = 0 * one if period is None else SIZE * (here - everywhere)
        step = np.block([[one - SIZE * (problem.l2_input * one + here), still], [0 * one, one]])
        covariance = step @ covariance @ step.T
        covariance[:2, :2] += 2 * SIZE * problem.temperature * one
    return np.array(constants)


@pytest.mark.parametrize("period", [None, 4])
def test_the_function_distance_is_that_of_the_recursion(linear, period):
    times = [1, 7, 20]
    batches = {"batch_size": 3, "anchor_period": period}
    rates = mf.chaos_rates(linear, [4, 8, 16], 144, times=times, cloud_replicas=0, **RUN, **batches)
    found = (rates.dataset["function"] * rates.dataset["particles"]).transpose(..., "replica")
    mean, error = found.mean("replica").values, found.std("replica").values / 12
    assert (np.abs(mean - exact_constant(linear, 3, period)[times]) < 4 * error).all()
    assert rates.dataset.attrs["reference"] == "particles"


def test_a_limit_of_other_batches_is_refused(linear):
    path = mf.mean_field(linear, n_particles=64, batch_size=3, **RUN)
    sizes = {"particle_counts": [2, 4, 8], "n_replicas": 4, **RUN}
    for change in ({"batch_size": 4}, {"batch_size": 3, "seed": 6}, {}):
        with pytest.raises(ValueError, match="reference was computed for other minibatches"):
            mf.chaos_rates(linear, **{**sizes, **change}, reference=path)
        with pytest.raises(ValueError, match="drive was computed for other minibatches"):
            mf.simulate(linear, 4, **{**RUN, **change}, drive=path)
    whole = mf.mean_field(linear, n_particles=64, **RUN)
    with pytest.raises(ValueError, match="reference was computed for other minibatches"):
        mf.chaos_rates(linear, **sizes, batch_size=3, reference=whole)


@pytest.mark.parametrize("method", ["gaussian", "chain", "fokker-planck"])
def test_exact_limits_are_those_of_full_gradients(linear, method):
    with pytest.raises(ValueError, match=r"limit of full gradients; leave out batch_size, or use"):
        mf.mean_field(linear, method, batch_size=3, **RUN)


@pytest.mark.parametrize("period", [None, 5])
def test_a_path_has_what_is_asked_of_it(linear, period):
    scheme = Scheme.of(linear, batch_size=3, anchor_period=period, **RUN)
    scheme = replace(scheme, minibatch=shared(scheme.minibatch))
    whole = mean_field_path(linear, scheme, "particles", 64)
    some = mean_field_path(linear, scheme, "particles", 64, full_at=[7, 20])
    assert np.isfinite(whole.predictions).all()
    there = np.isfinite(some.predictions)
    assert_allclose(some.predictions[there], whole.predictions[there], atol=1e-12)
    full = {7, 20} if period is None else {0, 5, 7, 10, 15, 20}
    assert set(np.flatnonzero(there.all(axis=1))) == full
    assert_array_equal(np.flatnonzero(there[3]), draw_batch(RUN["seed"], 0, 3, 12, 3))
    # Copies need no more than that.
    copies = [simulate_scheme(linear, scheme, 8, drive=path).particles for path in (whole, some)]
    assert_allclose(copies[0].w, copies[1].w, atol=1e-12)


def test_replicas_that_share_batches_feel_the_same(linear):
    start = mf.simulate(linear, 4, n_steps=1).particles
    twice = mf.Particles(np.repeat(start.a, 2, 0), np.repeat(start.w, 2, 0), None)
    for common in (False, True):
        scheme = Scheme.of(linear, temperature=0.0, batch_size=3, **RUN)
        scheme = replace(scheme, minibatch=Minibatch(3, shared=common))
        w = simulate_scheme(linear, scheme, start=twice).particles.w
        assert np.array_equal(w[0], w[1]) == common


def test_a_batch_of_all_data_is_the_full_gradient(linear):
    whole = mf.simulate(linear, 4, **RUN)
    batches = mf.simulate(linear, 4, **RUN, batch_size=12, anchor_period=3)
    assert_array_equal(whole.particles.w, batches.particles.w)
