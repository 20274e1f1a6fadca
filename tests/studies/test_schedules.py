"""Schedules in configurations: one home for the temperature, the same in every study."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.errors import ConfigError
from meanfield.flow.minibatch import Minibatch
from meanfield.flow.schedule import Geometric
from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import parse
from meanfield.workbench.sections.data import LearningConfig, build_data

LEARNING = [name for name in STUDIES if issubclass(get_study(name).config, LearningConfig)]
COOLING = {"kind": "geometric", "start": 0.5, "stop": 0.01}
SHRINKING = {"kind": "geometric", "start": 0.2, "stop": 0.05}


def configured(name, run=None, **problem):
    content = dict(get_study(name).example)
    content["data"] = {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 20}
    content["problem"] = problem
    content["run"] = {"n_steps": 30, **(run or {})}
    return parse(get_study(name).config, content)


def test_these_studies_train_networks():
    assert set(LEARNING) >= {"simulate", "chaos", "atoms", "errors", "cell"}


@pytest.mark.parametrize("name", LEARNING)
def test_every_study_takes_schedules(name):
    config = configured(name, {"step_size": SHRINKING}, temperature=COOLING)
    problem = build_data(config)[1]
    assert problem.temperature == 0.01
    units = get_study(name).prepare(config).units
    # Those at another penalty have another temperature too.
    arguments = [unit.arguments for unit in units if not unit.key.startswith("penalties")]
    schemes = [a.get("scheme") or getattr(a.get("plan"), "scheme", None) for a in arguments]
    schemes = [scheme for scheme in schemes if scheme is not None]
    assert schemes
    for scheme in schemes:
        hot = scheme.shortened(30)
        np.testing.assert_array_equal(hot.temperatures, Geometric(0.5, 0.01).values(30))
        np.testing.assert_array_equal(hot.step_sizes, Geometric(0.2, 0.05).values(30))


@pytest.mark.parametrize("name", LEARNING)
def test_every_study_takes_minibatches(name):
    config = configured(name, {"batch_size": 4, "anchor_period": 5})
    units = get_study(name).prepare(config).units
    given = [unit.arguments for unit in units]
    schemes = [a.get("scheme") or getattr(a.get("plan"), "scheme", None) for a in given]
    assert any(schemes)
    for scheme in filter(None, schemes):
        # Networks that have one limit, given the batches, see the same ones.
        assert scheme.minibatch == Minibatch(4, 5, shared=name != "simulate")
    whole = get_study(name).prepare(configured(name)).units
    assert sum(u.weight for u in units) != sum(u.weight for u in whole)


@pytest.mark.parametrize("name", LEARNING)
def test_more_data_in_a_batch_than_there_are_is_refused_by_the_key(name):
    with pytest.raises(ConfigError, match=r"key 'run.batch_size': .* at most the 20 data, got 21"):
        get_study(name).prepare(configured(name, {"batch_size": 21}))


@pytest.mark.parametrize("name", LEARNING)
def test_a_number_is_a_constant_temperature(name):
    config = configured(name, temperature=0.02)
    problem = build_data(config)[1]
    assert problem.temperature == config.scheme(problem).temperature == 0.02


@pytest.mark.parametrize("name", LEARNING)
def test_a_temperature_of_the_run_is_told_where_it_went(name):
    with pytest.raises(ConfigError, match=r"'run.temperature' has moved: give problem.temperature"):
        configured(name, {"temperature": 0.1})
