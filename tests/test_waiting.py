"""Whoever waits sees work go on: long calls in Python, and studies within their units."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.problem import HermiteTarget
from meanfield.studies import get_study
from meanfield.system.progress import Bar
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from tests.studies.test_not_learned import STUDIES

TARGET = HermiteTarget(2, {"1,1": 1.0})
X = np.random.default_rng(0).normal(size=(24, 2))
PROBLEM = mf.Problem(X, TARGET(X), l2=0.1, temperature=0.01)
RUN = {"step_size": 0.1, "n_steps": 24}
CALLS = {
    "simulate": lambda **told: mf.simulate(PROBLEM, 256, **RUN, **told),
    "iterate": lambda **told: list(mf.iterate(PROBLEM, 16, **RUN, every=8, **told)),
    "mean_field": lambda **told: mf.mean_field(PROBLEM, **RUN, **told),
    "chaos_rates": lambda **told: mf.chaos_rates(PROBLEM, [8, 16, 32], 8, **RUN, **told),
    "predict_chaos": lambda **told: mf.predict_chaos(PROBLEM, **RUN, n_systems=4, **told),
    "pilot": lambda **told: mf.pilot(PROBLEM, n_particles=16, **told),
}


def in_order(shares):
    """Return shares of the work, checked to grow from near 0 to 1."""
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1
    return np.array(shares)


@pytest.mark.parametrize("name", CALLS)
def test_calls_say_how_far_they_are(name):
    shares = []
    CALLS[name](progress=lambda done, total: shares.append(done / total))
    assert len(set(in_order(shares))) > 2


def test_these_are_all_that_take_a_callback():
    public = {name: getattr(mf, name) for name in mf.__all__}
    takes = {
        name for name, f in public.items()
        if inspect.isfunction(f) and "progress" in inspect.signature(f).parameters
    }  # fmt: skip
    # Error budgets have tests of their own; a proposal waits for its pilot, a sweep has a bar.
    assert takes == set(CALLS) | {"decompose_error", "propose", "sweep"}


@pytest.mark.parametrize("name", ["atoms", "cell"])
def test_studies_are_not_silent_for_long(name, tmp_path, monkeypatch):
    """The bar goes on within units too, and in small steps."""
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    shares = []

    class Watch(Bar):
        def __call__(self, done, total):
            shares.append(done / total)

    content, _ = STUDIES[name]
    study = get_study(name)
    # Long enough for the training to be most of the work, by the estimate.
    config = parse(study.config, {"study": name, **content, "run": {"n_steps": 100}})
    run_study(study, config, tmp_path / "out", progress=Watch(""))
    assert shares == sorted(shares)
    assert len(set(shares)) > 5


@pytest.mark.parametrize("name", [*STUDIES, "experiment"])
def test_units_that_take_long_say_how_far_they_are(name):
    """In the study's own example; a few seconds may pass in silence, as the estimate has them."""
    study = get_study(name)
    plan = study.prepare(parse(study.config, study.example))
    assert plan.timed
    for unit in plan.units:
        told = "progress" in inspect.signature(unit.function).parameters
        assert told or unit.weight <= 5.0
