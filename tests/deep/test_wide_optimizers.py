"""Several outputs, biases, momentum and decay: networks of growing width approach their limit."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep

pytestmark = pytest.mark.slow

WIDTHS = (32, 64, 128, 256)
CASES = {
    "classes": {"loss": "cross-entropy", "step_size": 0.1},
    "biases": {"bias": True, "step_size": 0.03},
    "momentum": {"optimizer": "momentum", "step_size": 0.01},
    "decay": {"weight_decay": 0.5, "step_size": 0.05},
    "all": {
        "loss": "cross-entropy",
        "bias": True,
        "optimizer": "momentum",
        "weight_decay": 0.5,
        "step_size": 0.02,
    },
}


def _mean(f):
    """Return the mean of the outputs at the end and its error.

    Outputs at the start have mean zero exactly; regressing on them takes noise out of the mean.
    """
    start, end = f[:, 0].reshape(len(f), -1), f[:, -1].reshape(len(f), -1)
    slope = np.linalg.lstsq(start - start.mean(axis=0), end - end.mean(axis=0), rcond=None)[0]
    rest = end - start @ slope
    return rest.mean(axis=0), rest.std(axis=0, ddof=1) / np.sqrt(len(f))


@pytest.mark.parametrize("case", CASES)
def test_the_limit_is_where_wide_networks_tend_to(case):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4, 6)) / np.sqrt(6)
    y = np.array([1.0, -1.0, -1.0, 1.0])
    arguments = {"depth": 2, "activation": "tanh", "n_steps": 15, "save_at": []} | CASES[case]
    if "loss" in arguments:
        y = np.array([0, 1, 2, 1])
    limit = deep.infinite_width(X, y, n_samples=2**14, n_replicas=8, **arguments)
    runs = {
        n: deep.train(
            X, y, width=n, n_replicas=20 * n, engine="dense", dtype="float32", **arguments
        )
        for n in WIDTHS
    }
    means, errors = np.array([_mean(runs[n].predictions) for n in WIDTHS]).transpose(1, 0, 2)
    n = np.array(WIDTHS)[:, None]
    design = np.stack([np.ones(4), 1 / n[:, 0], 1 / n[:, 0] ** 2], axis=1)
    expected = limit.predictions[-1].ravel()
    own = limit.predictions_error[-1].ravel()
    assert np.abs(expected).max() > 0.15
    for i, (mean, error) in enumerate(zip(means.T, errors.T, strict=True)):
        weighted = design / error[:, None]
        covariance = np.linalg.inv(weighted.T @ weighted)
        found = covariance @ weighted.T @ (mean / error)
        gap, size = found[0] - expected[i], np.hypot(np.sqrt(covariance[0, 0]), own[i])
        assert size < 0.02
        assert abs(gap) < 3 * size, f"{gap / size:.1f} standard errors"
    approach = deep.width_convergence(
        limit.predictions, {n: runs[n].predictions for n in WIDTHS}, limit.predictions_error
    )
    assert approach.gap_fit.slope.low < -1 < approach.gap_fit.slope.high
    assert approach.gap_fit.slope.high - approach.gap_fit.slope.low < 0.15
