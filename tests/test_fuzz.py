"""Whatever comes in: it works, or one of the documented errors says in words why not."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.errors import ConfigError
from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import parse

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    # The same cases on every machine; the slow tests look for others.
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
AT_RANDOM = settings(SETTINGS, max_examples=2000, derandomize=False)
DOCUMENTED = (ValueError, TypeError, ArithmeticError, MemoryError)


def sooner_or_later(number):
    """Leave out counts that a run can have and that would take it minutes or days."""
    return not (number >= 1e4 and float(number).is_integer() and number < 2**32)


AWKWARD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([10**18, -(10**18), 2**64, 2**32]),
    st.floats().filter(sooner_or_later),
    st.text(max_size=6),
    st.binary(max_size=3),
    st.lists(st.one_of(st.integers(-2, 4), st.floats(), st.text(max_size=2)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(np.array([1.0, np.nan])),
    st.just(np.zeros((2, 0))),
    st.just(1j),
    st.just(object()),
)
# What a TOML file can hold.
WRITTEN = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 5), st.floats(), st.text(max_size=6), st.just(10**18)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)


def places(table, path=()):
    """Every key of nested tables, as a path."""
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@pytest.mark.parametrize("name", list(STUDIES))
@SETTINGS
@given(data=st.data())
def test_configurations(name, data):
    check_configuration(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDIES))
@AT_RANDOM
@given(data=st.data())
def test_configurations_at_random(name, data):
    check_configuration(name, data)


def check_configuration(name, data):
    study = get_study(name)
    complete = parse(study.config, dict(study.example)).model_dump(mode="json", exclude_none=True)
    content = copy.deepcopy(complete)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(sorted(places(content))))
        table = content
        for key in path[:-1]:
            table = table[key]
        what = data.draw(st.sampled_from(["set", "drop", "add", "misspell"]))
        if what == "set":
            table[path[-1]] = data.draw(WRITTEN)
        elif what == "add":
            table[data.draw(st.text(max_size=5))] = data.draw(WRITTEN)
        else:
            value = table.pop(path[-1])
            if what == "misspell":
                table[path[-1] + "x"] = value
    check_sentence(refused(lambda: parse(study.config, content), ConfigError), KEYS)


# How Python, NumPy and pydantic begin or word what they say, where nobody has put it in words.
FOREIGN = re.compile(
    "Traceback|could not convert|unhashable|object has no attribute|unsupported operand|broadcast|"
    "Unable to allocate|too large to convert|cannot be interpreted|invalid literal|inhomogeneous|"
    "Maximum allowed|Input should|unexpected keyword|'NoneType'|not supported between|ufunc"
)


# How a sentence about a file names what it is about.
KEYS = (r"\bkeys? ['\"]", r"\[\w+\]", r"\bkeys? \w")


def check_sentence(said, names):
    """Hold what is said to the form of our own sentences: whole, naming what, and in our words.

    `names` are patterns of what can be named; one of them must be.
    """
    if said is not None:
        assert any(re.search(name, said) for name in names), said
        assert said.rstrip().endswith((".", "?")), said
        assert len(said.split()) > 3, said
        assert not FOREIGN.search(said), said


def refused(call, documented=DOCUMENTED):
    """What a call says when it refuses with a documented error; None when it works."""
    try:
        with np.errstate(all="ignore"):
            call()
    except documented as error:
        return str(error)
    return None


X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.tanh(X[:, 0])
PROBLEM = mf.Problem(X, Y, l2=0.1, temperature=0.01)
CLOUD = mf.simulate(PROBLEM, 4, n_steps=2).particles

CALLS = {
    "Problem": (
        lambda **changes: mf.Problem(**{"X": X, "y": Y, **changes}),
        "X y activation loss bias train l2 temperature X_test y_test name",
    ),
    "simulate": (
        lambda **changes: mf.simulate(
            **{"problem": PROBLEM, "n_particles": 4, "n_steps": 3, **changes}
        ),
        "n_particles step_size n_steps seed n_replicas integrator save_at init drive dtype "
        "temperature substeps first_replica",
    ),
    "InitialLaw": (mf.InitialLaw, "law scale rho nu"),
    "Particles": (
        lambda **changes: mf.Particles(**{"a": CLOUD.a, "w": CLOUD.w, "b": CLOUD.b, **changes}),
        "a w b",
    ),
    "from_state_dict": (
        lambda **changes: mf.Particles.from_state_dict(
            **{"state": CLOUD.to_state_dict(), **changes}
        ),
        "state normalisation",
    ),
    "predict": (
        lambda **changes: mf.predict(**{"problem": PROBLEM, "particles": CLOUD, "X": X, **changes}),
        "X",
    ),
    "wasserstein2": (lambda **changes: mf.wasserstein2(**{"x": X, "y": X, **changes}), "x y"),
    "canonical": (
        lambda **changes: mf.canonical(**{"particles": CLOUD, "activation": "tanh", **changes}),
        "particles activation",
    ),
    "regressor": (
        lambda **changes: mf.MeanFieldRegressor(
            **{"n_particles": 4, "n_steps": 3, "random_state": 0, **changes}
        ).fit(X, Y),
        "n_particles activation l2 temperature step_size n_steps init n_networks standardize "
        "random_state",
    ),
}


@pytest.mark.parametrize("name", CALLS)
@SETTINGS
@given(data=st.data())
def test_arguments(name, data):
    check_arguments(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@AT_RANDOM
@given(data=st.data())
def test_arguments_at_random(name, data):
    check_arguments(name, data)


def check_arguments(name, data):
    call, names = CALLS[name]
    chosen = data.draw(st.sets(st.sampled_from(names.split()), min_size=1, max_size=2))
    changes = {argument: data.draw(AWKWARD) for argument in sorted(chosen)}
    # A run that diverges names what is to be lowered.
    names = [*chosen, "step_size"]
    check_sentence(refused(lambda: call(**changes)), [rf"\b{name}\b" for name in names])


CELLS = st.one_of(
    st.floats(),
    st.integers(-3, 3),
    st.sampled_from(
        ["1,200", "NA", "None", "", "a", "b", '"', "'", "1e400", "\ufeff1", "0x1", "#"]
    ),
    st.text(max_size=4),
)
OPTIONS = {
    "target": st.one_of(st.integers(-4, 4), st.text(max_size=2), st.lists(st.integers(-3, 3))),
    "drop": st.lists(st.one_of(st.integers(-4, 4), st.text(max_size=2)), max_size=2),
    "header": st.booleans(),
    "delimiter": st.sampled_from([",", ";", " ", "\t", "", "ab", '"']),
    "decimal": st.sampled_from([".", ","]),
    "categorical": st.one_of(st.sampled_from(["refuse", "one-hot"]), st.lists(st.integers(-3, 3))),
    "labels": st.sampled_from(["numbers", "classes", "one-hot"]),
    "missing": st.sampled_from(["refuse", "drop", "mean"]),
    "standardize": st.sampled_from(["none", "zscore", "unit"]),
    "standardize_y": st.booleans(),
    "test_fraction": st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.5]),
    "n_samples": st.integers(-1, 5),
}


@SETTINGS
@given(data=st.data())
def test_csv_tables(tmp_path, data):
    check_csv_table(tmp_path, data)


@pytest.mark.slow
@AT_RANDOM
@given(data=st.data())
def test_csv_tables_at_random(tmp_path, data):
    check_csv_table(tmp_path, data)


def check_csv_table(tmp_path, data):
    """A study on a table of anything, read with any options: planned, or one sentence."""
    columns = data.draw(st.integers(1, 4))
    kinds = [data.draw(st.sampled_from([CELLS, st.floats(-3, 3)])) for _ in range(columns)]
    rows = data.draw(st.lists(st.tuples(*kinds), max_size=8))
    chosen = data.draw(st.sets(st.sampled_from(sorted(OPTIONS)), max_size=3))
    path = tmp_path / "any.csv"
    mark = data.draw(st.sampled_from([",", ";", "\t", " "]))
    path.write_text(
        "\n".join(mark.join(map(str, row)) for row in rows), encoding="utf-8", newline=""
    )
    study = get_study("simulate")
    content = {
        "study": "simulate",
        "data": {"source": "csv", "path": str(path)}
        | {option: data.draw(OPTIONS[option]) for option in sorted(chosen)},
        "problem": {"loss": data.draw(st.sampled_from(["squared", "logistic", "cross-entropy"]))},
        "simulate": {"n_particles": 4, "n_replicas": 1},
    }
    said = refused(lambda: study.prepare(parse(study.config, content)), ConfigError)
    check_sentence(said, KEYS)


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_work_as_they_stand(name):
    call, names = CALLS[name]
    assert refused(lambda: call(**({"law": "laplace"} if name == "InitialLaw" else {}))) is None
    assert refused(lambda: call(**{names.split()[0]: object()}))
