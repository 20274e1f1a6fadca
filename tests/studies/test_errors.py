"""The study `errors` gives what `decompose_error` gives, and redoes no more than it must."""

from __future__ import annotations

import functools
import json
import re

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study
from meanfield.studies.errors import report as errors_report
from meanfield.studies.errors import study as errors
from meanfield.system import storage
from meanfield.system.descriptions import describe
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_data

SMALL = {
    "study": "errors",
    "seed": 2,
    "data": {
        "source": "teacher",
        "n_features": 2,
        "n_atoms": 2,
        "bias": False,
        "n_train": 16,
        "n_test": 30,
        "noise": 0.1,
    },
    "problem": {"bias": False, "l2": 0.1, "temperature": 0.02},
    "run": {"step_size": 0.2, "n_steps": 20, "dtype": "float32"},
    "errors": {
        "n_particles": 16,
        "n_atoms": 2,
        "n_replicas": 6,
        "data_counts": [8, 64],
        "n_population": 128,
        "long_particles": 64,
        "path_particles": 256,
        "settle_steps": 50,
    },
}


def configuration(**keys):
    return parse(errors.ErrorsConfig, {**SMALL, "errors": {**SMALL["errors"], **keys}})


def plan_of(config):
    return errors.make_plan(config, *build_data(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("errors") / "out"
    run_study(get_study("errors"), configuration(), out)
    return out


def numbers(out):
    return json.loads((out / "summary.json").read_text())["numbers"]


def test_numbers_are_those_of_the_library(folder):
    plan = plan_of(configuration())
    budget = mf.decompose_error(
        plan.problem,
        plan.target,
        n_steps=20,
        seed=2,
        step_size=0.2,
        **SMALL["errors"],
    )
    found = numbers(folder)
    for name, part in {**budget.components, "total": budget.total}.items():
        assert found[name]["value"] == pytest.approx(part.value, rel=1e-6)
        assert found[name]["interval"] == pytest.approx(part.interval, rel=1e-5)
    assert found["closure"]["value"] < 1e-12
    parts = [found[f"contribution_{name}"] for name in budget.components]
    assert sum(part["value"] for part in parts) == pytest.approx(found["total"]["value"], rel=1e-12)
    for part, component in zip(parts, budget.components.values(), strict=True):
        assert part["interval"] == pytest.approx(component.contribution.interval, rel=1e-4)
    assert found["test_r2"]["value"] == pytest.approx(budget.score.value, rel=1e-5)
    assert found["test_r2"]["resampled"] == "rows and replicas"
    for name, gain in budget.advice.halved.items():
        assert found[f"gain_{name}"]["value"] == pytest.approx(gain.value, rel=1e-4)
    assert found["chaos_slope"]["expected"] == -1
    assert found["gain_S"]["value"] == pytest.approx(budget.advice.gain["S"].value, rel=1e-5)
    saved = storage.read_dataset(folder / "result.nc")
    assert saved.attrs["advice"] == budget.advice.statement
    for name, variable in saved.variables.items():
        assert describe(name)[0] != name.replace("_", " ") or "_" not in name
        assert variable.attrs["long_name"]


def test_training_time_under_a_schedule_of_step_sizes(folder):
    saved = storage.read_dataset(folder / "result.nc")
    scheduled = saved.assign_attrs(step_size="0.1 to 0.3", training_time=4.25)
    assert "to time 4.25;" in errors_report._intermediates(scheduled)


def test_folder_has_the_figures_and_says_what_to_do(folder):
    for name in ("budget", "tail", "statistical", "chaos", "optimisation", "sparse"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "What to change first" in page
    assert "128 evenly spread inputs" in page
    finding = page.split("largest part of it, ")[1][:200]
    assert re.search(r"\d% ?, is the [a-z ]+: what ", finding)  # a name alone says little
    for text in (page, (folder / "config.toml").read_text()):
        assert not re.search(r"\ba [aeiou]\w* study", text)
        assert not re.search(r"(?<=[\s(])-\d", text.split("<details>")[0])  # a hyphen for a minus


@pytest.mark.parametrize(
    ("keys", "redone"),
    [
        ({"n_atoms": 3}, ["atoms"] * 6),
        ({"threshold": 0.5}, []),
        ({"n_replicas": 7}, ["sets", "dynamics", "atoms"]),
    ],
)
def test_only_what_depends_on_a_change_is_redone(tmp_path, folder, monkeypatch, keys, redone):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    out, done = tmp_path / "out", []
    for file in folder.rglob("*"):
        if file.is_file():
            (out / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (out / file.relative_to(folder)).write_bytes(file.read_bytes())
    for name, stage in (
        ("population", "population"),
        ("training_sets", "sets"),
        ("dynamics", "dynamics"),
        ("few_atoms", "atoms"),
    ):
        function = getattr(errors.intermediates, name)

        @functools.wraps(function)
        def counted(*args, _stage=stage, _function=function, **more):
            done.append(_stage)
            return _function(*args, **more)

        monkeypatch.setattr(errors.intermediates, name, counted)
    run_study(get_study("errors"), configuration(**keys), out, resume=True)
    assert done == redone
    before, after = numbers(folder), numbers(out)
    if redone != ["sets", "dynamics", "atoms"]:
        assert after["chaos"] == before["chaos"]
    assert after["total"] != before["total"] or keys == {"threshold": 0.5}


def test_other_changes_are_refused(folder):
    with pytest.raises(ConfigError, match=r"errors\.n_particles"):
        run_study(get_study("errors"), configuration(n_particles=8), folder, resume=True)


def test_all_particles_are_kept_with_zero_atoms():
    assert plan_of(configuration(n_atoms=0)).n_atoms is None


def test_labels_that_are_signs_are_data():
    data = {**SMALL["data"], "labels": "sign", "n_train": 64}
    config = parse(
        errors.ErrorsConfig, {**SMALL, "data": data, "errors": {"n_data": 16, "n_replicas": 4}}
    )
    plan = plan_of(config)
    assert not plan.closed_form
    np.testing.assert_array_equal(np.unique(plan.truth), [-1, 1])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"n_population": 16}, "must not exceed 8"),
        ({"path_particles": 3, "long_particles": 3}, "largest"),
    ],
)
def test_combinations_are_checked_before_the_work(keys, message):
    with pytest.raises(ConfigError, match=message):
        get_study("errors").prepare(configuration(**keys))


def test_classes_of_a_table_are_learned_as_numbers(tmp_path):
    kinds = "".join(f"{i % 7},{i % 5},{'abc'[i % 3]}\n" for i in range(60))
    (tmp_path / "rows.csv").write_text(f"u,v,kind\n{kinds}")
    data = {"source": "csv", "path": str(tmp_path / "rows.csv"), "test_fraction": 0.3}

    def planned(labels, loss):
        content = {**SMALL, "data": data | {"labels": labels}, "problem": {"loss": loss}}
        return get_study("errors").prepare(
            parse(errors.ErrorsConfig, content | {"errors": {"n_replicas": 4}})
        )

    classes, numbers = (
        planned(*given).units[0].arguments["plan"].problem
        for given in (("classes", "cross-entropy"), ("one-hot", "squared"))
    )
    assert classes.loss.name == "squared"
    np.testing.assert_array_equal(classes.targets, numbers.targets)
    np.testing.assert_array_equal(classes.targets_test, numbers.targets_test)


def test_a_report_says_that_classes_were_learned_as_numbers(tmp_path, undrawn):
    content = {
        **SMALL,
        "data": {**SMALL["data"], "labels": "sign"},
        "problem": {**SMALL["problem"], "loss": "logistic"},
        "errors": {**SMALL["errors"], "n_replicas": 4, "data_counts": [2, 4, 8]},
    }
    run_study(get_study("errors"), parse(errors.ErrorsConfig, content), tmp_path / "out")
    assert "in place of the loss logistic" in (tmp_path / "out" / "report.html").read_text()


def test_an_expansion_of_too_many_terms_is_refused_before_the_work():
    data = {**SMALL["data"], "n_features": 12}
    config = parse(
        errors.ErrorsConfig, {**SMALL, "data": data, "errors": {**SMALL["errors"], "degree": 12}}
    )
    with pytest.raises(ConfigError, match="lower the degree"):
        get_study("errors").prepare(config)


def test_data_without_a_held_out_part_are_refused_by_the_key_that_gives_one(tmp_path):
    (tmp_path / "rows.csv").write_text("u,y\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))
    csv = {"source": "csv", "path": str(tmp_path / "rows.csv"), "target": "y"}
    signs = {**SMALL["data"], "labels": "sign", "n_test": 0}
    for data, key in ((csv, "test_fraction"), (signs, "n_test")):
        with pytest.raises(ConfigError, match=rf"raise data\.{key} above 0"):
            plan_of(parse(errors.ErrorsConfig, {**SMALL, "data": data}))


def test_few_rows_give_an_unknown_slope_and_a_note_in_place_of_a_zero(tmp_path, undrawn):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 3))
    np.savetxt(tmp_path / "five.csv", rows, delimiter=",", header="a,b,y", comments="")
    data = {"source": "csv", "path": str(tmp_path / "five.csv"), "target": "y"}
    few = {**SMALL, "data": {**data, "test_fraction": 0.2}, "problem": {"l2": 0.1}}
    few["problem"] |= {"loss": "squared", "temperature": 0.02}
    few["errors"] = {**SMALL["errors"], "n_data": 4, "data_counts": [2, 3]}
    run_study(get_study("errors"), parse(errors.ErrorsConfig, few), tmp_path / "out")
    found = numbers(tmp_path / "out")
    assert found["statistical"]["value"] == 0
    assert found["statistical"]["interval"] is None
    assert found["statistical_slope"]["value"] is None
    assert found["tail"]["interval"] is None  # of a single held-out row
    assert "gain_n" not in found
    notes = " ".join(found["total"]["notes"])
    assert "one held-out row" in notes
    assert "0 by construction" in notes
    report = (tmp_path / "out" / "report.html").read_text()
    assert "ridge regression on all training rows" in report
    assert "Hermite series is cut" not in report
    assert "(0 to 0)" not in report
    assert "not measurable" in report
