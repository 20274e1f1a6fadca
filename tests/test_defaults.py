"""One table of defaults: the estimators, the configurations and their examples share it."""

import inspect

import pytest

import meanfield as mf
from meanfield.flow import defaults
from meanfield.studies import get_study
from meanfield.workbench.config import parse
from meanfield.workbench.sections.data import LearningConfig

TABLE = {
    "activation": defaults.ACTIVATION,
    "bias": defaults.BIAS,
    "l2": defaults.L2,
    "temperature": defaults.TEMPERATURE,
    "step_size": defaults.STEP_SIZE,
}


@pytest.mark.parametrize("estimator", [mf.MeanFieldRegressor, mf.MeanFieldClassifier])
def test_estimators_take_them(estimator):
    parameters = inspect.signature(estimator).parameters
    assert {name: parameters[name].default for name in TABLE} == TABLE
    assert parameters["n_steps"].default == defaults.N_STEPS
    assert f"default: {defaults.L2}" in estimator.__doc__


@pytest.mark.parametrize("name", ["chaos", "atoms", "errors", "cell", "simulate"])
def test_examples_and_the_same_table_describe_the_same_network(name):
    study = get_study(name)
    config = parse(study.config, dict(study.example))
    assert isinstance(config, LearningConfig)
    shared = config.problem.model_dump() | {"step_size": config.run.step_size}
    assert {key: shared[key] for key in TABLE} == TABLE
    without = {"study": name, "data": study.example["data"]}
    assert parse(study.config, without).problem.l2 == defaults.L2
