"""The loss at every step of a run, kept without the particles."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow import step_loop as run_steps


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(23, 3))
    return mf.Problem(X, np.sin(X[:, 0]) - 0.3 * X[:, 1], l2=0.03, temperature=0.01)


@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"batch_size": 5}])
def test_loss_of_every_step_is_that_of_the_saved_ones(problem, settings, tmp_path, monkeypatch):
    every = {"n_replicas": 2, "seed": 4, **settings}
    saved = mf.simulate(problem, 15, 0.2, 40, save_at=range(41), **every)
    run = mf.simulate(problem, 15, 0.2, 40, every_loss=True, **every)
    assert len(run.trajectory) == 2
    np.testing.assert_array_equal(run.loss_path, saved.loss)
    # However the run is cut into calls, and after a stop.
    monkeypatch.setattr(run_steps, "_PREDICTIONS_PER_CALL", 3 * 2 * 23)
    again = mf.simulate(problem, 15, 0.2, 40, every_loss=True, checkpoint=tmp_path / "c", **every)
    resumed = mf.simulate(problem, 15, 0.2, 40, every_loss=True, checkpoint=tmp_path / "c", **every)
    for other in (again, resumed):
        np.testing.assert_array_equal(run.loss_path, other.loss_path)
    dataset = run.to_xarray()
    assert dataset["loss_path"].dims == ("replica", "path_step")
    np.testing.assert_allclose(dataset["path_time"], 0.2 * np.arange(41))


def test_loss_of_every_step_is_kept_where_it_costs_nothing_and_is_drawn(problem):
    run = mf.simulate(problem, 5, 0.1, 30, n_replicas=2)
    assert run.loss_path.shape == (2, 31)
    drawn = [line.get_xdata() for line in run.plot().lines]
    assert all(len(x) == 31 and x[-1] == pytest.approx(3.0) for x in drawn)
    assert mf.simulate(problem, 5, 0.1, 3, batch_size=4).loss_path is None
    assert mf.simulate(problem, 5, 0.1, 3, every_loss=False).loss_path is None
    drive = np.zeros((3, problem.n_data))
    copies = mf.simulate(problem, 5, 0.1, 3, drive=drive, every_loss=True)
    assert mf.simulate(problem, 5, 0.1, 3, drive=drive).loss_path is None
    assert copies.loss_path[0, -1] == pytest.approx(copies.loss[0, -1], rel=1e-12)
    with pytest.raises(TypeError, match="every_loss must be True or False, got 'yes'"):
        mf.simulate(problem, 5, 0.1, 3, every_loss="yes")
    single = mf.Problem([[1.0, 2.0]], [1.0])  # one datum, one output
    assert mf.simulate(single, 5, 0.1, 3).loss_path.shape == (1, 4)
