"""The Fokker–Planck scheme: positivity, conservation, orders, and the laws it must reproduce."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import meanfield as mf
from meanfield.limit.fokker_planck import bernoulli, implicit_step
from meanfield.limit.grid import GridLaw
from tests.limit.by_keyword import fokker_planck

X = np.array([[-0.9], [-0.3], [0.4], [1.1]])
Y = np.array([-1.2, 0.1, 0.8, 0.6])


@pytest.fixture(scope="module")
def one():
    return mf.Problem(X, Y, "tanh", bias=False, train=("w",), l2=0.1, temperature=0.05)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    tau=st.sampled_from([0.0, 1e-4, 0.1, 30.0]),
    height=st.floats(0.01, 1e3),
    time_step=st.floats(1e-4, 1e4),
    axis=st.integers(0, 1),
)
def test_a_step_keeps_mass_and_sign_whatever_the_potential(seed, tau, height, time_step, axis):
    rng = np.random.default_rng(seed)
    masses = rng.random((7, 9)) ** 8
    masses /= masses.sum()
    potential = height * rng.normal(size=(7, 9))
    after = implicit_step(masses, potential, tau, 0.1, time_step, axis)
    assert (after >= 0).all()
    # Each line along the axis keeps its own mass.
    np.testing.assert_allclose(after.sum(axis), masses.sum(axis), rtol=1e-13)


def test_a_step_leaves_the_gibbs_law_where_it_is():
    potential = np.random.default_rng(0).normal(size=(8, 8))
    gibbs = np.exp(-potential / 0.3)
    gibbs /= gibbs.sum()
    for axis in (0, 1):
        after = implicit_step(gibbs, potential, 0.3, 0.1, 5.0, axis)
        np.testing.assert_allclose(after, gibbs, rtol=1e-12)


@given(rise=st.floats(-1e4, 1e4), tau=st.floats(1e-3, 10.0))
def test_bernoulli_function(rise, tau):
    forward, backward = bernoulli(np.array([rise, -rise]), tau)
    assert forward >= 0
    assert backward - forward == pytest.approx(rise, rel=1e-12, abs=1e-12 * tau)
    if 1e-3 < abs(rise / tau) < 30:
        assert forward == pytest.approx(rise / np.expm1(rise / tau), rel=1e-12)


def test_bernoulli_at_temperature_zero_is_upwind():
    np.testing.assert_array_equal(bernoulli(np.array([-2.0, 0.0, 3.0]), 0.0), [2.0, 0.0, 0.0])
    np.testing.assert_allclose(bernoulli(np.array([-2.0, 3.0]), 1e-4), [2.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 1e-4, 0.05])
def test_mass_and_sign_over_a_run(one, temperature):
    path = fokker_planck(
        one.replace(temperature=temperature), step_size=0.5, n_steps=60, n_cells=256, substeps=4
    )
    for law in path.laws:
        assert law.masses.min() >= 0
        assert abs(law.masses.sum() - 1) < 1e-12
    assert len(path.laws) == 61
    np.testing.assert_array_equal(path.at(7).masses, path.laws[7].masses)


def closed_form(problem, times):
    """Mean and variance of the linear problem in continuous time, from N(0, 1)."""
    rate = np.mean(problem.X**2) + problem.l2_input
    mean = np.mean(problem.X[:, 0] * problem.y) / rate * -np.expm1(-rate * times)
    decay = np.exp(-2 * problem.l2_input * times)
    return mean, decay + problem.temperature / problem.l2_input * (1 - decay)


def test_matches_the_gaussian_law_of_a_linear_problem(one):
    problem = one.replace(activation="identity")
    path = fokker_planck(problem, step_size=0.1, n_steps=30)
    mean, variance = closed_form(problem, 0.1 * np.arange(31))
    error = np.abs(path.predictions - mean[:, None] * X[:, 0]).max(1)
    assert (error <= path.error + 1e-12).all()
    assert path.error.max() < 5e-3
    np.testing.assert_allclose(path.extrapolated, mean[:, None] * X[:, 0], atol=3e-5)
    assert path.laws[-1].covariance()[0, 0] == pytest.approx(variance[-1], abs=2e-3)
    assert path.laws[-1].mean()[0] == pytest.approx(mean[-1], abs=2e-3)


def fitted_order(errors):
    return np.polyfit(np.arange(len(errors)), -np.log2(errors), 1)[0]


def test_order_one_in_time(one):
    shared = {"step_size": 1.0, "n_steps": 3, "n_cells": 128, "half_width": 9.0}
    runs = [fokker_planck(one, substeps=m, **shared).predictions for m in (8, 16, 32, 64, 512)]
    # The finest run has itself an error of 1/512.
    errors = [np.abs(run - runs[-1]).max() for run in runs[:-1]]
    errors = np.array(errors) / (1 - np.array([8, 16, 32, 64]) / 512)
    assert fitted_order(errors) == pytest.approx(1, abs=0.1)


def test_order_two_in_space(one):
    shared = {"step_size": 1.0, "n_steps": 3, "substeps": 4, "half_width": 9.0}
    runs = [fokker_planck(one, n_cells=m, **shared).predictions for m in (32, 64, 128, 256, 2048)]
    errors = [np.abs(run - runs[-1]).max() for run in runs[:-1]]
    assert fitted_order(errors) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(
    ("activation", "bias", "train"),
    [("tanh", False, ("w",)), ("relu", False, ("a", "w")), ("tanh", True, ("w", "b"))],
)
def test_ends_at_the_stationary_law(activation, bias, train):
    problem = mf.Problem(X, Y, activation, bias=bias, train=train, l2=0.2, temperature=0.05)
    path = fokker_planck(problem, step_size=8.0, n_steps=25, n_cells=160, substeps=4)
    law = mf.stationary(problem)
    np.testing.assert_allclose(path.predictions[-1], law.predictions, atol=1e-6)
    grid = path.laws[-1]
    points = np.stack(np.meshgrid(*grid.axes, indexing="ij"), -1)
    np.testing.assert_allclose(grid.density, law.density(points), atol=2e-3 * grid.density.max())
    np.testing.assert_allclose(grid.mean(), law.mean(), atol=1e-4)


def test_box_grows_with_the_law(one):
    problem = one.replace(y=np.array([-20.0, 0, 10, 30]), activation="identity", l2=0.01)
    path = fokker_planck(problem, step_size=0.5, n_steps=10, n_cells=256, substeps=4)
    assert path.laws[0].axes[0][-1] > 16
    with pytest.raises(ValueError, match="larger half_width"):
        fokker_planck(problem, step_size=0.5, n_steps=10, half_width=6.0)


def test_initial_laws(one):
    laplace = mf.InitialLaw("laplace", scale=0.5)
    law = fokker_planck(one, step_size=0.1, n_steps=0, init=laplace).laws[0]
    assert law.covariance()[0, 0] == pytest.approx(0.5, abs=1e-3)
    split = mf.InitialLaw("gaussian", scale=(0.5, 2.0, 1.0))
    both = fokker_planck(one.replace(train=("a", "w")), step_size=0.1, n_steps=0, init=split)
    np.testing.assert_allclose(np.diag(both.laws[0].covariance()), [0.25, 4.0], atol=5e-3)


def test_several_outputs_and_logistic_loss():
    problem = mf.Problem(
        X, np.stack([Y, -Y], 1), "tanh", bias=False, train=("w",), l2=0.2, temperature=0.1
    )
    path = fokker_planck(problem, step_size=4.0, n_steps=30, n_cells=256, substeps=4)
    assert path.predictions.shape == (31, 4, 2)
    np.testing.assert_allclose(path.predictions[-1], mf.stationary(problem).predictions, atol=1e-7)
    logistic = mf.Problem(
        X, [1.0, -1, 1, 1], "tanh", "logistic", bias=False, train=("w",), l2=0.2, temperature=0.1
    )
    path = fokker_planck(logistic, step_size=4.0, n_steps=30, n_cells=256, substeps=4)
    np.testing.assert_allclose(path.predictions[-1], mf.stationary(logistic).predictions, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "arguments", "reason"),
    [
        ({"train": ("a",)}, {}, "w is frozen"),
        ({"bias": True, "train": ("a", "w", "b")}, {}, "at most 2 trained coordinates"),
        ({}, {"init": "uniform-ball"}, "'gaussian' or 'laplace'"),
        ({}, {"init": mf.InitialLaw("gaussian", scale=0.0)}, "positive initial scale"),
        ({}, {"n_cells": 33}, "n_cells must be even"),
        ({}, {"substeps": 3}, "substeps must be even"),
        ({}, {"step_size": -1.0}, "step_size"),
    ],
)
def test_refuses_and_says_why(one, changes, arguments, reason):
    with pytest.raises(ValueError, match=reason):
        fokker_planck(one.replace(**changes), **({"step_size": 0.1, "n_steps": 1} | arguments))


@pytest.mark.parametrize(
    ("scale", "activation", "reason"),
    [
        (20.0, "identity", "not resolved.* use a smaller step_size"),
        (40.0, "identity", "step_size is too large"),
        (1.0, "he3", "not resolved.* use a smaller step_size"),
    ],
)
def test_an_unstable_path_is_refused(scale, activation, reason):
    x = np.linspace(-1, 1, 6)[:, None]
    problem = mf.Problem(
        scale * x, np.sin(2 * x[:, 0]), activation=activation, bias=False, train=("w",),
        l2=0.1, temperature=0.05,
    )  # fmt: skip
    with pytest.raises(ValueError, match=reason):
        mf.mean_field(problem, "fokker-planck", step_size=0.1, n_steps=10)


def test_a_law_that_was_not_kept_is_named(one):
    path = fokker_planck(one, step_size=0.1, n_steps=3, save_at=[0, 3])
    with pytest.raises(ValueError, match="step 2"):
        path.at(2)


class TestWasserstein:
    law = GridLaw((np.linspace(-9, 9, 901),), stats.norm.pdf(np.linspace(-9, 9, 901)) * 0.02)

    def test_of_one_point_is_its_second_moment(self):
        values = self.law.wasserstein2([[0.0], [1.5]])
        np.testing.assert_allclose(values, [1, 1 + 1.5**2], rtol=1e-7)

    def test_of_two_points_in_closed_form(self):
        # Each half of N(0, 1) goes to one point: mean ±sqrt(2/π).
        expected = 1 + 2.0**2 - 2 * 2.0 * np.sqrt(2 / np.pi)
        assert self.law.wasserstein2([-2.0, 2.0]) == pytest.approx(expected, rel=1e-7)

    def test_against_the_quantile_function(self):
        points = np.random.default_rng(0).standard_normal((3, 40))
        levels = (np.arange(400_000) + 0.5) / 400_000
        steps = np.sort(points)[:, (levels * 40).astype(int)]
        brute = np.square(steps - stats.norm.ppf(levels)).mean(1)
        np.testing.assert_allclose(self.law.wasserstein2(points), brute, rtol=3e-4)

    def test_moves_with_a_translation_and_ignores_order(self):
        points = np.random.default_rng(1).standard_normal(30)
        moved = GridLaw((self.law.axes[0] + 0.7,), self.law.masses)
        base = self.law.wasserstein2(points)
        assert moved.wasserstein2(points[::-1] + 0.7) == pytest.approx(base, rel=1e-10)

    @pytest.mark.parametrize("points", [1.0, [], [np.nan, 1.0], "ab"])
    def test_needs_finite_points(self, points):
        axis = np.linspace(-1, 1, 21)
        with pytest.raises((ValueError, TypeError), match="points must"):
            GridLaw((axis,), np.full(21, 1 / 21)).wasserstein2(points)

    def test_needs_one_coordinate(self):
        law = GridLaw((np.arange(3.0), np.arange(4.0)), np.full((3, 4), 1 / 12))
        with pytest.raises(ValueError, match="law of one coordinate"):
            law.wasserstein2([0.0])
        assert law.marginal(1).masses == pytest.approx(np.full(4, 1 / 4))


def test_step_sizes_of_a_schedule_are_times_on_one_path():
    """Entries at other times lie on the same path in continuous time."""
    x = np.linspace(-1, 1, 6)[:, None]
    problem = mf.Problem(x, np.sin(x[:, 0]), bias=False, train=("w",), l2=0.2, temperature=0.1)
    sizes = np.array([0.05, 0.05, 0.1, 0.2, 0.4])
    even = mf.mean_field(problem, "fokker-planck", step_size=0.05, n_steps=16)
    uneven = mf.mean_field(problem, "fokker-planck", step_size=sizes, n_steps=5)
    at = np.rint(uneven.times / 0.05).astype(int)
    np.testing.assert_allclose(uneven.predictions, even.predictions[at], atol=1e-3)
    assert np.abs(even.predictions[-1] - even.predictions[0]).max() > 0.05
