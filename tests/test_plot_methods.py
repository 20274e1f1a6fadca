"""Results that plot themselves: on the axes they are given, with the numbers they hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf


def problem():
    X = np.random.default_rng(0).normal(size=(12, 2))
    return mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)


@pytest.mark.parametrize("n_replicas", [1, 3])
def test_run_draws_its_loss(n_replicas):
    run = mf.simulate(problem(), 8, 0.2, 10, n_replicas=n_replicas, save_at=[0, 5, 10])
    ax = Figure().subplots()
    assert run.plot(ax=ax) is ax
    mean = ax.get_lines()[-1]
    np.testing.assert_allclose(mean.get_xdata(), [0.0, 1.0, 2.0])
    np.testing.assert_allclose(mean.get_ydata(), run.loss.mean(axis=0))
    assert len(ax.get_lines()) == (1 if n_replicas == 1 else 1 + n_replicas)
    assert "N = 8" in ax.get_legend().get_texts()[-1].get_text()
