"""Feature metrics and the report on Theorem 4.5."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from meanfield.statistics.estimate import Estimate


def test_feature_change_is_the_relative_distance():
    h0 = np.array([[3.0, 4.0], [0.0, 0.0]])
    change = deep.feature_change(h0 + np.array([[0.0, 5.0], [1.0, 0.0]]), h0)
    assert change[0] == 1.0
    assert np.isnan(change[1])


def test_feature_diversity_is_the_least_eigenvalue():
    rng = np.random.default_rng(0)
    h = rng.standard_normal((2, 3, 4, 50))
    expected = np.linalg.eigvalsh(h @ np.swapaxes(h, -1, -2))[..., 0]
    np.testing.assert_allclose(deep.feature_diversity(h, per_unit=False), expected, rtol=1e-12)
    np.testing.assert_allclose(deep.feature_diversity(h), expected / 50, rtol=1e-12)
    assert (deep.feature_diversity(h[..., :3]) == 0).all()  # fewer units than inputs
    tiny = h * np.array([1, 1, 1, 1e-12])[:, None]
    assert (deep.feature_diversity(tiny) > 1e-25).all()


def test_joint_diversity_sees_features_that_did_not_move():
    h0 = np.random.default_rng(1).standard_normal((4, 64))
    assert deep.joint_diversity(h0, h0) < 1e-28
    moved = h0 + 0.1 * np.random.default_rng(2).standard_normal((4, 64))
    stacked = np.vstack([h0, moved])
    expected = np.linalg.eigvalsh(stacked @ stacked.T / 64)[0]
    np.testing.assert_allclose(deep.joint_diversity(moved, h0), expected, rtol=1e-10)


def test_report_gives_values_and_trends():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((4, 6)) / np.sqrt(6), np.array([1.0, -1, 1, -1])
    run = deep.train(
        X, y, width=64, depth=2, activation="tanh", step_size=0.05, n_steps=40, n_replicas=3
    )
    reports = deep.nondegeneracy(run)
    assert [(r.layer, r.feature) for r in reports] == [(1, "h"), (1, "x"), (2, "h"), (2, "x")]
    for report in reports:
        values = getattr(run, f"least_eigenvalue_{report.feature}")[:, :, report.layer - 1]
        mean = values.mean(axis=0)
        assert (report.first, report.least, report.last) == (mean[0], mean.min(), mean[-1])
        assert report.least > 0
        assert not report.rank_deficient
        late = run.saved_steps >= 20
        slope = np.polyfit(run.saved_steps[late], np.log(mean[late]), 1)[0]
        assert report.trend == pytest.approx(100 * slope)
        assert ("falling" in report.summary) == (slope < 0)


def test_report_explains_more_inputs_than_dimensions():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((4, 2)), np.array([1.0, -1, 1, -1])
    run = deep.train(X, y, width=64, depth=2, activation="tanh", step_size=0.01, n_steps=5)
    first, *others = deep.nondegeneracy(run)
    assert first.rank_deficient
    assert "cannot hold" in first.summary
    assert not any(report.rank_deficient for report in others)
    assert all(report.least > 1e-8 for report in others)


def test_report_without_training_has_no_trend():
    X, y = np.random.default_rng(1).standard_normal((3, 5)), np.array([1.0, -1, 1])
    run = deep.train(X, y, width=32, depth=2, activation="tanh", step_size=0.01, n_steps=0)
    for report in deep.nondegeneracy(run):
        assert np.isnan(report.trend)
        assert "nan" not in report.summary
        assert "per 100 steps" not in report.summary


@pytest.mark.parametrize(
    ("X", "width", "words"),
    [
        (np.random.default_rng(1).standard_normal((6, 8)), 4, "6 inputs and only 4 units"),
        (np.random.default_rng(1).standard_normal((3, 8))[[0, 1, 2, 1]], 32, "inputs 1 and 3"),
    ],
)
def test_report_explains_what_must_degenerate(X, width, words):
    y = np.resize([1.0, -1.0], len(X))
    run = deep.train(X, y, width=width, depth=2, activation="tanh", step_size=0.01, n_steps=4)
    for report in deep.nondegeneracy(run):
        assert report.rank_deficient
        assert words in report.summary
        assert report.least < 1e-12


def test_rounding_is_called_zero():
    """Affine networks keep more inputs than dimensions dependent in every layer."""
    X, y = np.random.default_rng(1).standard_normal((4, 2)), np.array([1.0, -1, 1, -1])
    run = deep.train(X, y, width=64, depth=2, activation="identity", step_size=0.01, n_steps=9)
    for report in deep.nondegeneracy(run)[1:]:
        assert np.isnan(report.trend)
        assert "zero up to rounding" in report.summary


def test_eigenvalues_within_rounding_of_their_kernel_are_zero():
    kernels = np.stack([np.diag([1.0, 1e-13]), np.diag([1e6, 1e-9]), np.diag([1e6, 1e-7])])
    least = np.array([1e-13, -1e-9, 1e-7])
    np.testing.assert_array_equal(deep.without_rounding(least, kernels), [1e-13, 0.0, 1e-7])


def test_least_over_training_knows_its_place_and_an_exact_zero():
    values = Estimate(np.array([[3.0, np.nan], [1.0, 2.0]]), 0.5, 4.0)
    least, step, layer = deep.least_over_training(values)
    assert (least.value, least.interval, step, layer) == (1.0, (0.5, 4.0), 1, 0)
    zero, *place = deep.least_over_training(Estimate(np.array([[1.0, 0.0]]), -1.0, 1.0))
    assert (zero.value, zero.interval, place) == (0.0, None, [0, 1])


def test_the_last_step_is_measured_beside_the_first():
    moves = np.array([[2.0, 4.0, np.nan], [9.0, 9.0, np.nan], [1.0, 0.4, np.nan]])
    assert deep.relative_last_step(moves) == 0.5
    batches = np.array([[1.0], [4.0], [0.3], [0.2], [0.1]])
    assert deep.relative_last_step(batches, epoch=2) == 0.05


def test_mean_over_networks_leaves_out_what_diverged():
    values = np.random.default_rng(0).lognormal(size=(6, 2, 3))
    values[0, 0, 0] = np.nan
    values[:, 1, 1] = np.nan
    values[:, 1, 2] = 0.0
    found = deep.mean_over_networks(np.moveaxis(values, 0, 1), axis=1)
    assert found.value.shape == (2, 3)
    for part, naive in ((found[0, 0], values[1:, 0, 0]), (found[0, 1], values[:, 0, 1])):
        mean = Estimate.positive_mean(naive)
        assert (part.value, part.low, part.high) == (mean.value, mean.low, mean.high)
    assert np.isnan(found[1, 1].value)
    assert found[1, 2].value == 0
    assert found[1, 2].interval is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["more than dimensions", "equal", "opposite"])
def test_eigenvalues_that_rank_forbids_are_zero_whatever_rounding_says(dtype, case):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 3 if case == "more than dimensions" else 8))
    if case != "more than dimensions":
        X[5] = X[4] * (1 if case == "equal" else -1)
    h = (X.astype(dtype) @ rng.normal(size=(X.shape[1], 200)).astype(dtype)).astype(dtype)
    assert deep.feature_diversity(h) == 0
    assert deep.feature_diversity(h[:3]) > 0
