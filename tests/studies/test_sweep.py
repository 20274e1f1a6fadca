"""A sweep gives at every point what the study gives there alone, whatever way it took."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import meanfield as mf
from meanfield import plots
from meanfield.__main__ import app
from meanfield.errors import ConfigError
from meanfield.plots.sweep import value_texts
from meanfield.problem import SOURCES
from meanfield.statistics.estimate import Estimate
from meanfield.studies import STUDIES, Entry, get_study
from meanfield.studies.sweep.axes import axes_of
from meanfield.studies.sweep.config import read_sweep
from meanfield.studies.sweep.study import sweep_of
from meanfield.system import manifest, storage
from meanfield.workbench.config import parse, with_key
from meanfield.workbench.runner import run_study
from tests.studies.running import TEACHER, assert_draws_whole, page

SMALL = {
    "study": "simulate",
    "data": {**TEACHER, "n_train": 12, "n_test": 5},
    "run": {"n_steps": 6},
    "simulate": {"n_particles": 8, "n_replicas": 3},
}
GRID = {"problem.l2": [1e-4, 1e-2, 1e-1], "problem.temperature": [0.0, 1e-3]}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
        mf.sweep(SMALL, GRID, out=out)
    return out


def content(out):
    return (out / "sweep.nc").read_bytes(), (out / "summary.json").read_bytes()


def units(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "work").glob("*.npz")}


def test_every_point_has_the_bits_that_it_has_alone(tmp_path, whole):
    found = storage.read_dataset(whole / "sweep.nc")
    assert found["loss"].dims == (*GRID, "bound")
    assert found["loss"].attrs["units"] == "1"
    study = get_study("simulate")
    for l2, temperature in ((1e-4, 1e-3), (1e-1, 0.0)):
        alone = with_key(SMALL, ["problem"], {"l2": l2, "temperature": temperature}, "")
        out = tmp_path / f"{l2}"
        numbers = run_study(study, parse(study.config, alone), out)["numbers"]
        for key, saved in numbers.items():
            at = found[key].sel({"problem.l2": l2, "problem.temperature": temperature})
            number = Estimate.from_summary(saved)
            assert at.values.tolist() == [number.value, number.low, number.high]
            place = f"{key} at problem.l2={l2:g}, problem.temperature={temperature:g}"
            kept = json.loads((whole / "summary.json").read_text())["numbers"][place]
            assert kept["interval"] == saved["interval"]
    assert set(manifest.verify(whole)) > {"sweep.nc", "summary.json", "report.html", "loss.png"}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4:1e-1:4:log", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("0:1:5", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("64:1024:5:log", [64, 128, 256, 512, 1024]),
        ("-1:1:3", [-1, 0, 1]),
        ("0.1,0.2,0.5", [0.1, 0.2, 0.5]),
        ("tanh, relu", ["tanh", "relu"]),
        ('"tanh","relu"', ["tanh", "relu"]),
        ("mine:f,mine:g", ["mine:f", "mine:g"]),
        ("[32, 64],[64, 128]", [[32, 64], [64, 128]]),
        ("true,false", [True, False]),
        ("7", [7]),
    ],
)
def test_forms_of_an_axis(text, values):
    (found,) = axes_of([f"problem.l2={text}"]).values()
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"problem.l3": [1.0]}, r"grid point problem\.l3=1: key 'problem\.l3' is not known.* l2,"),
        ({"problem.l2": []}, r"axis 'problem\.l2' must hold a list of one or more"),
        ({"problem.l2": [1e-3, -1.0]}, r"point problem\.l2=-1: key 'problem\.l2' must be at least"),
        ({"run.n_steps": [5, 0.5]}, r"point run\.n_steps=0\.5: .* must be a whole number"),
        ({"problem.l2": [0.1, 0.1]}, "holds 0.1 twice; give every value once"),
        ({"problem.l2": 0.1}, "must hold a list of one or more values, got 0.1"),
        ({"run": [1], "run.n_steps": [2]}, "'run' and 'run.n_steps' change the same key"),
        ({"seed.x": [1]}, "grid point seed.x=1: axis 'seed.x': 'seed' is a key and no table"),
        ({"seed": range(200), "run.n_steps": range(1, 99)}, "has 19600 points; give at most"),
        ({}, "A sweep needs an axis; give one such as --over problem.l2="),
        # The schema allows it, the study does not.
        ({"simulate.save_at": [[0, 99]]}, r"grid point simulate\.save_at=\[0, 99\]: .*save_at"),
    ],
)
def test_what_is_wrong_with_a_grid_is_said_before_any_work(tmp_path, over, said):
    with pytest.raises(ConfigError, match=said):
        mf.sweep(SMALL, over, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("problem.l2", "is no axis; write KEY=VALUES"),
        ("problem.l2=", "'problem.l2' has no values; give them as lo:hi:n"),
        ("problem.l2=1:2", "is no range; write lo:hi:n with n of 2 or more"),
        ("problem.l2=1:2:1", "is no range"),
        ("problem.l2=1:2:3:lin", "is no range"),
        ("problem.l2=0:1:3:log", "needs ends above 0 for the logarithm"),
    ],
)
def test_what_is_no_axis_is_said(text, said):
    with pytest.raises(ConfigError, match=said):
        axes_of([text])


def test_a_point_that_fails_is_named_and_the_rest_goes_on(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setitem(STUDIES, "marked", Entry("tests.workbench.marked_study", "For tests."))
    found = mf.sweep({"study": "marked"}, {"fail": [-1, 3, 0]}, out=out)
    assert [bool(text) for text in found["failure"].values] == [False, True, True]
    assert np.isfinite(found["mean"].sel(bound="value").values).tolist() == [True, False, False]
    notes = json.loads((out / "summary.json").read_text())["numbers"]["failed"]["notes"]
    # Where the first unit fails, those that need it are not tried.
    assert notes == ["fail=3: lost", "fail=0: lost"]
    assert "2 of the grid points failed" in page(out)
    assert len(units(out)) == 8 + 7
    with pytest.raises(ConfigError, match=r"Every grid point failed; the first, fail=3: lost"):
        mf.sweep({"study": "marked"}, {"fail": [3]})


def test_what_points_share_is_made_once(monkeypatch):
    loaded = []
    teacher = SOURCES["teacher"]
    counting = {"teacher": lambda **keys: loaded.append(1) or teacher(**keys)}
    monkeypatch.setattr("meanfield.workbench.sections.data.SOURCES", counting)
    atoms = {"study": "atoms", "data": TEACHER, "atoms": {"n_replicas": 3}}
    over = {"problem.l2": [1e-3, 1e-2], "problem.temperature": [1e-4, 1e-3]}
    config = read_sweep(atoms, over, None, path="x", folder=".")
    labels = [unit.label for unit in sweep_of("atoms").prepare(config).units]
    # The bound from the target knows the penalty alone.
    assert sum(label.endswith("bound on S*") for label in labels) == 2
    assert len(labels) == 4 * 3 + 2
    assert len(loaded) == 1
    # How often something is repeated is no part of the reference that it is compared with.
    chaos = {"study": "chaos", "data": TEACHER}
    config = read_sweep(chaos, {"chaos.n_replicas": [8, 16]}, None, path="x", folder=".")
    assert len(sweep_of("chaos").prepare(config).units) == 1 + 1 + 4


def test_a_sweep_is_extended_by_a_column_and_by_replicas(tmp_path, whole):
    out = tmp_path / "out"
    mf.sweep(SMALL, {**GRID, "problem.temperature": [0.0]}, out=out)
    before = units(out)
    with pytest.raises(ConfigError, match="already holds a study; add --resume"):
        mf.sweep(SMALL, GRID, out=out)
    mf.sweep(SMALL, GRID, out=out, resume=True)
    assert content(out) == content(whole)
    assert len(units(out)) == 6
    assert before.items() <= units(out).items()
    more = {**SMALL, "simulate": {"n_particles": 8, "n_replicas": 5}}
    with pytest.raises(ConfigError, match=r"simulate\.n_particles = 8, and now it is 9"):
        mf.sweep({**SMALL, "simulate": {"n_particles": 9}}, GRID, out=out, resume=True)
    mf.sweep(more, GRID, out=out, resume=True)
    # A batch of three becomes one of four, and one more.
    assert len(units(out)) == 6 + 12
    mf.sweep(more, GRID, out=tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_killed_anywhere_it_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setitem(STUDIES, "stub", Entry("tests.workbench.stub_study", "A stub."))
    config, over = {"study": "stub"}, {"size": [1, 2], "seed": [0, 1, 2]}
    mf.sweep(config, over, out=tmp_path / "reference")
    # The seed changes nothing here: points of one size share all units, and all their base.
    assert len(units(tmp_path / "reference")) == 3
    replace = os.replace
    for k in (2, 9, 12):
        out, writes = tmp_path / str(k), iter(range(1000))

        def kill(source, target, k=k, writes=writes):
            replace(source, target)
            if next(writes) == k:
                os.kill(os.getpid(), signal.SIGKILL)

        child = os.fork()
        if not child:
            os.replace = kill
            mf.sweep(config, over, out=out)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        mf.sweep(config, over, out=out, resume=True)
        assert content(out) == content(tmp_path / "reference")
        assert not list(out.rglob(".*"))


def test_a_worker_of_dask_gives_the_same_bits(tmp_path, whole):
    mf.sweep(SMALL, GRID, out=tmp_path / "out", executor="dask", workers=1)
    assert content(tmp_path / "out") == content(whole)


def test_the_command_and_its_folder(tmp_path, monkeypatch):
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    monkeypatch.setitem(STUDIES, "stub", Entry("tests.workbench.stub_study", "A stub."))
    file.write_text('study = "stub"\nsize = 2\n')
    runner = CliRunner()
    command = ["sweep", str(file), "--over", "size=1,2", "--out", str(out)]
    done = runner.invoke(app, command)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Grid points: 2\nGrid points that failed: 0\nReport: ")
    before = page(out), content(out)
    done = runner.invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output
    assert page(out) == before[0]
    # The folder's own file makes it again, and may be given other axes.
    again = tmp_path / "again"
    for name, axes in (("run", []), ("sweep", ["--over", "size=1:2:2"])):
        done = runner.invoke(app, [name, str(out / "config.toml"), *axes, "--out", str(again)])
        assert done.exit_code == 0, done.output
        assert content(again) == before[1]
        for path in again.rglob("*"):
            path.is_file() and path.unlink()
    refused = runner.invoke(app, [*command, "--study", "atom"])
    assert "Did you mean 'atoms'?" in str(refused.exception)


def test_the_file_of_an_experiment_serves_a_sweep_of_its_parts():
    content = get_study("experiment").example
    config = read_sweep(content, {"problem.l2": [1e-3]}, "atoms", path="x", folder=".")
    assert (config.of, config.atoms.n_particles) == ("atoms", 256)
    plain = read_sweep(content, {"problem.l2": [1e-3]}, None, path="x", folder=".")
    assert plain.of == "experiment"
    learning = read_sweep(content, {"problem.l2": [1e-3]}, "simulate", path="x", folder=".")
    assert learning.problem.l2 == 0.001
    with pytest.raises(ConfigError, match="describes the study 'cell'"):
        read_sweep({**content, "study": "cell"}, {"seed": [1]}, "atoms", path="x", folder=".")


def test_an_activation_beside_the_file_is_a_value_of_an_axis(tmp_path):
    (tmp_path / "swept_for_tests.py").write_text("def steep(z):\n    return z * z * z / 6 + z\n")
    over = {"problem.activation": ["tanh", "swept_for_tests:steep"]}
    config = read_sweep(SMALL, over, None, path="x", folder=tmp_path)
    units = sweep_of("simulate").prepare(config).units
    problems = [unit.arguments["problem"] for unit in units]
    assert [problem.activation.name for problem in problems] == ["tanh", "steep"]


@pytest.mark.parametrize(
    "over",
    [
        {"problem.l2": [1e-4, 1e-2, 1e-1]},
        {"problem.activation": ["tanh", "relu"]},
        GRID,
        {**GRID, "run.n_steps": [3, 6]},
    ],
)
def test_figures_lie_whole_within_their_edges(over):
    found = mf.sweep(SMALL, over)
    shown = {}

    def plot(dataset, ax):
        shown["ax"] = plots.plot_sweep(dataset, "loss", ax)
        return ax

    assert_draws_whole(plot, found)
    if len(over) == 2:
        texts = [text.get_text() for text in shown["ax"].texts]
        assert len(texts) == 12
        assert sum("…" in text for text in texts) == 6
        with pytest.raises(ValueError, match=r"is 'los', which is no number here.*'loss'"):
            plots.plot_sweep(found, "los")


def test_values_of_an_axis_are_short_where_they_stay_distinct():
    nodes = [float(v) for v in np.geomspace(1e-4, 1e-1, 7)]
    near = [0.123456789, 0.123456788]
    found = xr.Dataset(coords={"nodes": nodes, "near": near, "names": ["tanh", "a long name"]})
    shown = [value_texts(found, key) for key in ("nodes", "near", "names")]
    assert shown[0] == ["0.0001", "0.0003162", "0.001", "0.003162", "0.01", "0.03162", "0.1"]
    assert shown[1:] == [["0.123456789", "0.123456788"], ["tanh", "a long name"]]
