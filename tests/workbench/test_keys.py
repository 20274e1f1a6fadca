"""Whatever is wrong with a key of any study: one sentence names the key, before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from meanfield.errors import ArgumentError, ConfigError
from meanfield.problem import SOURCES
from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import InitSection, RunSection, Section, named_keys, parse

JUNK = ("no-such-thing", -1, ["no-such-thing"], [-1], {"no": "such"}, True, float("nan"))


def keys(section: Section, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every key of a configuration, set or not, with the tables around it."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from keys(value, (*parents, name))
        else:
            yield (*parents, name)


def replaced(content: Mapping[str, Any], key: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the content of a file with one key changed."""
    first, *rest = key
    inner = replaced(content.get(first, {}), tuple(rest), value) if rest else value
    return {**content, first: inner}


def is_fine(default: Any, key: str, value: Any) -> bool:
    """Whether a piece of junk is none for a key."""
    if key in ("study", "title"):
        return isinstance(value, str)
    if key == "data.link":  # a polynomial in one projection
        return value == [-1]
    if key == "data.target":  # the last column
        return value in (-1, [-1])
    return value is True and (isinstance(default, bool) or key == "data.header")


def complaints(study: str, content: Mapping[str, Any], folder: Any, only: str = "") -> list[str]:
    """Return what is wrong with the sentences on junk in the place of each key."""
    kind, found = get_study(study), []
    base = parse(kind.config, content, folder=folder)
    for path in keys(base):
        key, default = ".".join(path), base
        for name in path:
            default = getattr(default, name)
        if not key.startswith(only):
            continue
        for value in JUNK:
            if is_fine(default, key, value):
                continue
            try:
                kind.prepare(parse(kind.config, replaced(content, path, value), folder=folder))
            except ConfigError as error:
                if key not in str(error) or "\n" in str(error):
                    found.append(f"{key} = {value!r}: {error}")
            else:
                found.append(f"{key} = {value!r} is accepted")
    return found


@pytest.mark.parametrize("study", list(STUDIES))
def test_junk_in_any_key_is_refused_by_its_name(study, tmp_path):
    assert complaints(study, get_study(study).example, tmp_path) == []


TABLES = {
    "npz": {"path": "data.npz"},
    "csv": {"path": "data.csv", "target": "y"},
    "diabetes": {},
    "digits": {"n_samples": 30},
    "patches": {"n_samples": 30},
    "cifar10": {"folder": "cifar", "classes": ["cat", "dog"]},
    "teacher": {"n_features": 2, "n_atoms": 2},
    "single-index": {"n_features": 2},
    "multi-index": {"n_features": 3, "n_directions": 2, "link": {"1": 1.0}},
    "parity": {"n_features": 3, "coordinates": [0, 1]},
    "hermite": {"n_features": 2, "coefficients": {"1": 1.0}},
}


@pytest.mark.parametrize("source", list(SOURCES))
def test_junk_in_any_key_of_a_source_is_refused_by_its_name(source, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 2)), rng.standard_normal(9)
    np.savez(tmp_path / "data.npz", X=X, y=y, X_test=X, y_test=y)
    (tmp_path / "data.csv").write_text("x,y\n1,2\n3,4\n5,7\n")
    folder = tmp_path / "cifar"
    folder.mkdir()
    records = rng.integers(0, 10, (30, 3073), dtype=np.uint8)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        records.tofile(folder / f"{name}.bin")
    content = {"study": "simulate", "data": {"source": source, **TABLES[source]}}
    assert complaints("simulate", content, tmp_path, only="data.") == []


TOO_LATE = {"kind": "piecewise", "numbers": [1.0, 0.1], "changes": [10**6]}
TWO_DIGITS = {"source": "digits", "classes": [3, 8]}
TEACHER = {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 30}


@pytest.mark.parametrize(
    ("study", "key", "content"),
    [
        ("simulate", "simulate.save_at", {"simulate": {"save_at": [10**6]}}),
        ("simulate", "run.batch_size", {"run": {"batch_size": 10**6}}),
        ("simulate", "run.anchor_period", {"run": {"anchor_period": 5}}),
        ("simulate", "run.integrator", {"run": {"integrator": "kinetic(no)"}}),
        ("simulate", "run.init.rho", {"run": {"init": "stretched-exponential"}}),
        ("simulate", "run.init.nu", {"run": {"init": {"nu": 3.0}}}),
        ("simulate", "run.step_size", {"run": {"step_size": {"kind": "geometric", "start": 1}}}),
        ("simulate", "problem.l2", {"problem": {"l2": [1.0]}}),
        ("simulate", "problem.temperature", {"problem": {"temperature": {"kind": "constant"}}}),
        ("chaos", "problem.temperature", {"problem": {"temperature": TOO_LATE}}),
        ("errors", "run.step_size", {"run": {"step_size": TOO_LATE}}),
        ("simulate", "problem.train", {"problem": {"train": []}}),
        ("simulate", "problem.loss", {"data": TEACHER, "problem": {"loss": "logistic"}}),
        ("simulate", "data.n_samples", {"data": {"source": "digits", "n_samples": 10**6}}),
        ("simulate", "data.classes", {"data": {"source": "digits", "classes": [3]}}),
        ("simulate", "data.test_fraction", {"data": {"source": "digits", "test_fraction": 1.0}}),
        ("simulate", "data.min_angle", {"data": {**TEACHER, "n_atoms": 9, "min_angle": 80.0}}),
        ("chaos", "chaos.n_replicas", {"chaos": {"n_replicas": 3}}),
        ("chaos", "chaos.particle_counts", {"chaos": {"particle_counts": [8, 16]}}),
        ("chaos", "chaos.times", {"chaos": {"times": [10**6]}}),
        ("chaos", "chaos.cloud_size", {"chaos": {"cloud_size": 1}}),
        ("chaos", "chaos.reference.method", {"chaos": {"reference": {"method": "gaussian"}}}),
        ("chaos", "chaos.reference.method", {"chaos": {"reference": {"method": "fokker-planck"}}}),
        ("errors", "errors.n_data", {"errors": {"n_data": 10**6}}),
        ("errors", "errors.data_counts", {"errors": {"data_counts": [10**6]}}),
        (
            "errors",
            "errors.path_particles",
            {"errors": {"path_particles": 9, "particle_counts": [4096]}},
        ),
        ("errors", "errors.degree", {"errors": {"degree": 1000}}),
        ("errors", "problem.temperature", {"problem": {"temperature": 0.0}}),
        ("errors", "problem.loss", {"problem": {"loss": "logistic"}}),
        ("errors", "data.test_fraction", {"data": {**TWO_DIGITS, "test_fraction": 0.0}}),
        ("atoms", "atoms.image", {"atoms": {"image": [3, 3]}}),
        ("atoms", "atoms.cool_to", {"atoms": {"cool_to": 1.0}}),
        ("atoms", "problem.activation", {"problem": {"activation": "identity"}}),
        ("cell", "problem.activation", {"problem": {"activation": "identity"}}),
        ("identify", "identify.max_degree", {"identify": {"max_degree": 10**6}}),
        ("recovery", "recovery.step_sizes", {"recovery": {"step_sizes": [1.0] * 9}}),
        ("recovery", "recovery.min_angle", {"recovery": {"dims": [1], "sizes": [2]}}),
        ("limit", "limit.n_samples", {"limit": {"n_samples": 1000}}),
        ("widths", "limit.n_samples", {"limit": {"n_samples": 1}}),
        ("limit", "network.loss", {"data": TEACHER, "network": {"loss": "logistic"}}),
        ("limit", "convergence.widths", {"convergence": {"widths": [8]}}),
        ("simulate", "problem.loss", {"data": {"source": "digits"}}),
        (
            "simulate",
            "problem.train",
            {
                "data": {"source": "digits"},
                "problem": {"loss": "cross-entropy", "train": ["w", "b"]},
            },
        ),
        (
            "simulate",
            "data.n_features",
            {"data": {"source": "parity", "n_features": 10**9, "coordinates": [0]}},
        ),
        ("bench", "bench.threads", {"bench": {"threads": 10**6}}),
    ],
)
def test_what_does_not_fit_the_rest_is_refused_by_its_name(study, key, content, tmp_path):
    kind = get_study(study)
    whole = dict(kind.example)
    for table, values in content.items():
        whole[table] = values if table == "data" else {**whole.get(table, {}), **values}
    with pytest.raises(ConfigError) as caught:
        kind.prepare(parse(kind.config, whole, folder=tmp_path))
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


class Inner(Section):
    """A table."""

    run: RunSection = RunSection()
    other: InitSection = InitSection()


@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("step_size", "key 'run.step_size'"),
        ("rho", "key 'run.init.rho'"),
        ("init", "key 'run.init'"),
        ("tau", "key 'other.scale'"),
        ("X", "[other]"),
        ("unheard", "[run]"),
    ],
)
def test_an_argument_finds_its_key(argument, place):
    with (
        pytest.raises(ConfigError) as caught,
        named_keys(Inner(), "run", "other", tau="other.scale", X="other"),
    ):
        raise ArgumentError(argument, "must be so.")
    assert str(caught.value) == f"{place}: {argument} must be so."


def test_an_error_without_an_argument_is_laid_to_the_table():
    with pytest.raises(ConfigError, match=r"^\[run\]: l2 is"), named_keys(Inner(), "run"):
        raise ValueError("l2 is not read from a sentence")


def test_a_configuration_error_passes_as_it_is():
    with pytest.raises(ConfigError, match=r"^key 'a\.b' is wrong$"), named_keys(Inner(), "run"):
        raise ConfigError("key 'a.b' is wrong")


def test_every_source_is_tried():
    assert set(TABLES) == set(SOURCES)
