"""The validation scripts: quick versions, claims about committed numbers, and what is written."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from meanfield.plots import style
from meanfield.statistics.estimate import Estimate
from meanfield.system import manifest
from meanfield.system.provenance import Provenance
from scripts.validation import NAMES, __main__, output


@pytest.fixture
def stub(monkeypatch):
    """A script that finds a slope, and claims that it is −1."""

    def run(quick):
        slope = Estimate(-0.9, -1.1 if quick else -0.95, -0.8, expected=-1.0, label="Slope")
        curve = Estimate(np.array([1.0, np.nan]), [0.5, np.nan], [2.0, np.nan])
        times = ("time", [0.25, 1 / 3, 3.0])
        variables = {"curve": curve.to_xarray(["particles"]), "floor": times}
        return {"slope": slope}, xr.Dataset(variables, {"particles": [4, 8], "time": [0, 1, 2]})

    def draw(figure, dataset):
        figure.subplots().plot(dataset["floor"])

    def check(numbers):
        output.require(numbers["slope"].agrees, "the slope is −1")

    script = SimpleNamespace(TITLE="A slope", run=run, draw=draw, check=check)
    monkeypatch.setitem(sys.modules, "scripts.validation.stub", script)
    monkeypatch.setattr(__main__, "NAMES", ("stub",))
    return script


def test_result_is_read_back(stub, tmp_path):
    numbers, dataset = stub.run(quick=True)
    folder = tmp_path / "results" / "stub"
    output.write_result(folder, "A slope", numbers, dataset, b"picture", Provenance.here(1.23))
    assert manifest.verify(folder) == ["stub.png", "summary.json", "table.csv"]
    (slope,) = output.read_numbers(folder).values()
    assert slope.to_summary() == numbers["slope"].to_summary()
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["study"], summary["title"]) == ("stub", "A slope")
    _, about = manifest.read_manifest(folder)
    assert about["seconds"] == 1.2
    assert about["commit"]


def test_table_has_a_row_an_entry_and_leaves_out_what_is_unknown(stub):
    _, dataset = stub.run(quick=True)
    assert output.to_csv(dataset).splitlines() == [
        "quantity,particles,time,value,low,high",
        "curve,4,,1,0.5,2",
        "floor,,0,0.25,,",
        "floor,,1,0.33333333,,",
        "floor,,2,3,,",
    ]


def test_picture_is_the_same_file_again(stub):
    _, dataset = stub.run(quick=True)
    first, second = (
        style.render_figure(lambda figure: stub.draw(figure, dataset), (2.0, 1.0))[0]
        for _ in range(2)
    )
    assert first == second
    assert first.startswith(b"\x89PNG")


def test_a_claim_that_fails_is_told_and_nothing_is_written(stub, tmp_path, capsys):
    assert __main__.main(["stub", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "−0.9  [−0.95, −0.8]  expected −1" in said
    assert "FAILED: The results do not support that the slope is −1." in said
    assert list(tmp_path.iterdir()) == []


def test_quick_version_writes_only_where_it_is_told(stub, tmp_path, capsys):
    assert __main__.main(["--quick"]) == 0
    assert __main__.main(["--quick", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("stub: A slope") == 2
    assert manifest.verify(tmp_path / "stub")


def test_unknown_experiment_is_refused(stub, capsys):
    with pytest.raises(SystemExit):
        __main__.main(["stubb"])
    assert "there is no 'stubb'; choose from stub" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_committed_numbers_support_the_claims(name):
    script = importlib.import_module(f"scripts.validation.{name}")
    numbers = output.read_numbers(output.ROOT / "results" / name)
    script.check(numbers)
    assert manifest.verify(output.ROOT / "results" / name)


@functools.cache
def quick_run(name):
    """Return what the quick version of a script finds."""
    return importlib.import_module(f"scripts.validation.{name}").run(quick=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("fonts_as_outlines")
def test_script_runs_in_small_and_draws(name):
    script = importlib.import_module(f"scripts.validation.{name}")
    numbers, dataset = quick_run(name)
    before = dataset.copy(deep=True)
    assert numbers.keys() <= output.read_numbers(output.ROOT / "results" / name).keys()
    assert all(number.label for number in numbers.values())
    figures = []

    def draw(figure):
        script.draw(figure, dataset)
        figures.append(figure)

    style.render_figure(draw, getattr(script, "SIZE", style.SIZE))
    assert dataset.identical(before)
    (figure,) = figures
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert figure.bbox.padded(1.0).containsx(ax.get_tightbbox().x1)
        assert figure.bbox.padded(1.0).containsy(ax.get_tightbbox().y1)


def test_references_stand_for_the_same_limit():
    numbers, dataset = quick_run("references")
    for metric in ("coupling", "matched_w2", "function", "law_w2"):
        slope = numbers[f"{metric}_chain"].value
        assert numbers[f"{metric}_fokker-planck"].value == pytest.approx(slope, abs=0.05)
        if metric != "law_w2":  # a system of particles has no law
            assert numbers[f"{metric}_particles"].value == pytest.approx(slope, abs=0.05)
    for method in ("particles", "fokker-planck"):
        assert 0 < numbers[f"gap_{method}"].value < 0.05
    assert (dataset["gap"].sel(reference="chain") == 0).all()
    # The start is the same, up to what the particles of the large system are drawn from.
    assert dataset["gap"].sel(reference="fokker-planck")[0] < 1e-12


def test_variance_of_networks_is_of_order_one_over_n():
    numbers, dataset = quick_run("ensembles")
    assert numbers["variance_slope"].agrees
    assert numbers["bias_slope"].expected == -2
    # A single network has its bias and its variance as its error.
    value = dataset.sel(bound="value")
    total = value["squared_bias"] + value["variance"]
    np.testing.assert_allclose(total, value["error"].isel(networks=0))
