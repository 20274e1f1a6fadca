"""Bias and variance of many small networks, on deviations whose mean and scatter are known."""

from types import SimpleNamespace

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos import ensembles
from meanfield.chaos.chaos_plan import plan_chaos
from meanfield.chaos.reference_path import reference_path

COUNTS = (8, 16, 32, 64)


def made_up(n_networks, *, correlation=0.9, seed=0):
    """Deviations with mean 0.3/N and scatter 1/√N, and copies of mean 0 that share the scatter."""
    rng = np.random.default_rng(seed)
    n = np.array(COUNTS)[:, None, None]
    scatter = rng.normal(size=(4, n_networks, 5)) / np.sqrt(n)
    other = rng.normal(size=(4, n_networks, 5)) / np.sqrt(n)
    pattern = np.array([1.0, -1.0, 0.5, 2.0, 0.0])
    own = correlation * scatter + np.sqrt(1 - correlation**2) * other
    return {
        "deviation": own + 0.3 * pattern / n,
        "copies": 2.0 * scatter,
        "moments": other[..., :2] + 0.2 / n,
    }, np.square(0.3 * pattern).mean()


def analysed(pieces, method="chain", n_networks=4000):
    plan = SimpleNamespace(
        particle_counts=COUNTS,
        problem=SimpleNamespace(n_data=5, risk=lambda predictions: predictions),
        times=(1,),
        scheme=SimpleNamespace(seed=0),
        n_replicas=n_networks,
    )
    path = SimpleNamespace(method=method, predictions=np.array([1.0, 0.5]))
    return ensembles.analyse_networks(plan, path, pieces)


def test_slopes_bias_and_variance_of_known_deviations():
    values, constant = made_up(8000)
    found = analysed([values])
    for slope, expected, excluded in (
        (found.bias_slope, -2, -1),
        (found.variance_slope, -1, -2),
    ):
        assert slope.expected == expected
        assert slope.agrees
        assert slope.excludes(excluded)
    exact = constant / np.square(COUNTS)
    assert (np.abs(found.squared_bias - exact) < 4 * found.squared_bias_error).all()
    np.testing.assert_allclose(found.reduction, 1 - 0.9**2, rtol=0.1)


def test_control_variates_need_a_limit_that_is_exact():
    values, _ = made_up(2000)
    with_control, without = (analysed([values], method) for method in ("chain", "particles"))
    np.testing.assert_allclose(without.reduction, 1.0, rtol=1e-2)
    ratio = with_control.squared_bias_error[-1] / without.squared_bias_error[-1]
    assert ratio < 0.7


def test_control_variates_leave_the_estimate_unbiased():
    """Averaged over studies of few networks, where a coefficient fitted to itself would show."""
    estimates, exact = [], None
    for seed in range(150):
        values, constant = made_up(24, seed=seed)
        estimates.append(analysed([values], n_networks=24).squared_bias)
        exact = constant / np.square(COUNTS)
    error = np.std(estimates, axis=0) / np.sqrt(150)
    assert (np.abs(np.mean(estimates, axis=0) - exact) < 4 * error).all()


def test_averages_lose_variance_and_keep_their_bias():
    values, constant = made_up(8192)
    found = analysed([values], n_networks=8192)
    n = np.array(COUNTS)[:, None]
    expected = constant / n**2 + 1.0 / (n * found.sizes)
    assert found.sizes[-1] == 512
    assert (found.error.low < found.error.value).all()
    # 95 % intervals of 40 numbers that partly share their networks.
    held = (found.error.low <= expected) & (expected <= found.error.high)
    assert held.mean() > 0.85


def test_batches_join_in_order():
    values, _ = made_up(64)
    halves = [{k: v[:, half] for k, v in values.items()} for half in (slice(32), slice(32, None))]
    whole, parts = analysed([values], n_networks=64), analysed(halves, n_networks=64)
    np.testing.assert_array_equal(whole.squared_bias, parts.squared_bias)
    np.testing.assert_array_equal(whole.error.value, parts.error.value)


def test_measured_deviations_of_a_linear_network_have_no_bias():
    """Linear dynamics: E f_N = f̄ for every N, and N Var f_N is the closed form."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, 2))
    problem = mf.Problem(
        X, X @ [1.0, -0.5], "identity", bias=False, train=("w",), l2=0.2, temperature=0.1
    )
    plan = plan_chaos(
        problem,
        mf.Scheme.of(problem, step_size=0.3, n_steps=12, seed=1),
        [4, 8, 16],
        600,
        times=[12],
    )
    path = reference_path(plan)
    assert path.method == "gaussian"
    values = ensembles.measure_networks(plan, path, range(600))
    mean = values["deviation"].mean(1)
    error = values["deviation"].std(1) / np.sqrt(600)
    assert (np.abs(mean) < 4.5 * error).all()
    found = ensembles.analyse_networks(plan, path, [values])
    exact = path.details.function_constant[12] / np.array([4, 8, 16])
    np.testing.assert_allclose(found.error.value[:, 0], exact, rtol=0.25)
    assert not found.bias_slope.known
    assert values["moments"].shape == (3, 600, 4)


def test_refuses_a_path_of_another_step_size():
    problem = mf.Problem([[0.5], [1.0]], [0.1, 0.2], bias=False, train=("w",), temperature=0.1)
    plan = plan_chaos(
        problem, mf.Scheme.of(problem, step_size=0.3, n_steps=2), [2, 4, 8], 4, times=[2]
    )
    path = mf.mean_field(problem, "chain", step_size=0.2, n_steps=2)
    with pytest.raises(ValueError, match=r"step_size=0\.2 instead of 0\.3"):
        ensembles.measure_networks(plan, path, range(4))


def test_worthwhile_number_has_as_much_variance_as_squared_bias():
    found = analysed([made_up(8192)[0]], n_networks=8192)
    number = found.worthwhile
    assert found.variance.value[0] / number.value == pytest.approx(found.squared_bias[0])
    assert number.low < number.value < number.high
    # A single network has its bias and its variance as its error.
    np.testing.assert_allclose(found.squared_bias + found.variance.value, found.error.value[:, 0])
    few = analysed([made_up(16)[0]], n_networks=16)
    assert few.squared_bias[0] < 2 * few.squared_bias_error[0]
    assert not few.worthwhile.known


def one_parameter():
    X = np.linspace(-1, 1, 6)[:, None]
    return mf.Problem(X, np.tanh(X[:, 0]), bias=False, train=("w",), l2=0.2, temperature=0.1)


def test_a_reference_that_is_too_small_is_told():
    problem = one_parameter()
    scheme = {"step_size": 0.25, "n_steps": 40, "seed": 3}
    path = mf.mean_field(problem, n_particles=300, **scheme)
    found = mf.chaos.ensemble_errors(problem, [2, 4, 8], 256, reference=path, **scheme)
    assert any("squared error of its own" in note.text for note in found.bias_slope.notes)
    assert (found.reduction == 1).all()
    exact = mf.chaos.ensemble_errors(problem, [2, 4, 8], 256, **scheme)
    assert not any(note.code == "reference" for note in exact.bias_slope.notes)
    assert (exact.reduction < 0.8).all()


def test_dataset_holds_the_curves():
    found = analysed([made_up(2000)[0]], n_networks=2000)
    saved = found.to_xarray()
    np.testing.assert_array_equal(saved["error"].sel(bound="low"), found.error.low)
    width = saved["squared_bias"].sel(bound="value") - saved["squared_bias"].sel(bound="low")
    np.testing.assert_allclose(width, 2 * found.squared_bias_error)
    assert saved["reduction"].dims == ("particles",)


def test_the_variance_is_predicted():
    X = np.linspace(-1, 1, 12)[:, None]
    problem = mf.Problem(X, np.tanh(2 * X[:, 0]), l2=0.2, temperature=0.05)
    scheme = {"step_size": 0.2, "n_steps": 20}
    found = mf.chaos.ensemble_errors(problem, [16, 32, 64], 1024, predict=True, **scheme)
    alone = mf.predict_chaos(problem, times=[20], **scheme)
    # Along the reference's path here, along each system's own there.
    assert found.constant.value == pytest.approx(float(alone.dataset["function"][0]), rel=0.05)
    ratios = found.to_xarray()["variance_ratio"]
    assert float(ratios.sel(particles=64, bound="low")) < 1.03
    assert float(ratios.sel(particles=64, bound="high")) > 0.97
    plain = mf.chaos.ensemble_errors(problem, [16, 32, 64], 64, **scheme)
    assert plain.variance_ratio is None
    assert "variance_predicted" not in plain.to_xarray()
