"""Declared orders against fitted ones: shared Brownian paths, exact stationary laws."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.integrators import INTEGRATORS, get_integrator, some_steps
from tests.flow import exact_laws

NAMES = list(INTEGRATORS)
STEP_SIZES = [0.05, 0.1, 0.2, 0.4]


class TestFit:
    def test_a_power_is_recovered(self):
        h = np.array([0.4, 0.1, 0.2])
        fit = mf.fit_order(h, -3 * h**1.5)
        assert fit.slope.value == pytest.approx(1.5, abs=1e-12)
        assert fit.constant.value == pytest.approx(-3)
        np.testing.assert_allclose(fit.local_slopes, 1.5)
        assert mf.fit_order(h, h**3, squared=True).slope.value == pytest.approx(1.5)

    def test_the_correction_removes_what_bends_the_line(self):
        h = np.array(STEP_SIZES)
        errors = h**2 * np.exp(0.7 * h)
        assert mf.fit_order(h, errors).slope.value > 2.1
        assert mf.fit_order(h, errors, correction=True).slope.value == pytest.approx(2, abs=1e-9)

    def test_intervals_cover(self):
        """95 % intervals over 12 replicas that share their noise across step sizes."""
        h, hits = np.array(STEP_SIZES), 0
        rng = np.random.default_rng(0)
        for _ in range(1000):
            common = rng.normal(size=12)
            errors = h[:, None] * (1 + 0.3 * common + 0.1 * rng.normal(size=(4, 12)))
            hits += mf.fit_order(h, errors, expected=1.0).slope.agrees
        assert 930 <= hits <= 970

    @pytest.mark.parametrize(
        ("h", "errors", "message"),
        [
            ([0.1, 0.2], [1, 2], "at least 3 different step sizes"),
            ([0.1, 0.1, 0.2], [1, 1, 2], "at least 3 different step sizes"),
            ([0.1, 0.2, 0.4], [1, -1, 2], "changes sign between the step sizes 0.1 and 0.2"),
            ([0.1, 0.2, 0.4], [1, 0, 2], "zero up to rounding at step_size=0.2"),
            ([0.1, 0.2, 0.4], [1, 1, 1], "does not fall with the step size"),
            ([0.1, 0.2, 0.4], [1, 1.05, 4], "no power of the step size: its local order goes from"),
            ([0.1, 0.2, 0.4], [1, np.nan, 4], "errors must be finite"),
            ([0.1, 0.2, -0.4], [1, 2, 4], "step_sizes must be finite and greater than 0"),
            ([0.1, 0.2, 0.4], [1, 2], r"errors must have shape \(K,\) or \(K, R\)"),
        ],
    )
    def test_what_cannot_be_fitted_is_told(self, h, errors, message):
        with pytest.raises(ValueError, match=message):
            mf.fit_order(h, errors)

    @pytest.mark.parametrize("errors", ["abc", ["a", "b", "c"], [[1, 2], [3], [4]]])
    def test_words_are_not_fitted(self, errors):
        with pytest.raises(TypeError, match="step_sizes and errors must hold numbers"):
            mf.fit_order([0.1, 0.2, 0.4], errors)

    def test_noise_is_not_fitted(self):
        noise = np.random.default_rng(1).normal(size=(3, 20))
        with pytest.raises(ValueError, match="an order would be fitted to noise"):
            mf.fit_order([0.1, 0.2, 0.4], np.array([[0.1], [0.2], [0.4]]) + noise)


def pathwise(name, temperature):
    """Squared distance from the finely resolved path of the same Brownian motion, (K, R)."""
    x = np.linspace(-1, 1, 8)[:, None]
    problem = mf.Problem(x, np.sin(2 * x[:, 0]), l2=0.3, temperature=temperature)
    fine = STEP_SIZES[0] / 16

    def end(integrator, m):
        run = mf.simulate(
            problem, 256, m * fine, round(3.2 / (m * fine)), integrator=integrator, n_replicas=8,
            substeps=m, seed=1,
        )  # fmt: skip
        return run.particles.coordinates

    # Leimkuhler and Matthews' own fine path would still be off by the root of its step.
    exact = end("euler" if name == "leimkuhler-matthews" else name, 1)
    errors = [end(name, round(h / fine)) - exact for h in STEP_SIZES]
    return [np.square(error).sum(-1).mean(1) for error in errors]


@pytest.mark.parametrize("name", NAMES)
def test_strong_order_on_refined_paths(name):
    fit = mf.fit_order(STEP_SIZES, pathwise(name, 0.3), squared=True)
    assert abs(fit.slope.value - INTEGRATORS[name].strong_order) < 0.06


@pytest.mark.parametrize(
    ("name", "order"),
    [("euler", 1), ("exponential-euler", 1), ("leimkuhler-matthews", 1), ("kinetic", 2)],
)
def test_order_without_noise(name, order):
    fit = mf.fit_order(STEP_SIZES, pathwise(name, 0.0), squared=True)
    assert abs(fit.slope.value - order) < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_stationary_order_of_a_gaussian_law(name):
    """One mode of curvature 0.8, of which 0.2 is the penalty's."""
    exact = 0.5 / 0.8
    variance = [exact_laws.linear_variance(name, h, 0.2, 0.6, 0.5) for h in STEP_SIZES]
    closed = {
        "euler": [exact / (1 - 0.4 * h) for h in STEP_SIZES],
        "leimkuhler-matthews": [exact] * 4,  # exact at every step size
        "kinetic": [exact / (1 - 0.2 * h**2) for h in STEP_SIZES],
    }
    if name in closed:
        np.testing.assert_allclose(variance, closed[name], rtol=1e-12)
    if name != "leimkuhler-matthews":
        fit = mf.fit_order(STEP_SIZES, np.array(variance) - exact, correction=True)
        assert abs(fit.slope.value - INTEGRATORS[name].stationary_order) < 0.03


def test_stationary_order_of_a_law_that_is_not_gaussian():
    """Bias of E x² in the well λ x²/2 + tanh²(x)/2 − 0.3 tanh(x), by quadrature."""
    l2, tau = 0.4, 0.3

    def data_force(x):
        return (np.tanh(x) - 0.3) / np.cosh(x) ** 2

    def force(x):
        return l2 * x + data_force(x)

    def euler_like(name, h):
        steps = some_steps(np.array([h]), np.array([tau]), 0, 1)
        decay, gain, (noise,), _ = get_integrator(name).coefficients(np.array([l2]), steps)
        decay, gain, noise = (float(np.ravel(value)[0]) for value in (decay, gain, noise))
        return exact_laws.markov_mean(
            lambda x: decay * x - gain * data_force(x), noise, np.square, 6.0
        )

    def potential(x):
        return l2 * x**2 / 2 + np.tanh(x) ** 2 / 2 - 0.3 * np.tanh(x)

    exact = exact_laws.gibbs_mean(potential, tau, np.square)
    measured = {
        "euler": (STEP_SIZES, lambda h: euler_like("euler", h)),
        "exponential-euler": (STEP_SIZES, lambda h: euler_like("exponential-euler", h)),
        "leimkuhler-matthews": (
            [0.05, 0.07, 0.1, 0.14],
            lambda h: exact_laws.leimkuhler_matthews_mean(force, h, tau, np.square, 6.0),
        ),
        "kinetic": (
            [0.25, 0.35, 0.5, 0.7],
            lambda h: exact_laws.obabo_mean(force, h, tau, 2.0, np.square, 6.0),
        ),
    }
    for name, (step_sizes, mean) in measured.items():
        errors = np.array([mean(h) for h in step_sizes]) - exact
        fit = mf.fit_order(step_sizes, errors, correction=name != "kinetic")
        assert abs(fit.slope.value - INTEGRATORS[name].stationary_order) < 0.1, (name, fit)
        # Second order pays off already at a large step.
        if INTEGRATORS[name].stationary_order == 2:
            assert abs(errors[0]) < 0.03 * exact


@pytest.mark.parametrize("name", NAMES)
def test_the_simulator_reaches_the_stationary_law_of_its_scheme(name):
    """Particles around their mean see λ alone, the mean also the data; step size 1 is coarse."""
    X = np.array([[0.9], [-0.7], [0.8]])
    problem = mf.Problem(
        X, X[:, 0], activation="identity", bias=False, train=("w",), l2=0.5, temperature=0.3
    )
    gram = float(np.mean(X**2))
    run = mf.simulate(problem, 48, 1.0, 40, integrator=name, n_replicas=600, seed=2)
    w = run.particles.w[..., 0]
    around = w.var(axis=1, ddof=1)
    exact = exact_laws.linear_variance(name, 1.0, 0.5, 0.0, 0.3)
    assert abs(around.mean() - exact) < 4 * around.std() / np.sqrt(600)
    mean = 48 * w.mean(axis=1)
    exact = 48 * exact_laws.linear_variance(name, 1.0, 0.5, gram, 0.3)
    assert abs(mean.var() - exact) < 4 * exact * np.sqrt(2 / 600)


@pytest.mark.parametrize("name", ["euler", "exponential-euler", "leimkuhler-matthews"])
def test_the_closure_is_the_law_of_every_scheme(name):
    X = np.array([[0.9], [-0.7], [0.8]])
    problem = mf.Problem(
        X, X[:, 0], activation="identity", bias=False, train=("w",), l2=0.5, temperature=0.3
    )
    path = mf.mean_field(problem, "gaussian", step_size=0.8, n_steps=80, integrator=name)
    gram = float(np.mean(X**2))
    closure = path.details
    assert closure.covariance(80)[0, 0] == pytest.approx(
        exact_laws.linear_variance(name, 0.8, 0.5, 0.0, 0.3), rel=1e-12
    )
    assert closure.mean_constant[80] == pytest.approx(
        exact_laws.linear_variance(name, 0.8, 0.5, gram, 0.3), rel=1e-12
    )


def test_the_closure_counts_the_correlated_noise_in_the_coupling():
    """N E D_N after a few steps of every kind, against 4000 replicas of 4 particles."""
    X = np.array([[1.2], [-0.7]])
    problem = mf.Problem(
        X, X[:, 0], activation="identity", bias=False, train=("w",), l2=0.3, temperature=0.5
    )
    settings = {
        "step_size": mf.schedule.Geometric(0.9, 0.3),
        "n_steps": 6,
        "integrator": "leimkuhler-matthews",
        "temperature": mf.schedule.Geometric(0.5, 0.1),
    }
    path = mf.mean_field(problem, "gaussian", **settings)
    assert path.times[-1] == pytest.approx(settings["step_size"].values(6).sum())
    copies = mf.simulate(problem, 4, drive=path, n_replicas=4000, **settings)
    system = mf.simulate(problem, 4, n_replicas=4000, **settings)
    gap = 4 * np.square(system.particles.w - copies.particles.w).mean(axis=(1, 2))
    assert abs(gap.mean() - path.details.coupling_constant[-1]) < 4 * gap.std() / np.sqrt(4000)


def test_limits_refuse_schemes_they_do_not_have():
    x = np.linspace(-1, 1, 5)[:, None]
    linear = mf.Problem(
        x, x[:, 0], activation="identity", bias=False, train=("w",), l2=0.3, temperature=0.5
    )
    with pytest.raises(ValueError, match="closure has no velocities, which integrator='kinetic'"):
        mf.mean_field(linear, "gaussian", integrator="kinetic")
    with pytest.raises(ValueError, match="solves the overdamped equation"):
        mf.mean_field(linear, "fokker-planck", integrator="kinetic", step_size=0.1, n_steps=2)
    for name in ("kinetic(2)", "leimkuhler-matthews"):
        with pytest.raises(ValueError, match="chain needs an integrator whose next law depends"):
            mf.mean_field(linear, "chain", integrator=name, step_size=0.1, n_steps=2)
