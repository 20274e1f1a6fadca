"""A run that did not learn is said not to have learned, whatever the study was about."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.statistics.score import r2
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.blocks import Finding, Text
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.deep_inputs import constant_loss
from meanfield.workbench.sections.learning import loss_left, unlearned

DATA = {"source": "teacher", "n_features": 2, "n_atoms": 1, "n_train": 32, "n_test": 200}
INDEX = {"source": "single-index", "n_features": 4, "n_train": 4, "n_test": 0, "labels": "sign"}
DIGITS = {"source": "digits", "classes": [0, 1], "standardize": "none", "test_fraction": 0.0}
# Of steps this small nothing comes; the other step size and number of steps do learn.
STUDIES = {
    "simulate": ({"data": DATA, "simulate": {"n_particles": 32, "n_replicas": 2}}, 400),
    "chaos": (
        {
            "data": DATA,
            "chaos": {"particle_counts": [16, 32, 64], "n_replicas": 4, "cloud_replicas": 0},
        },
        400,
    ),
    "atoms": (
        {
            "data": DATA,
            "atoms": {"n_particles": 32, "n_replicas": 2, "cool_steps": 3, "looks": 1},
        },
        400,
    ),
    "cell": ({"data": DATA, "cell": {"n_particles": 32}}, 400),
    "errors": (
        {
            "data": DATA,
            "errors": {
                "n_particles": 16,
                "n_atoms": 4,
                "n_replicas": 4,
                "n_population": 32,
                "long_particles": 64,
                "path_particles": 64,
                "settle_steps": 3,
            },
        },
        400,
    ),
}


@pytest.fixture
def finding(monkeypatch, tmp_path):
    """Run a study, and return the first thing that its report says."""
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))

    def found(name, content):
        study = get_study(name)
        folder = tmp_path / "out"
        summary = run_study(study, parse(study.config, {"study": name, **content}), folder)
        found.numbers = summary["numbers"]
        first, *rest = study.report(summary, storage.read_dataset(folder / "result.nc"))
        assert isinstance(first, Finding)
        return first.text + (rest[0].text if isinstance(rest[0], Text) else "")

    return found


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("learns", [False, True])
def test_studies_of_networks_on_data(name, learns, finding):
    content, n_steps = STUDIES[name]
    run = {"step_size": 0.5, "n_steps": n_steps} if learns else {"step_size": 1e-4, "n_steps": 3}
    text = finding(name, {**content, "problem": {"temperature": 1e-4, "l2": 1e-4}, "run": run})
    assert ("not learned" in text) != learns
    # On screen and in `summary.json`: how well, on rows that were held out, and what is left.
    low, high = finding.numbers["test_r2"]["interval"]
    assert low < finding.numbers["test_r2"]["value"] < high
    left = finding.numbers["total" if name == "errors" else "regularised_risk"]
    assert left["value"] > 0


@pytest.mark.parametrize(("step_size", "n_steps"), [(1e-6, 3), (0.1, 60)])
def test_the_infinite_width_limit(step_size, n_steps, finding):
    network = {"activations": ["tanh"], "depths": [1, 2], "n_steps": n_steps}
    content = {
        "data": INDEX,
        "network": {**network, "step_size": step_size},
        "limit": {"n_samples": 64, "n_replicas": 2},
        "convergence": {"widths": []},
    }
    text = finding("limit", content)
    assert ("Not shown to have learned" in text) == (n_steps == 3)
    assert ("tanh, 2 hidden layers (" in text) == (n_steps == 3)


@pytest.mark.parametrize(("step_size", "n_steps"), [(1e-6, 2), (0.05, 60)])
def test_parametrizations(step_size, n_steps, finding):
    network = {"widths": [16, 32], "n_seeds": 2, "activations": ["tanh"]}
    content = {
        "data": {**DIGITS, "n_samples": 6},
        "network": {**network, "step_size": step_size, "n_steps": n_steps},
        "limit": {"n_replicas": 0},
    }
    text = finding("widths", content)
    assert ("µP with tanh (" in text) == (n_steps == 2)


@pytest.mark.parametrize(("step_size", "n_steps"), [(1e-3, 3), (0.5, 400)])
def test_teachers(step_size, n_steps, finding):
    section = {"activations": ["tanh"], "sizes": [1], "dims": [2], "n_teachers": 3, "noise": [0]}
    section |= {"n_particles": [8], "n_data": 64, "baselines": False, "l2": 1e-4}
    section |= {"step_sizes": [step_size], "n_steps": n_steps}
    if n_steps == 3:
        section |= {"start_temperature": 1.0, "temperature": 0.5}
    text = finding("recovery", {"recovery": section})
    assert ("networks have not learned" in text) == (n_steps == 3)


@pytest.mark.parametrize("rises", [False, True])
def test_rates_of_ensembles_and_of_step_sizes(rises):
    # The mean weight goes from 0 to 1 by the factor 1 − η E x² a step, which here is 0.9 or −3.
    X = np.linspace(-1, 1, 8)[:, None]
    problem = mf.Problem(X, X[:, 0], "identity", bias=False, train=("w",), l2=1e-3, temperature=0.1)
    step_size = 4.0 / float(np.mean(X**2)) if rises else 0.2
    arguments = {"step_size": step_size, "n_steps": 6}
    ensembles = mf.chaos.ensemble_errors(problem, [4, 8, 16], 64, **arguments)
    sizes = mf.chaos.step_size_errors(problem, [4, 8, 16], 8, **arguments)
    for slope in (ensembles.bias_slope, ensembles.variance_slope, sizes.own_slope):
        assert any(note.code == "loss-rose" for note in slope.notes) == rises


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_the_loss_of_one_answer_is_the_least(loss, reduction):
    y = np.array([1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    answers = np.linspace(-3, 3, 60_001)[:, None]
    each = (answers - y) ** 2 if loss == "squared" else np.logaddexp(0, -y * answers)
    best = getattr(each, reduction)(axis=1).min()
    np.testing.assert_allclose(constant_loss(y, loss, reduction), best, rtol=1e-6)


def test_what_is_left_of_a_loss():
    assert loss_left(np.array([0.2, 0.4, np.nan]), 2.0).value == pytest.approx(0.15)
    assert loss_left(np.array([0.2]), 2.0).interval is None
    assert not loss_left(np.array([0.2, 0.4]), 0.0).known
    assert not loss_left(np.array([np.nan]), 1.0).known


@pytest.mark.parametrize("labels", [np.zeros(6), np.full(6, 3.7)])
def test_labels_that_do_not_vary_decide_nothing(labels):
    score = r2(np.ones((2, 6, 1)), labels[:, None])
    assert unlearned(score, 0.0).startswith("Whether the networks have learned cannot be said: ")
    assert unlearned(None, 0.0) == ""
    assert unlearned(r2(np.arange(6.0)[None, :, None], np.arange(6.0)[:, None]), 0.0) == ""
