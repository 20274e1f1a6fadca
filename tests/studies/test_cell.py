"""The studies `cell` and `identify`: their numbers, words and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

import meanfield as mf
from meanfield.flow.run import predict
from meanfield.studies import get_study
from meanfield.studies.cell import figures as cell_figures
from meanfield.studies.cell import study as cell
from meanfield.studies.identify import figures as identify_figures
from meanfield.system.progress import no_progress
from meanfield.workbench.config import parse
from meanfield.workbench.sections.atom_bounds import ASSUMED
from meanfield.workbench.sections.data import build_data
from tests.studies.running import TEACHER, assert_draws_whole, configured, page, run_once

CONFIGS = {
    "identify": {
        "identify": {
            "activations": ["silu", "he2"],
            "dims": [1],
            "sizes": [1, 2],
            "max_degree": 6,
            "n_points": 2,
            "n_starts": 6,
            "n_paths": 0,
        },
    },
    "cell": {
        "data": {**TEACHER, "n_atoms": 1, "bias": False, "weight_norm": 2.0},
        "problem": {"bias": False, "l2": 0.001, "temperature": 1e-5},
        "run": {"step_size": 0.5, "n_steps": 500},
        "cell": {"n_particles": 60},
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_once(CONFIGS, tmp_path_factory.mktemp("out"))


def test_depths_are_those_of_the_library(results):
    dataset, numbers, folder = results("identify")
    silu = dataset.sel(activation="silu", bias=0, d=1)
    assert silu["variety"].values.tolist() == [1, 4]
    assert silu["orbit"].values.tolist() == [1, 6]
    assert silu["orbits"].sel(atoms=2, degree=6) == 1
    assert silu["orbits"].sel(atoms=2, degree=5) > 1
    assert (dataset.sel(activation="he2", atoms=2)["orbit"].isnull()).all()
    name = "orbit-he2-plain-d1-S2"
    assert numbers[name]["value"] is None
    assert "not reached up to 6" in numbers[name]["label"]
    assert "silu, d = 1, S = 2 (4 and 6)" in page(folder)


def test_cell_is_that_of_the_library(results):
    dataset, numbers, folder = results("cell")
    assert numbers["order"]["value"] == 2.0
    assert (numbers["orbit_depth"]["value"], numbers["n_atoms"]["value"]) == (3, 1)
    assert numbers["bound"]["value"] >= 1
    assert "S* = 1." in page(folder)
    moments = dataset["log_moments"].sel(bound="value").values
    root = np.exp(moments / dataset["k"].values)
    assert (np.diff(root) > 0).all()


def test_bound_of_data_says_what_it_assumes(results):
    config = configured(CONFIGS, "cell")[1]
    problem = build_data(config)[1]
    unit = get_study("cell").prepare(config).units[0]
    found = unit.function(**{**unit.arguments, "target": None}, progress=no_progress)
    made = cell.combine(problem, False, found).numbers
    label = made["bound"].label
    assert "if the inputs were standard normal" in label
    assert "if the inputs" not in results("cell")[1]["bound"]["label"]
    # What is assumed raises no alarm.
    numbers = json.loads(json.dumps(results("cell")[1]))
    for text, said in (
        (label, f"S̄ = 0, which would be the count {ASSUMED}"),
        ("Count", "ATTENTION"),
    ):
        numbers["bound"] |= {"value": 0.0, "interval": None, "label": text}
        finding = get_study("cell").report({"numbers": numbers}, results("cell")[0])[0].text
        assert said in finding
        assert ("ATTENTION" in finding) == (said == "ATTENTION")
    # Whether its network learned, on the rows that tell.
    network = mf.Particles.from_coordinates(found["network"][None], 1, False, False)
    score = problem.score(predict(problem, network, problem.X_test), held_out=True)
    assert made["test_r2"].value == pytest.approx(score.value)
    assert results("cell")[1]["test_r2"]["interval"] == pytest.approx(score.interval)
    assert "The networks have learned" in page(results("cell")[2])


def test_cell_without_a_bound():
    data = {"source": "digits", "classes": [3, 8], "n_samples": 30, "test_fraction": 0.0}
    study = get_study("cell")
    config = parse(
        study.config,
        {
            "study": "cell",
            "data": data,
            "problem": {"l2": 0.2, "temperature": 1e-6},
            "run": {"n_steps": 200, "step_size": 0.5},
            "cell": {"n_particles": 20, "max_degree": 1},
        },
    )
    plan = study.prepare(config)
    (unit,) = plan.units
    numbers = plan.combine({"cell": unit.function(**unit.arguments, progress=no_progress)}).numbers
    assert "bound" not in numbers


FIGURES = [
    ("identify", identify_figures.plot_depths),
    ("cell", cell_figures.plot_weight),
    ("cell", cell_figures.plot_cell_residual),
]


@pytest.mark.parametrize(("name", "plot"), FIGURES)
def test_figures(results, name, plot):
    assert_draws_whole(plot, results(name)[0])
