"""`meanfield init` and `mf.propose`: an experiment on a table, from the table alone."""

import os
import subprocess
import sys
import tomllib
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.pilot import Pilot, Trial
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.experiment import proposal
from meanfield.workbench.config import load_config


def write(path, n=60, seed=0):
    rng = np.random.default_rng(seed)
    x, z = np.round(rng.normal(size=(2, n)), 3)
    city = rng.choice(["Ulm", "Kiel"], n)
    kind = np.where(x + (city == "Ulm") > 0.5, "yes", "no")
    rows = [f"{a},{b},{c},{k}" for a, b, c, k in zip(x, z, city, kind, strict=True)]
    path.write_text("\n".join(["x,z,city,kind", *rows]) + "\n")
    return path


@pytest.fixture
def quick(monkeypatch):
    """Stand for the pilot, which has tests of its own."""

    def found(problem, *, batch_size, seed, progress):
        score = Estimate(0.9, 0.8, 1.0, label="R²" if problem.loss.labels == "real" else "accuracy")
        rows = np.ones(problem.n_data)
        worse = Trial(0.01, 1e-3, 500, replace(score, value=0.5, low=0.4, high=0.6), rows)
        trials = (worse, Trial(1e-3, 1e-4, 2000, score, rows))
        return Pilot(0.5, trials, trials[1])

    monkeypatch.setattr(proposal, "pilot", found)


def test_the_command_prints_a_file_that_describes_what_it_found(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "t.csv")
    command = [sys.executable, "-m", "meanfield", "init", "data/t.csv", "--target", "kind"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert set(done.stderr.splitlines()) <= {"Note: Compiling, once; kept for later runs."}
    content = tomllib.loads(done.stdout)
    assert content["data"]["path"] == "data/t.csv"
    tables = [key for key, value in content.items() if isinstance(value, dict)]
    assert tables[:7] == ["data", "problem", "run", "chaos", "atoms", "errors", "cell"]
    assert (content["problem"]["loss"], content["data"]["labels"]) == ("logistic", "classes")
    assert content["data"]["categorical"] == "one-hot"
    found = mf.propose(tmp_path / "data" / "t.csv", "kind")  # to the same numbers
    assert content["problem"]["l2"] == found.pilot.l2
    assert content["run"]["step_size"] == found.pilot.step_size
    assert found.pilot.chosen.score.value > 0.85
    for trial in found.pilot.trials:
        assert f"{trial.l2:g} " in done.stdout.split("[data]")[0]
    # Read from the folder of the file, it plans what was proposed.
    (tmp_path / "t.toml").write_text(done.stdout)
    study = get_study("experiment")
    config = load_config(study.config, "experiment", tmp_path / "t.toml")
    assert config.data.path == str(tmp_path / "data" / "t.csv")
    keys = [unit.key for unit in study.prepare(config).units]
    parts = {"chaos", "atoms", "errors", "cell", "penalties", "trial"}
    assert {key.split("-")[0] for key in keys} == parts


@pytest.mark.parametrize(
    ("labels", "loss"),
    [([0.5, 1.5, 2.25], "squared"), (["a", "b"], "logistic"), (["a", "b", "c"], "cross-entropy")],
)
def test_labels_decide_the_loss(tmp_path, quick, labels, loss):
    labels = np.resize(labels, 40)
    np.savez(tmp_path / "t.npz", X=np.random.default_rng(0).normal(size=(40, 2)), y=labels)
    found = mf.propose(tmp_path / "t.npz", seed=4)
    assert found.config.problem.loss == loss
    assert "; 2 inputs, " in found.toml()
    assert (found.config.seed, found.config.problem.l2) == (4, 1e-3)
    assert found.config.data.test_fraction == 0.2
    assert found.config.atoms.n_particles == max(found.config.chaos.particle_counts)
    assert tomllib.loads(found.toml())["data"]["path"] == str(tmp_path / "t.npz")


def test_held_out_rows_of_the_file_are_kept(tmp_path, quick):
    X = np.random.default_rng(0).normal(size=(30, 2))
    np.savez(tmp_path / "t.npz", X=X, y=X[:, 0], X_test=X[:9], y_test=X[:9, 0])
    found = mf.propose(tmp_path / "t.npz")
    assert found.config.data.test_fraction == 0.0
    assert len(found.problem.X_test) == 9


def test_large_data_are_taken_in_batches_as_far_as_they_can_be_afforded(tmp_path, quick):
    rng = np.random.default_rng(0)
    for n, d in ((100, 2), (3000, 20), (12000, 100)):
        X = rng.normal(size=(n, d)).astype("float32")
        np.savez(tmp_path / "t.npz", X=X, y=X[:, 0])
        found = mf.propose(tmp_path / "t.npz")
        data, rows = found.config.data, found.problem.n_data
        text = found.toml().replace("\n# ", " ")
        assert found.minutes < 10
        assert rows + len(found.problem.X_test) == n
        if n == 100:
            assert (data.n_samples, found.config.run.batch_size) == (None, None)
            assert "run.batch_size" not in text
        else:
            assert found.config.run.batch_size == 256
            assert found.full_minutes > found.minutes
            assert "Every step takes 256 of the rows, drawn anew (run.batch_size)" in text
            assert tomllib.loads(found.toml())["run"]["batch_size"] == 256
    assert data.n_samples < rows
    assert f"{data.n_samples} of them are kept to train on" in text
    assert len(found.problem.X_test) <= 2000


def test_what_cannot_be_afforded_is_left_out_and_batches_keep_their_rows(tmp_path, quick):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1500, 400)).astype("float32"), rng.integers(0, 10, 1500)
    np.savez(tmp_path / "t.npz", X=X, y=y)
    found = mf.propose(tmp_path / "t.npz")
    assert found.config.parts == ["chaos", "errors"]
    text = found.toml().replace("\n# ", " ")
    assert "The parts atoms and cell are left out: with them it takes about " in text
    # The batch of 256 has several times as many rows to be drawn from.
    assert (found.config.data.n_samples or found.problem.n_data) >= 4 * 256
    get_study("experiment").prepare(found.config)


def test_a_part_that_the_table_is_too_small_for_is_left_out(tmp_path, quick):
    X = np.random.default_rng(0).normal(size=(8, 1))
    np.savez(tmp_path / "t.npz", X=X, y=X[:, 0])
    found = mf.propose(tmp_path / "t.npz")
    if "errors" not in found.config.parts:
        assert "The part errors is left out" in found.toml().replace("\n# ", " ")
    get_study("experiment").prepare(found.config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "There is no file none.csv"),
        (["t.csv", "--target", "kid"], "--target: t.csv has no column named 'kid'. Did you mean"),
        (["t.csv", "--task", "guess"], "--task: Unknown task 'guess'"),
        (["t.csv", "--seed", "-1"], "--seed: seed must be"),
        (["tiny.csv"], "n_folds must leave two rows"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    from meanfield.__main__ import main

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.csv")
    write(tmp_path / "tiny.csv", n=5)
    monkeypatch.setattr(sys, "argv", ["meanfield", "init", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("Error: ")
    assert printed.err.count("\n") == 1


def test_a_label_far_out_is_told_in_the_file_and_on_the_terminal(tmp_path, quick):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 60))
    y[7] = 1e6
    path = tmp_path / "far.csv"
    np.savetxt(path, np.column_stack([x, y]), delimiter=",", header="x,y", comments="")
    with pytest.warns(UserWarning, match=r"The label of row 7, counted from 0, is .* times as far"):
        found = mf.propose(path)
    assert "# Note: The label of row 7, counted from 0" in found.toml()
