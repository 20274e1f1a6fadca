"""The law of the discrete chain: exact where a closed form exists, and without any particles."""

import numpy as np
import pytest

import meanfield as mf
from tests.limit.by_keyword import chain_law, fokker_planck, gaussian_closure

X = np.array([[-0.9], [-0.3], [0.4], [1.1]])
Y = np.array([-1.2, 0.1, 0.8, 0.6])


@pytest.fixture(scope="module")
def one():
    return mf.Problem(X, Y, "tanh", bias=False, train=("w",), l2=0.1, temperature=0.05)


@pytest.mark.parametrize("integrator", ["euler", "exponential-euler"])
def test_is_the_gaussian_closure_to_rounding(one, integrator):
    problem = one.replace(activation="identity")
    taus = np.linspace(0.1, 0.03, 40)
    settings = {"step_size": 0.5, "n_steps": 40, "integrator": integrator}
    exact = gaussian_closure(problem, temperature=taus, **settings)
    path = chain_law(problem, temperature=taus, **settings)
    np.testing.assert_allclose(path.predictions, exact.predictions, atol=1e-11)
    for t in (0, 1, 20, 40):
        np.testing.assert_allclose(path.at(t).mean(), exact.mean[t], atol=1e-11)
        np.testing.assert_allclose(path.at(t).covariance(), exact.covariance(t), atol=1e-11)
    assert path.error.max() < 1e-6


def test_is_the_gaussian_closure_in_two_coordinates(one):
    problem = one.replace(activation="identity", bias=True, train=("w", "b"))
    init = mf.InitialLaw("gaussian", scale=(1.0, 0.6, 0.4))
    exact = gaussian_closure(
        problem, step_size=1.0, n_steps=6, initial_covariance=np.diag([0.36, 0.16])
    )
    path = chain_law(problem, step_size=1.0, n_steps=6, init=init)
    np.testing.assert_allclose(path.predictions, exact.predictions, atol=1e-11)
    np.testing.assert_allclose(path.laws[-1].covariance(), exact.covariance(6), atol=1e-11)


@pytest.mark.parametrize(
    ("bias", "train"), [(False, ("w",)), (False, ("a", "w")), (True, ("w", "b"))]
)
def test_is_the_limit_of_the_particles(bias, train):
    problem = mf.Problem(X, Y, "tanh", bias=bias, train=train, l2=0.1, temperature=0.05)
    path = chain_law(problem, step_size=1.0, n_steps=8)
    run = mf.simulate(problem, 4000, 1.0, 8, n_replicas=50, seed=7, save_at=range(9))
    outputs = run.predictions
    error = outputs.std(0, ddof=1) / np.sqrt(50)
    assert (np.abs(outputs.mean(0) - path.predictions) < 4 * error + 1e-4).all()
    for law in path.laws:
        assert law.masses.min() >= 0
        assert abs(law.masses.sum() - 1) < 1e-12


def test_converges_to_the_flow_in_continuous_time_at_order_one(one):
    reference = fokker_planck(one, step_size=1.0, n_steps=2, substeps=128).extrapolated[-1]
    errors = [
        np.abs(chain_law(one, step_size=2 / m, n_steps=m).predictions[-1] - reference).max()
        for m in (8, 16, 32)
    ]
    assert np.polyfit(np.arange(3), -np.log2(errors), 1)[0] == pytest.approx(1, abs=0.1)


def test_stationary_bias_is_of_order_one_in_the_step_size(one):
    law = mf.stationary(one).predictions
    bias = [
        np.abs(
            chain_law(one, step_size=h, n_steps=int(150 / h), save_at=[0]).predictions[-1] - law
        ).max()
        for h in (1.0, 0.5, 0.25)
    ]
    assert np.polyfit(np.arange(3), -np.log2(bias), 1)[0] == pytest.approx(1, abs=0.1)


def test_kink_costs_order_two_in_the_spacing_and_the_error_knows(one):
    problem = one.replace(activation="relu", temperature=0.002)
    settings = {"step_size": 1.0, "n_steps": 12}
    paths = [chain_law(problem, spacing=s, **settings) for s in (0.8, 0.4, 0.2, 0.025)]
    errors = [np.abs(path.predictions - paths[-1].predictions).max() for path in paths[:-1]]
    assert np.polyfit(np.arange(3), -np.log2(errors), 1)[0] == pytest.approx(2, abs=0.3)
    for path, error in zip(paths[:-1], errors, strict=True):
        assert error < path.error.max()


@pytest.mark.parametrize("changes", [{"temperature": 1.0}, {"temperature": 4.0, "l2": 0.3}])
def test_lattice_resolves_the_features_however_large_the_noise(one, changes):
    """A step of noise far wider than the features must not set the spacing alone."""
    problem = mf.Problem(4 * X, Y, bias=False, train=("w",), **({"l2": 0.1} | changes))
    settings = {"step_size": 0.8, "n_steps": 6}
    path, fine = (chain_law(problem, spacing=s, **settings) for s in (0.8, 0.3))
    np.testing.assert_allclose(path.predictions, fine.predictions, atol=1e-8)
    assert path.error.max() < 1e-5


def test_lattice_resolves_a_narrow_start(one):
    init = mf.InitialLaw("gaussian", scale=0.02)
    path = chain_law(one, step_size=1.0, n_steps=2, init=init)
    assert path.laws[0].covariance()[0, 0] == pytest.approx(0.02**2, rel=1e-9)


def test_laplace_start_and_several_outputs(one):
    laplace = mf.InitialLaw("laplace", scale=0.5)
    path = chain_law(one, step_size=0.5, n_steps=2, init=laplace, spacing=0.2)
    assert path.laws[0].covariance()[0, 0] == pytest.approx(0.5, abs=2e-4)
    two = mf.Problem(X, np.stack([Y, -Y], 1), "tanh", bias=False, train=("w",), temperature=0.1)
    assert chain_law(two, step_size=0.5, n_steps=2).predictions.shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("changes", "arguments", "reason"),
    [
        ({"temperature": 0.0}, {}, "positive temperature"),
        ({}, {"temperature": [0.1, 0.0]}, "positive temperature"),
        ({"train": ("a", "w"), "temperature": 1e-9}, {}, "lattice points"),
        ({"train": ("a",)}, {}, "w is frozen"),
        ({}, {"integrator": "heun"}, "heun"),
        ({}, {"n_steps": 0}, "n_steps"),
        ({}, {"init": "student"}, "student"),
    ],
)
def test_refuses_and_says_why(one, changes, arguments, reason):
    with pytest.raises(ValueError, match=reason):
        chain_law(one.replace(**changes), **({"step_size": 0.5, "n_steps": 2} | arguments))
