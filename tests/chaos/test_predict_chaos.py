"""Predicted constants of propagation of chaos: naive twin, exact closure, closed forms."""

import math

import numba
import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos.response.comparison import ratio
from meanfield.chaos.response.copies import simulate_copies
from meanfield.chaos.response.elsewhere import Elsewhere
from meanfield.chaos.response.linearised import Linearisation, second_derivative
from meanfield.chaos.response.respond import respond
from meanfield.chaos.response.sources import Sources
from meanfield.flow.integrators import coordinate_l2
from meanfield.limit.gaussian_closure import gaussian_closure
from meanfield.problem import ACTIVATIONS
from meanfield.statistics.estimate import Estimate
from tests.chaos.naive_response import respond as naive_respond

M, STEPS = 6, 4


def inputs(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


X = inputs(5, 2)
SIGNS = np.array([1, -1, 1, 1, -1])
CLASSES = np.array([0, 1, 2, 0, 1])
SCHEDULE = np.array([0.2, 0.1, 0.3, 0.2])
CASES = {
    "tanh": ({"y": np.sin(X[:, 0])}, {}),
    "erf-logistic": ({"y": SIGNS, "activation": "erf", "loss": "logistic"}, {}),
    "silu-classes": ({"y": CLASSES, "activation": "silu", "loss": "cross-entropy"}, {}),
    "two-outputs": ({"y": X, "activation": "softplus", "train": ("a", "w")}, {}),
    "frozen-a": ({"y": X[:, 0], "activation": "gelu", "train": ("w", "b")}, {}),
    "only-a": ({"y": X[:, 0], "activation": "sin", "train": ("a",), "bias": False}, {}),
    "kinetic": ({"y": X[:, 0], "l2": (0.1, 0.3)}, {"integrator": "kinetic"}),
    "leimkuhler-matthews": (
        {"y": X[:, 0], "activation": "cos", "bias": False}, {"integrator": "leimkuhler-matthews"},
    ),
    "schedules": (
        {"y": X[:, 0], "activation": "erf"},
        {"integrator": "exponential-euler", "step_size": SCHEDULE, "temperature": SCHEDULE / 10},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_response_is_that_of_difference_quotients(case):
    arguments, settings = CASES[case]
    problem = mf.Problem(X, **{"l2": 0.1, "temperature": 0.05, **arguments})
    scheme = mf.Scheme.of(problem, **{"step_size": 0.2, "n_steps": STEPS, **settings})
    sources = Sources(Linearisation(problem, np.eye(problem.targets.size)), {})
    copies = simulate_copies(problem, scheme, 0, size=M, kept=M, times=[])
    copies.outside.update(dict.fromkeys(range(STEPS + 1), 0.0))
    copies.elsewhere.update(dict.fromkeys(range(STEPS + 1), 0.0))
    weights = np.random.default_rng(1).normal(size=(M, 3)).astype(np.float32)
    times = [0, 2, STEPS]
    same = Elsewhere(problem, X)  # the inputs of the data, read as if they were others
    found = respond(problem, scheme, copies, sources, weights, times, same)
    traces = np.trace(found.pairs, axis1=1, axis2=2) / len(X)
    np.testing.assert_allclose(found.elsewhere, traces, rtol=1e-3, atol=1e-4 * np.ptp(traces))
    naive = naive_respond(
        problem,
        scheme.coefficients(problem),
        coordinate_l2(problem),
        copies.positions,
        copies.predictions,
        weights,
        times,
    )
    for i, (coupling, function, pairs) in enumerate(naive):
        assert found.coupling[i] == pytest.approx(coupling, rel=2e-4)
        assert found.function[i] == pytest.approx(function, rel=2e-4)
        np.testing.assert_allclose(found.pairs[i], pairs, rtol=2e-3, atol=2e-4 * np.ptp(pairs))
    assert naive[1][0] > 0


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.smooth])
def test_second_derivatives(name):
    row, z, h = ACTIVATIONS[name], np.linspace(-3, 3, 41), 1e-4
    found = second_derivative(row, z, row.value(z), row.derivative(z), 1.0)
    between = (row.value(z + h) - 2 * row.value(z) + row.value(z - h)) / h**2
    np.testing.assert_allclose(found, between, atol=1e-6 * max(1, np.abs(between).max()))


@pytest.mark.parametrize(("name", "jump"), [("relu", 1.0), ("leaky_relu", 0.99), ("abs", 2.0)])
def test_the_second_derivative_of_a_kink_holds_its_jump(name, jump):
    z = np.linspace(-1, 1, 2001)
    row = ACTIVATIONS[name]
    second = second_derivative(row, z, row.value(z), row.derivative(z), 0.1)
    assert second.sum() * (z[1] - z[0]) == pytest.approx(jump, rel=1e-6)


def linear(seed, d, n, **more):
    X = inputs(n, d, seed) * np.linspace(1, 0.5, d)
    y = X @ np.linspace(1, -1, d)
    settings = {"activation": "identity", "bias": False, "train": ("w",), **more}
    return mf.Problem(X, y, temperature=0.05, **settings)


LINEAR = {
    "euler": (linear(3, 3, 40, l2=0.1), {"step_size": 0.1}),
    "noisy": (
        linear(4, 2, 20, l2=0.02, bias=True, train=("w", "b")),
        {"step_size": 0.3, "integrator": "leimkuhler-matthews"},
    ),
    "cooled": (
        linear(5, 5, 30, l2=0.2),
        {"step_size": np.linspace(0.4, 0.1, 60), "temperature": np.geomspace(0.5, 0.05, 60)},
    ),
}


@pytest.mark.parametrize("case", LINEAR)
def test_the_linear_network_has_its_exact_constants(case):
    """Within three of its own errors, which are small."""
    problem, settings = LINEAR[case]
    times = [0, 2, 10, 30, 60]
    found = mf.predict_chaos(problem, n_steps=60, times=times, **settings).dataset
    scheme = mf.Scheme.of(problem, n_steps=60, **settings)
    exact = gaussian_closure(problem, scheme)
    for name, constant in (
        ("coupling", exact.coupling_constant), ("function", exact.function_constant)
    ):  # fmt: skip
        value, error = found[name].values, found[f"{name}_error"].values
        assert (np.abs(value - constant[times]) <= 3 * error).all()
        assert (error <= 0.015 * constant[times]).all()
    inner = problem.with_bias(problem.X)
    p = inner.shape[1]
    for step, pairs in zip(times, found["pair_covariance"].values, strict=True):
        shared = exact.propagation_matrix(step)[p:, p:] - exact.covariance(step)
        expected = inner @ shared @ inner.T
        own = inner @ exact.covariance(step) @ inner.T
        np.testing.assert_allclose(pairs, expected, atol=0.02 * np.abs(own).max())
        np.testing.assert_allclose(pairs, pairs.T, rtol=0, atol=1e-12)


def test_the_linear_network_at_other_inputs():
    problem, settings = LINEAR["noisy"]
    others, times = 2 * inputs(50, 2, seed=9), [1, 20]
    found = mf.predict_chaos(problem, n_steps=20, times=times, inputs=others, **settings).dataset
    exact = gaussian_closure(problem, mf.Scheme.of(problem, n_steps=20, **settings))
    seen = problem.with_bias(others)
    p = seen.shape[1]
    for i, step in enumerate(times):
        fluctuations = exact.propagation_matrix(step)[p:, p:]
        expected = np.einsum("xi,ij,xj->", seen, fluctuations, seen) / len(seen)
        error = float(found["function_at_inputs_error"][i])
        assert abs(float(found["function_at_inputs"][i]) - expected) <= 3 * error
        assert error <= 0.02 * expected
    with pytest.raises(ValueError, match="inputs must"):
        mf.predict_chaos(problem, n_steps=20, inputs=np.zeros((4, 3)), **settings)


def test_particles_without_interaction_keep_their_own_fluctuations():
    """Where the inputs are 0 nothing moves w, and the biases are frozen."""
    problem = mf.Problem(
        np.zeros((3, 1)), [1.0, 1.0, 1.0], activation="cos", train=("w",), temperature=0.1
    )
    found = mf.predict_chaos(problem, step_size=0.1, n_steps=5, times=[1, 5]).dataset
    variance = (1 + math.exp(-2)) / 2 - math.exp(-1)
    assert (found["coupling"] == 0).all()
    assert (np.abs(found["function"] - variance) <= 3 * found["function_error"]).all()
    assert np.abs(found["pair_covariance"]).max() < 1e-6 * variance


def small(**more):
    X = inputs(12, 2)
    return mf.Problem(X, np.sin(X[:, 0]), l2=0.1, temperature=0.05, **more)


SMALL = {"step_size": 0.2, "n_steps": 6, "times": [2, 6], "n_systems": 4}


def test_the_same_bits_for_any_number_of_threads():
    seen, threads = [], numba.get_num_threads()
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            seen.append(mf.predict_chaos(small(), seed=3, **SMALL).dataset)
    finally:
        numba.set_num_threads(threads)
    assert seen[0].identical(seen[1])
    assert not seen[0].equals(mf.predict_chaos(small(), seed=4, **SMALL).dataset)


def test_progress_and_neurons():
    calls = []
    found = mf.predict_chaos(small(), progress=lambda *call: calls.append(call), **SMALL)
    assert calls == [(i, 4) for i in range(1, 5)]
    constant = float(found.dataset["function"][-1])
    needed = found.neurons(0.1)
    assert needed.value == pytest.approx(100 * constant)
    assert needed.low < needed.value < needed.high
    assert found.neurons(0.1, step=2).value == pytest.approx(
        100 * float(found.dataset["function"][0])
    )
    assert "at step 6" in repr(found)


def test_a_kink_has_a_function_constant_only():
    found = mf.predict_chaos(small(activation="relu"), **SMALL)
    assert np.isnan(found.dataset["coupling"]).all()
    assert np.isnan(found.dataset["coupling_error"]).all()
    assert (found.dataset["function"] > 0).all()
    assert "kink" in repr(found)
    frozen = mf.predict_chaos(small(activation="relu", train=("a",)), **SMALL)
    assert (frozen.dataset["coupling"] > 0).all()


def test_several_outputs_have_their_axes():
    X = inputs(7, 2)
    problem = mf.Problem(X, X, l2=0.1, temperature=0.05)
    pairs = mf.predict_chaos(problem, **SMALL).dataset["pair_covariance"]
    assert dict(pairs.sizes) == {
        "step": 2, "datum": 7, "output": 2, "other_datum": 7, "other_output": 2
    }  # fmt: skip


def test_a_reference_drives_the_systems():
    path = mf.mean_field(small(), step_size=0.2, n_steps=6, n_particles=2**14)
    driven = mf.predict_chaos(small(), reference=path, **SMALL).dataset
    own = mf.predict_chaos(small(), **SMALL).dataset
    assert not driven.equals(own)
    np.testing.assert_allclose(driven["function"], own["function"], rtol=0.1)
    with pytest.raises(ValueError, match="reference was computed for another temperature"):
        mf.predict_chaos(small(), reference=path, temperature=0.1, **SMALL)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batch_size": 4}, "batch_size must be left out of a prediction: minibatches"),
        ({"times": [7]}, "times must be steps between 0 and n_steps=6"),
        ({"times": []}, "times must be steps"),
        ({"precision": 0}, "precision must be greater than 0"),
        ({"n_systems": 3}, "n_systems must be an integer of at least 4"),
        ({"reference": "auto"}, "reference must be a MeanFieldPath or None"),
    ],
)
def test_what_cannot_be_predicted_is_refused(change, match):
    with pytest.raises((ValueError, TypeError), match=match):
        mf.predict_chaos(small(), **{**SMALL, **change})


def test_what_does_not_fit_is_refused_before_it_starts():
    with pytest.raises(MemoryError, match="give fewer times, n_steps or data"):
        mf.predict_chaos(small(), n_steps=10**9)


def test_wrong_names_of_constants_and_errors():
    found = mf.predict_chaos(small(), **SMALL)
    with pytest.raises(ValueError, match="Unknown metric 'matched_w2'"):
        found.estimate("matched_w2")
    with pytest.raises(ValueError, match="error must be greater than 0"):
        found.neurons(0)
    with pytest.raises(ValueError, match="step must be one of those predicted"):
        found.neurons(0.1, step=3)


def test_rates_beside_their_prediction():
    problem = LINEAR["euler"][0]
    settings = {"step_size": 0.1, "n_steps": 20, "times": [10, 20], "cloud_replicas": 0}
    rates = mf.chaos_rates(problem, [8, 16, 32], 32, predict=True, **settings)
    plain = mf.chaos_rates(problem, [8, 16, 32], 32, **settings)
    assert plain.prediction is None
    assert plain.dataset.equals(rates.dataset[list(plain.dataset.data_vars)])
    for metric in ("coupling", "function"):
        predicted = rates.dataset[f"{metric}_predicted"].sel(bound="value")
        np.testing.assert_allclose(predicted, rates.dataset[f"{metric}_exact"], rtol=0.03)
        ratios = rates.dataset[f"{metric}_ratio"]
        assert ratios.dims == ("particles", "time", "bound")
        mean = rates.dataset[f"{metric}_mean"].sel(bound="value")
        expected = rates.dataset["particles"] * mean / predicted
        np.testing.assert_allclose(ratios.sel(bound="value"), expected)
        # Exact for every N: all but the odd interval hold 1.
        holds = (ratios.sel(bound="low") < 1) & (ratios.sel(bound="high") > 1)
        assert holds.sum() >= 4
        line = rates.dataset[f"{metric}_predicted_line"]
        assert np.ptp((line * line["particles"]).values) < 1e-9
    assert "measured / predicted" in repr(rates)
    assert any("predicted" in text.get_text() for text in rates.plot().get_legend().get_texts())


def test_a_ratio_joins_both_intervals():
    found = ratio(Estimate(2.0, 1.0, 4.0), Estimate(1.0, 0.5, 2.0))
    width = math.sqrt(2) * math.log(2)
    assert (found.value, found.expected) == (2.0, 1.0)
    assert math.log(found.high / 2) == pytest.approx(width)
    assert math.log(2 / found.low) == pytest.approx(width)
