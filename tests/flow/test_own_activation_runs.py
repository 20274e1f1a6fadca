"""Activations of the user's own wherever an activation is taken: the same as plain NumPy."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf
from meanfield import deep
from meanfield.deep.good import is_good
from meanfield.flow.run import predict
from meanfield.problem import Activation
from tests.problem import scalar_cases as cases

OWN = {
    "swirl": (cases.swirl, cases.swirl_slope),
    "leaky_softplus": (cases.leaky_softplus, cases.leaky_softplus_slope),
    "elu": (cases.elu, None),
}
X = np.random.default_rng(0).normal(size=(37, 3))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1]


def own(name):
    f, slope = OWN[name]
    return Activation.from_function(f, slope, name=name)


def plain_descent(f, slope, particles, step_size, n_steps, l2):
    """Gradient descent with the functions themselves, entry by entry."""
    a, w, b = particles.a[0].copy(), particles.w[0].copy(), particles.b[0].copy()
    sigma, rate = np.vectorize(f, otypes=[float]), np.vectorize(slope, otypes=[float])
    for _ in range(n_steps):
        z = w @ X.T + b[:, None]
        residual = (a @ sigma(z) / len(a) - Y) / len(Y)
        back = a[:, None] * rate(z) * residual
        a, w, b = (
            a - step_size * (sigma(z) @ residual + l2 * a),
            w - step_size * (back @ X + l2 * w),
            b - step_size * (back.sum(axis=1) + l2 * b),
        )
    return np.concatenate([a, w.ravel(), b])


@pytest.mark.parametrize("name", ["swirl", "leaky_softplus"])
def test_fifty_steps_are_those_of_plain_numpy(name):
    problem = mf.Problem(X, Y, activation=own(name), temperature=0.0, l2=0.02)
    run = mf.simulate(problem, n_particles=70, step_size=0.2, n_steps=50, save_at=[0, 50], seed=3)
    last = run.at(50)
    found = np.concatenate([last.a[0], last.w[0].ravel(), last.b[0]])
    expected = plain_descent(*OWN[name], run.at(0), 0.2, 50, 0.02)
    assert np.abs(found - expected).max() <= 1e-12
    assert np.abs(found).max() > 0.5


def test_an_own_tanh_trains_as_that_of_the_table():
    twin = Activation.from_function(math.tanh, name="mine")
    runs = [
        mf.simulate(
            mf.Problem(X, Y, activation=a, temperature=0.01),
            n_particles=100, step_size=0.1, n_steps=20, seed=1, n_replicas=2, dtype=dtype,
        )
        for dtype in ("float64", "float32") for a in ("tanh", twin)
    ]  # fmt: skip
    for known, mine in (runs[:2], runs[2:]):
        eps = np.finfo(known.particles.a.dtype).eps
        gap = np.abs(known.particles.coordinates - mine.particles.coordinates).max()
        assert gap <= 100 * eps


def test_another_process_needs_no_function(tmp_path):
    problem = mf.Problem(X, Y, activation=own("swirl"), temperature=0.01)
    options = {"n_particles": 70, "step_size": 0.1, "n_steps": 5, "seed": 2}
    file = tmp_path / "problem.pickle"
    file.write_bytes(pickle.dumps((problem, options)))
    code = (
        "import pickle, sys, meanfield as mf\n"
        f"problem, options = pickle.load(open({str(file)!r}, 'rb'))\n"
        "run = mf.simulate(problem, **options)\n"
        "sys.stdout.write(run.particles.coordinates.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    here = mf.simulate(problem, **options).particles.coordinates
    assert done.stdout == here.tobytes().hex()


def test_a_checkpoint_belongs_to_the_function(tmp_path):
    def problem(factor):
        f = Activation.from_function(lambda z: z * math.exp(-factor * z * z), name="swirl")
        return mf.Problem(X, Y, activation=f)

    options = {"n_particles": 64, "step_size": 0.1, "n_steps": 4, "checkpoint": tmp_path / "c.h5"}
    mf.simulate(problem(1.0), **options)
    with pytest.raises(ValueError, match="another run"):
        mf.simulate(problem(1.1), **options)


@pytest.mark.parametrize("name", OWN)
def test_canonical_form_keeps_the_function(name):
    activation = own(name)
    rng = np.random.default_rng(1)
    a, w, b = rng.normal(size=8), rng.normal(size=(8, 2)), rng.normal(size=8)
    w[4:], b[4:] = -w[:4], -b[:4]  # flips, which are the same atom only where σ has a relation
    atoms = mf.canonical((a, w, b), activation)
    Z = rng.normal(size=(50, 2))
    expected = activation.value(Z @ w.T + b) @ a / 8
    np.testing.assert_allclose(atoms.predict(Z), expected, atol=1e-12)
    assert atoms.n_atoms == (8 if name == "elu" else 4)
    again = mf.canonical((np.r_[a, a], np.r_[w, w], np.r_[b, b]), activation)
    assert again.n_atoms == atoms.n_atoms
    same = mf.equivalent((a, w, b), (a[::-1], w[::-1], b[::-1]), activation)
    other = mf.equivalent((a, w, b), (a, -w, b), activation)
    assert same
    assert not other


def test_rates_dictionaries_networks_and_estimators_take_it():
    activation = own("swirl")
    problem = mf.Problem(X, Y, activation=activation, temperature=0.001)
    rates = mf.chaos_rates(
        problem, particle_counts=[16, 32, 64], n_replicas=4, step_size=0.1, n_steps=10, times=[10]
    )
    assert np.isfinite(rates.dataset["function"]).all()
    run = mf.simulate(problem, n_particles=128, step_size=0.2, n_steps=200, seed=0)
    dictionary = mf.extract_dictionary(run.particles, problem)
    assert dictionary.n_atoms >= 1
    assert dictionary.function.activation == activation
    model = mf.MeanFieldRegressor(activation=activation, n_particles=32, n_steps=20, random_state=0)
    from sklearn.base import clone

    fitted = clone(model).fit(X, Y)
    np.testing.assert_array_equal(fitted.predict(X), model.fit(X, Y).predict(X))
    network = deep.train(X, Y, width=16, depth=2, activation=activation, n_steps=3, step_size=0.1)
    assert np.isfinite(network.predictions).all()
    assert is_good(activation).good in (True, False)
    np.testing.assert_allclose(
        predict(problem, run.particles, X), run.predict(X), rtol=1e-14, atol=1e-15
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swirl", "leaky_softplus"])
def test_predicted_constants_are_those_of_the_same_function_elsewhere(name):
    """A function and a twin with a hand-written derivative give the same prediction."""
    f, slope = OWN[name]
    settings = {"step_size": 0.1, "n_steps": 4, "n_systems": 4, "seed": 1}
    found = []
    for activation in (
        own(name),
        Activation.from_function(lambda z: 2 * f(z) / 2, slope, name="x"),
    ):
        problem = mf.Problem(X[:9], Y[:9], activation=activation, temperature=0.001)
        found.append(mf.predict_chaos(problem, **settings))
    for metric in ("coupling", "function"):
        one, other = (prediction.estimate(metric).value for prediction in found)
        np.testing.assert_allclose(one, other, rtol=1e-10)
        assert (one[1:] > 0).all()


def test_limits_of_deep_networks_take_it():
    mine = Activation.from_function(math.tanh, name="my tanh")
    settings = {"depth": 2, "n_steps": 2, "n_samples": 64, "step_size": 0.01}
    found, known = (
        deep.infinite_width(X[:3], Y[:3], activation=activation, **settings)
        for activation in (mine, "tanh")
    )
    np.testing.assert_allclose(found.predictions, known.predictions, rtol=1e-9, atol=1e-12)
