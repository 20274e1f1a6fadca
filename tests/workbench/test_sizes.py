"""Counts that no computer can do are refused before anything is built for them, by their key."""

from __future__ import annotations

import copy
from typing import Annotated, get_args, get_origin

import numpy as np
import pytest

import meanfield as mf
from meanfield.checks import MOST, MOST_LISTED
from meanfield.errors import ArgumentError, ConfigError
from meanfield.problem.targets import Teacher
from meanfield.studies import STUDIES, get_study
from meanfield.studies.atoms.config import AtomsSection
from meanfield.system import memory
from meanfield.workbench.config import Section, parse

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
    ("limit", "joint.n_replicas"),
    ("transfer", "network.n_seeds"),
    ("transfer", "network.depth"),
    ("transfer", "rates.most"),
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
    ("simulate", "simulate.n_particles"),
    ("chaos", "chaos.particle_counts"),
    ("chaos", "chaos.cloud_size"),
    ("chaos", "chaos.reference.n_particles"),
    ("atoms", "atoms.n_particles"),
    ("cell", "cell.n_particles"),
    ("errors", "errors.n_particles"),
    ("errors", "errors.particle_counts"),
    ("errors", "errors.n_population"),
    ("errors", "errors.long_particles"),
    ("errors", "errors.path_particles"),
    ("experiment", "chaos.cloud_size"),
    ("experiment", "atoms.n_particles"),
    ("experiment", "errors.n_particles"),
    ("experiment", "cell.n_particles"),
    ("widths", "network.widths"),
    ("widths", "network.n_steps"),
    ("limit", "network.n_steps"),
    ("limit", "convergence.widths"),
    ("limit", "convergence.n_steps"),
    ("transfer", "network.widths"),
    ("transfer", "network.n_steps"),
)
# Sizes of powers of two, and what another rule than the memory bounds.
OTHERS = (
    ("widths", "limit.n_samples", 2**36, "GB of memory"),
    ("limit", "limit.n_samples", 2**36, "GB of memory"),
    ("limit", "convergence.n_samples", 2**36, "GB of memory"),
    ("limit", "convergence.networks_per_unit", 1e300, "lower it"),
    ("errors", "errors.settle_steps", 10**10, "at most"),
    ("recovery", "recovery.n_steps", 10**10, "less than"),
    ("identify", "identify.sizes", [10**10], "at most"),
    ("identify", "identify.dims", [10**10], "at most"),
    ("identify", "identify.n_paths", 10**10, "at most"),
    ("identify", "identify.max_degree", 10**10, "at most"),
    ("cell", "cell.max_degree", 10**10, "at most"),
    ("cell", "cell.degree", 10**10, "lower the degree"),
)
# Keys that hold lists.
LISTS = {
    "recovery.dims",
    "bench.n_features",
    "bench.n_particles",
    "chaos.particle_counts",
    "errors.particle_counts",
    "network.widths",
    "convergence.widths",
}


def prepared(name, key, value):
    study = get_study(name)
    table, *between, inner = key.split(".")
    content = copy.deepcopy(study.example)
    if table == "data":
        content["data"] = dict(TEACHER)
    place = content.setdefault(table, {})
    for name in between:
        place = place.setdefault(name, {})
    place[inner] = value
    return study.prepare(parse(study.config, content))


@pytest.mark.parametrize(("name", "key"), ONE_BY_ONE)
@pytest.mark.parametrize("value", [MOST_LISTED + 1, 10**7, 10**18, 10**30])
def test_what_is_done_one_by_one(name, key, value):
    with pytest.raises(ConfigError, match=rf"key '{key}'.* (must be at most|asks for|GB of mem)"):
        prepared(name, key, value)


@pytest.mark.parametrize(("name", "key"), ARRAYS)
@pytest.mark.parametrize("value", [10**10, 10**18])
def test_arrays_beyond_the_memory(name, key, value):
    held = [4, 8, value] if key in LISTS else value
    with pytest.raises(ConfigError, match=rf"key '{key}.*(GB of memory|at most {MOST})"):
        prepared(name, key, held)


@pytest.mark.parametrize(("name", "key", "value", "rule"), OTHERS)
def test_other_sizes(name, key, value, rule):
    with pytest.raises(ConfigError, match=rf"key '{key}.* {rule}"):
        prepared(name, key, value)


@pytest.mark.parametrize("value", [10**10, 10**12])
def test_more_atoms_than_neurons_cost_nothing(value):
    plan = prepared("atoms", "atoms.max_atoms", value)
    most = {unit.arguments.get("max_atoms") for unit in plan.units if "network" in unit.key}
    assert most == {AtomsSection().n_particles}


def integers(model, path=()):
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from integers(kind, (*path, key))
        elif "seed" not in key:
            yield from counted(".".join((*path, key)), kind, field.metadata)


def counted(key, kind, rules):
    """The integers that an annotation allows, alone, in a list or beside None, with their rules."""
    if kind is int:
        yield key, rules
    elif get_origin(kind) is Annotated:
        inner, *own = get_args(kind)
        own = [rule for one in own for rule in getattr(one, "metadata", [one])]
        yield from counted(key, inner, [*rules, *own])
    else:
        for inner in get_args(kind):
            yield from counted(key, inner, [] if get_origin(kind) is list else rules)


@pytest.mark.parametrize("name", STUDIES)
def test_every_count_has_a_bound(name):
    for key, rules in integers(get_study(name).config):
        assert any(getattr(rule, "le", None) for rule in rules), key


def test_optional_counts_and_lists_of_counts_are_among_them():
    found = {key for key, _ in integers(get_study("experiment").config)}
    wanted = {"chaos.cloud_size", "chaos.reference.n_particles", "errors.long_particles"}
    assert wanted | {"chaos.particle_counts", "errors.data_counts"} <= found


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
