"""Joint independence over inputs and steps, as Theorem 4.5 is proved."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep
from meanfield.deep.joint_trace import joint_spectrum


def _data(m=4, d=8, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), np.sign(rng.standard_normal(m))


def test_spectra_are_those_of_the_gram_matrices():
    vectors = np.random.default_rng(0).standard_normal((3, 2, 10))
    least, rank = joint_spectrum(vectors, known=1e-15)
    for group in range(3):
        rows = vectors[: group + 1].reshape(-1, 10)
        expected = np.linalg.eigvalsh(rows @ rows.T / 10)[0]
        assert least[group] == pytest.approx(expected, rel=1e-9)
    assert rank.tolist() == [2, 4, 6]
    vectors[2, 1] = vectors[0, 0] - 2 * vectors[1, 1] + 1e-9
    _, rank = joint_spectrum(vectors, known=1e-6)
    assert rank.tolist() == [2, 4, 5]
    least, rank = joint_spectrum(np.random.default_rng(0).standard_normal((3, 2, 5)), 1e-15)
    assert rank.tolist() == [2, 4, 5]  # no more than units
    assert (least > 0).tolist() == [True, True, False]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_families_are_increments_and_error_vectors_of_all_inputs(batch_size):
    """From two runs' ends: x at every step is that of a run that stops there."""
    X, y = _data()
    settings = {"width": 24, "depth": 3, "activation": "tanh", "step_size": 0.1, "seed": 3}
    settings |= {"engine": "dense", "batch_size": batch_size}
    run = deep.train(X, y, n_steps=3, joint_steps=2, **settings)
    plain = deep.train(X, y, n_steps=3, **settings)
    np.testing.assert_array_equal(run.predictions, plain.predictions)
    np.testing.assert_array_equal(run.features, plain.features)
    x = [np.tanh(deep.train(X, y, n_steps=t, save_at=[], **settings).features[0]) for t in range(3)]
    for layer in (0, 1):
        rows = np.concatenate([x[0][layer], x[1][layer] - x[0][layer], x[2][layer] - x[1][layer]])
        expected = np.linalg.eigvalsh(rows @ rows.T / 24)[0]
        assert run.joint_least[0, 2, 0, layer] == pytest.approx(expected, rel=1e-6)
    # The last error vectors are a ϕ'(h_L), whatever the batch.
    last = 24 * deep.initial_weights(24, 3, 8, seed=3)[-1]
    dh = last * (1 - x[0][2] ** 2)
    expected = np.linalg.eigvalsh(dh @ dh.T / 24)[0]
    assert run.joint_least[0, 0, 1, 1] == pytest.approx(expected, rel=1e-9)


def test_reports_of_a_limit_and_of_wide_networks_agree():
    X, y = _data()
    settings = {"depth": 3, "activation": "tanh", "step_size": 0.1, "n_steps": 2, "tol": 1e-9}
    settings |= {"joint_steps": 2}
    limit = deep.infinite_width(X, y, n_samples=2048, n_replicas=3, **settings)
    wide = deep.train(X, y, width=1024, n_replicas=3, engine="low-rank", **settings)
    pairs = zip(deep.joint_nondegeneracy(limit), deep.joint_nondegeneracy(wide), strict=True)
    for report, finite in pairs:
        assert report.rank.tolist() == finite.rank.tolist() == [4, 8, 12]
        assert report.size.tolist() == [4, 8, 12]
        assert (report.least.low > 0).all()
        assert (np.diff(report.least.value) < 0).all()  # more vectors, a smaller least eigenvalue
        np.testing.assert_allclose(finite.least.value, report.least.value, rtol=0.5)
        assert "over the 12 vectors up to step 2" in report.summary
    kinds = [(r.layer, r.direction) for r in deep.joint_nondegeneracy(limit)]
    assert kinds == [(2, "forward"), (2, "backward"), (3, "forward"), (3, "backward")]


def test_what_rounding_leaves_is_a_rank():
    X, y = _data()
    run = deep.infinite_width(
        X, y, depth=3, activation="identity", n_samples=None, step_size=0.05, n_steps=3,
        joint_steps=3,
    )  # fmt: skip
    forward, backward, *_ = deep.joint_nondegeneracy(run)
    # A linear network: the error vectors of all inputs are one, and a step adds one direction.
    assert backward.rank.tolist() == [1, 2, 3, 4]
    assert (backward.least.value == 0).all()
    assert forward.rank[0] == 4
    assert (forward.rank[1:] < forward.size[1:]).all()
    assert backward.summary == (
        "dh^2: from step 0 on rounding or the tolerance hides it, with rank 4 of 16 at step 3."
    )
    with pytest.raises(ValueError, match="give joint_steps to it"):
        deep.joint_nondegeneracy(deep.train(X, y, n_steps=1, width=8))
