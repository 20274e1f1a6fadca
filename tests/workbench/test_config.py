"""Configurations: complete, strict, and the same after a round trip through TOML."""

from __future__ import annotations

import inspect
import tomllib
import typing
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from meanfield.errors import ConfigError
from meanfield.problem import SOURCES
from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import (
    Count,
    Positive,
    PowerOfTwo,
    Section,
    StudyConfig,
    load_config,
    parse,
)
from meanfield.workbench.outputs import write_config
from meanfield.workbench.sections.data import LearningConfig
from meanfield.workbench.toml import to_toml


class Inner(Section):
    """An inner table."""

    numbers: list[float] = [1.0]  # noqa: RUF012 (pydantic copies defaults)
    maybe: Count | None = Field(None, description="Set or not.")


class Everything(StudyConfig):
    """One key of every kind."""

    whole: int = 1
    real: float = 0.5
    text: str = "x"
    flag: bool = False
    words: list[str] = []  # noqa: RUF012
    table: dict[str, float] = {}  # noqa: RUF012
    either: str | list[int] = "x"
    size: Positive | list[Positive] = 1.0
    power: PowerOfTwo = 2
    kind: Literal["foxes", "it's", "owls"] | None = None
    inner: Inner = Field(default_factory=Inner)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
REAL = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=150, deadline=None)
@given(
    content=st.fixed_dictionaries(
        {"study": TEXT, "title": TEXT, "seed": st.integers(0, 2**63 - 1)},
        optional={
            "whole": st.integers(-(2**63), 2**63 - 1),
            "real": REAL,
            "text": TEXT,
            "flag": st.booleans(),
            "words": st.lists(TEXT, max_size=3),
            "table": st.dictionaries(TEXT, REAL, max_size=3),
            "either": st.one_of(TEXT, st.lists(st.integers(-5, 5), max_size=3)),
            "inner": st.fixed_dictionaries(
                {}, optional={"numbers": st.lists(REAL, max_size=3), "maybe": st.integers(1, 9)}
            ),
        },
    )
)
def test_round_trip(content):
    config = parse(Everything, content)
    assert parse(Everything, tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize("study", list(STUDIES))
def test_example_of_every_study_round_trips(study):
    kind = get_study(study)
    config = parse(kind.config, dict(kind.example))
    assert parse(kind.config, tomllib.loads(to_toml(config))) == config
    kind.prepare(config)


REQUIRED = {
    "npz": {"path": "x.npz"},
    "csv": {"path": "x.csv"},
    "cifar10": {"folder": "cifar-10-batches-bin"},
    "teacher": {"n_features": 2, "n_atoms": 1},
    "single-index": {"n_features": 2},
    "multi-index": {"n_features": 3, "n_directions": 2, "link": {"1": 1.0, "1,1": 0.5}},
    "parity": {"n_features": 3, "coordinates": [0, 1]},
    "hermite": {"n_features": 2, "coefficients": {"1": 1.0, "0,2": -0.5}},
}


@pytest.mark.parametrize("source", list(SOURCES))
def test_every_source_has_its_options_explained(source):
    content = {"study": "x", "data": {"source": source, **REQUIRED.get(source, {})}}
    config = parse(LearningConfig, content)
    text = to_toml(config)
    assert parse(LearningConfig, tomllib.loads(text)) == config
    for name, field in type(config.data).model_fields.items():
        assert field.description, f"nothing explains {name} of {source}"
        assert "`" not in field.description


@pytest.mark.parametrize("source", list(SOURCES))
def test_options_of_a_source_are_those_of_its_loader(source):
    content = {"study": "x", "data": {"source": source, **REQUIRED.get(source, {})}}
    fields = dict(type(parse(LearningConfig, content).data).model_fields)
    assert fields.pop("source").is_required()
    parameters = inspect.signature(SOURCES[source]).parameters
    assert {name: field.default for name, field in fields.items() if not field.is_required()} == {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }
    assert set(fields) == set(parameters)
    hints = typing.get_type_hints(SOURCES[source])
    for name, field in fields.items():
        taken = str if Path in typing.get_args(hints[name]) else hints[name]
        assert field.annotation == taken, name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"wohle": 1}, "key 'wohle' is not known. Did you mean 'whole'?"),
        ({"inner": {"number": []}}, "key 'inner.number' is not known. Did you mean 'numbers'?"),
        ({"inner": {"numbers": [1, "a"]}}, "key 'inner.numbers[1]' must be a number, got 'a'."),
        ({"inner": {"maybe": 0}}, "key 'inner.maybe' must be at least 1, got 0."),
        ({"inner": 3}, "key 'inner' must be a table, got 3."),
        ({"whole": 1.5}, "key 'whole' must be a whole number, got 1.5."),
        ({"whole": "1"}, "key 'whole' must be a whole number, got '1'."),
        ({"whole": True}, "key 'whole' must be a whole number, got true."),
        ({"real": float("inf")}, "key 'real' must be a finite number, got inf."),
        ({"flag": 1}, "key 'flag' must be true or false, got 1."),
        ({"text": 1}, "key 'text' must be a text in quotes, got 1."),
        ({"words": "a"}, "key 'words' must be a list in square brackets, got 'a'."),
        (
            {"either": 2},
            "key 'either' must be a text in quotes or a list in square brackets, got 2.",
        ),
        ({"kind": "fox"}, "key 'kind' is 'fox', which is not known. Did you mean 'foxes'?"),
        ({"kind": 3}, "key 'kind' is 3, which is not known. Choose one of: foxes, it's, owls."),
        ({"table": {"a": "b"}}, "key 'table' must be a number, got 'b'."),
        ({"size": -1}, "key 'size' must be greater than 0, got -1."),
        ({"size": [1, -2]}, "key 'size' must be greater than 0, got -2."),
        ({"size": "1"}, "key 'size' must be a number or a list in square brackets, got '1'."),
        ({"power": 12}, "key 'power' must be a power of two, such as 8 or 16, got 12."),
        ({"seed": -1}, "key 'seed' must be at least 0, got -1."),
        ({"text": ["y" * 100]}, "got ['" + "y" * 55 + "...."),
    ],
)
def test_wrong_keys_are_named(content, message):
    with pytest.raises(ConfigError) as error:
        parse(Everything, {"study": "x", **content})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_misspelling_comes_before_what_it_makes_missing():
    with pytest.raises(ConfigError, match=r"data\.n_atom' is not known"):
        parse(
            LearningConfig,
            {"study": "x", "data": {"source": "teacher", "n_features": 1, "n_atom": 2}},
        )


def test_saved_paths_start_at_the_folder_of_the_results(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("x,y\n0,1\n1,0\n")
    text = 'study = "simulate"\n[data]\nsource = "csv"\npath = "data/t.csv"\n'
    (tmp_path / "mine.toml").write_text(text)
    model = get_study("simulate").config
    config = load_config(model, "simulate", tmp_path / "mine.toml")
    (tmp_path / "out").mkdir()
    write_config(tmp_path / "out", config)
    assert str(tmp_path) not in (tmp_path / "out" / "config.toml").read_text()
    tmp_path.rename(tmp_path.with_name("moved"))  # data and results together
    moved = tmp_path.with_name("moved")
    again = load_config(model, "simulate", moved / "out" / "config.toml")
    assert again.data.path == str(moved / "data" / "t.csv")
    assert again.model_copy(update={"data": config.data}) == config


def test_relative_paths_start_at_the_file(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('study = "x"\n[data]\nsource = "csv"\npath = "../table.csv"\n')
    config = load_config(LearningConfig, "x", file)
    assert config.data.path == str(tmp_path.parent / "table.csv")


def test_configuration_does_not_change():
    config = parse(Everything, {"study": "x"})
    with pytest.raises(ValueError, match="frozen"):
        config.whole = 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "key 'data.source' is missing; add it, one of npz, csv, digits,"),
        ({}, "key 'data.source' is missing; add it, one of npz, csv, digits,"),
        (3, "key 'data' must be a table, got 3."),
        (
            {"source": "digit"},
            "key 'data.source' is 'digit', which is not known. Did you mean 'dig",
        ),
        ({"source": ["csv"]}, "key 'data.source' is ['csv'], which is not known."),
        ({"source": "csv"}, "key 'data.path' is missing; add it to [data]."),
        ({"source": "digits", "target": 1}, "key 'data.target' is not known."),
        ({"source": "digits", "classes": ["3"]}, "key 'data.classes[0]' must be a whole number"),
    ],
)
def test_the_source_decides_what_the_data_table_holds(data, message):
    content = {"study": "x"} if data is None else {"study": "x", "data": data}
    with pytest.raises(ConfigError) as error:
        parse(LearningConfig, content)
    assert str(error.value).startswith(message)
