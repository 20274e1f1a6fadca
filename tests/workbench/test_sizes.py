"""Counts that no computer can do are refused before anything is built for them, by their key."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.checks import MOST, MOST_LISTED
from meanfield.errors import ArgumentError, ConfigError
from meanfield.problem.targets import Teacher
from meanfield.studies import STUDIES, get_study
from meanfield.system import memory
from meanfield.workbench.config import Section, parse

SEEDS = {"seed", "split_seed", "target_seed"}
# One by one: a list or a unit is made for each.
ONE_BY_ONE = (
    ("simulate", "simulate.n_replicas"),
    ("simulate", "simulate.loss_points"),
    ("simulate", "data.n_atoms"),
    ("chaos", "chaos.n_replicas"),
    ("errors", "errors.n_replicas"),
    ("atoms", "atoms.n_replicas"),
    ("atoms", "atoms.looks"),
    ("identify", "identify.n_starts"),
    ("identify", "identify.n_points"),
    ("recovery", "recovery.n_teachers"),
    ("bench", "bench.n_replicas"),
    ("bench", "bench.repeats"),
    ("widths", "network.n_seeds"),
    ("widths", "network.depth"),
    ("limit", "limit.n_replicas"),
)
TEACHER = {"source": "teacher", "n_features": 3, "n_atoms": 2, "n_train": 40, "n_test": 10}
ARRAYS = (
    ("simulate", "data.n_features"),
    ("simulate", "data.n_train"),
    ("simulate", "data.n_test"),
    ("simulate", "data.n_outputs"),
    ("recovery", "recovery.n_data"),
    ("recovery", "recovery.dims"),
    ("bench", "bench.n_data"),
    ("bench", "bench.n_features"),
    ("bench", "bench.n_particles"),
)


def prepared(name, key, value):
    study = get_study(name)
    table, inner = key.split(".")
    content = {**study.example, table: {**study.example.get(table, {}), inner: value}}
    if table == "data":
        content["data"] = TEACHER | {inner: value}
    return study.prepare(parse(study.config, content))


@pytest.mark.parametrize(("name", "key"), ONE_BY_ONE)
@pytest.mark.parametrize("value", [MOST_LISTED + 1, 10**7, 10**18, 10**30])
def test_what_is_done_one_by_one(name, key, value):
    with pytest.raises(ConfigError, match=rf"key '{key}'.* (must be at most|asks for|GB of mem)"):
        prepared(name, key, value)


@pytest.mark.parametrize(("name", "key"), ARRAYS)
@pytest.mark.parametrize("value", [10**10, 10**18])
def test_arrays_beyond_the_memory(name, key, value):
    held = [value] if key in ("recovery.dims", "bench.n_features", "bench.n_particles") else value
    with pytest.raises(ConfigError, match=rf"key '{key}.*(GB of memory|at most {MOST})"):
        prepared(name, key, held)


def integers(model, path=()):
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from integers(kind, (*path, key))
        elif kind is int and key not in SEEDS:
            yield ".".join((*path, key)), field


@pytest.mark.parametrize("name", STUDIES)
def test_every_count_has_a_bound(name):
    for key, field in integers(get_study(name).config):
        assert any(getattr(rule, "le", None) for rule in field.metadata), key


X = np.random.default_rng(0).normal(size=(6, 2))
PROBLEM = mf.Problem(X, np.tanh(X[:, 0]))
CALLS = {
    "n_replicas": lambda n: mf.simulate(PROBLEM, 4, n_steps=2, n_replicas=n),
    "n_networks": lambda n: mf.MeanFieldRegressor(n_networks=n, n_steps=2).fit(X, X[:, 0]),
    "n_atoms": lambda n: Teacher.random(2, n),
    "n_features": lambda n: Teacher.random(n, 2),
    "n_outputs": lambda n: Teacher.random(2, 2, n_outputs=n),
    "n_projections": lambda n: mf.sliced_wasserstein2(X, X, n_projections=n),
}


@pytest.mark.parametrize("argument", CALLS)
@pytest.mark.parametrize("value", [10**11, 10**13, 10**18, 2**64, 10**30])
def test_functions_that_build_from_a_count(argument, value):
    with pytest.raises(ArgumentError, match=r"at most|GB of memory") as told:
        CALLS[argument](value)
    assert told.value.argument in (argument, "n_features")


def test_the_largest_size_is_named():
    memory.fits(rows=10, columns=10)
    with pytest.raises(ArgumentError, match=r"^columns = 1000000000000 asks for 10 × 1e\+12 numb"):
        memory.fits(rows=10, columns=10**12)
