"""The command line: what it prints, where it stops, and how it says what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from meanfield import __main__ as cli
from meanfield import __version__
from meanfield.flow.compiled.particle_step import _advance_share
from meanfield.studies import STUDIES
from meanfield.studies.simulate import study as simulate
from meanfield.system import manifest, storage
from meanfield.workbench import warm

SMALL = """
study = "simulate"
[data]
source = "teacher"
n_features = 2
n_atoms = 2
n_train = 12
n_test = 5
[run]
n_steps = 20
[simulate]
n_particles = 16
n_replicas = 2
loss_points = 4
"""


def call(monkeypatch, capsys, *arguments):
    """Run the command line here; return exit status, output and errors."""
    monkeypatch.setattr(sys, "argv", ["meanfield", *map(str, arguments)])
    try:
        cli.main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def meanfield(monkeypatch, capsys, undrawn):
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


def test_version_and_help(meanfield):
    assert meanfield("--version")[:2] == (0, f"meanfield {__version__}\n")
    status, text, _ = meanfield("--help")
    assert status == 0
    for command in (*STUDIES, "new", "report"):
        assert command in text
        status, text_of_command, _ = meanfield(command, "--help")
        assert status == 0
        assert "Usage" in text_of_command


def test_python_runs_the_package_as_the_command():
    command = [sys.executable, "-m", "meanfield", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"meanfield {__version__}\n"), done.stderr


def test_help_teaches_the_first_steps(meanfield):
    text = meanfield("--help")[1]
    for step in (
        "new chaos > study.toml",
        "--out results --resume",
        "init mine.csv --target price",
    ):
        assert step in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("meanfield ch", ["chaos"]),
        ("meanfield new ide", ["identify"]),
        ("meanfield chaos x.toml --executor da", ["dask"]),
    ],
)
def test_shell_completes_studies_and_executors(words, expected):
    environment = {
        **os.environ,
        "_MEANFIELD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    program = "from meanfield.__main__ import app; app(prog_name='meanfield')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["choas"], "Did you mean 'chaos'"), (["chaos", "x.toml", "--ot", "y"], "--out")],
)
def test_nearest_command_and_option_are_named(meanfield, arguments, hint):
    status, _, err = meanfield(*arguments)
    assert status == 2
    assert hint in err


def test_help_loads_nothing_heavy():
    program = (
        "import sys; sys.argv = ['meanfield', '--help']\n"
        "from meanfield import __main__ as cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'xarray', 'pydantic', 'ot', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("study", list(STUDIES))
def test_new_prints_a_valid_commented_configuration(meanfield, tmp_path, study):
    status, text, _ = meanfield("new", study)
    assert status == 0
    assert tomllib.loads(text)["study"] == study
    lines = text.splitlines()
    keys = [i for i, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    # Neighbours may share a comment, tables have theirs above their name.
    assert all(lines[i - 1].startswith("#") or i - 1 in keys or " = " in lines[i - 1] for i in keys)


def test_new_names_the_studies_it_knows(meanfield):
    status, _, err = meanfield("new", "choas")
    assert status == 2
    assert err == "Error: There is no study 'choas'. Did you mean 'chaos'?\n"


def test_cache_warm_compiles_and_says_where_the_code_lies(meanfield, monkeypatch):
    for table, name in (("ACTIVATIONS", "tanh"), ("LOSSES", "squared")):
        known = getattr(warm, table)
        monkeypatch.setattr(warm, table, {name: known[name]})
    status, out, err = meanfield("cache", "warm")
    assert status == 0, err
    folders = {Path(line.split(" MB in ")[1]): float(line.split()[0]) for line in out.splitlines()}
    step = Path(_advance_share._cache.cache_path)
    assert folders[step] == pytest.approx(
        sum(f.stat().st_size for f in step.glob("*.nb?")) / 1e6, abs=0.06
    )
    assert {"float32", "float64"} == {str(s[1].types[0].dtype) for s in _advance_share.signatures}
    assert meanfield("cache", "warm", "--quiet") == (0, "", "")


def test_simulate_then_report(meanfield, tmp_path):
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(SMALL)
    status, text, err = meanfield("simulate", config, "--out", out)
    assert (status, err) == (0, "")
    assert "Training loss at the end" in text
    assert manifest.verify(out)
    assert meanfield("simulate", config, "--out", out, "--resume", "--quiet")[:2] == (0, "")
    # The complete configuration gives the same study.
    again = tmp_path / "again"
    assert meanfield("simulate", out / "config.toml", "--out", again, "-q")[0] == 0
    assert (again / "summary.json").read_bytes() == (out / "summary.json").read_bytes()
    status, text, _ = meanfield("report", out)
    assert (status, text) == (0, f"Wrote {out / 'report.html'}\n")
    status, text, _ = meanfield("verify", out)
    assert status == 0
    assert "files of" in text
    (out / "loss.png").write_bytes(b"other")
    status, _, err = meanfield("verify", out)
    assert status == 2
    assert "loss.png is truncated or was altered" in err


def edit(old: str, new: str):
    assert old in SMALL
    return SMALL.replace(old, new)


BAD_CONFIGS = {
    "misspelt key": (edit("n_steps", "n_stepz"), "run.n_stepz", "Did you mean 'n_steps'?"),
    "misspelt table": (edit("[run]", "[runs]"), "runs", "Did you mean 'run'?"),
    "misspelt option of a source": (edit("n_atoms", "n_atom"), "data.n_atom", "'n_atoms'"),
    "missing option of a source": (edit("n_atoms = 2\n", ""), "data.n_atoms", "add it to [data]"),
    "unknown source": (edit('"teacher"', '"techer"'), "data.source", "Did you mean 'teacher'?"),
    "no data": ('study = "simulate"\n', "data.source", "add it"),
    "no study": (edit('study = "simulate"', ""), "study", 'add study = "simulate"'),
    "another study": (edit('"simulate"', '"chaos"'), "chaos", "run `meanfield chaos`"),
    "wrong type": (edit("n_steps = 20", 'n_steps = "20"'), "run.n_steps", "a whole number"),
    "out of range": (edit("n_steps = 20", "n_steps = 0"), "run.n_steps", "at least 1"),
    "not finite": (edit("n_steps = 20", "step_size = nan"), "run.step_size", "finite"),
    "malformed TOML": (edit("[run]", "[run"), "not valid TOML", "line 9"),
    "not text": ("\x00", "not valid TOML", "correct that place"),
    "negative temperature": (
        SMALL + "[problem]\ntemperature = -1\n",
        "temperature",
        "at least 0",
    ),
    "unknown activation": (
        SMALL + '[problem]\nactivation = "tahn"\n',
        "activation",
        "Did you mean 'tanh'?",
    ),
    "unknown loss": (SMALL + '[problem]\nloss = "hinge"\n', "hinge", "squared"),
    "labels not ±1": (SMALL + '[problem]\nloss = "logistic"\n', "logistic", "1"),
    "unknown integrator": (
        edit("n_steps = 20", 'integrator = "eulr"'),
        "integrator",
        "Did you mean 'euler'?",
    ),
    "unknown initial law": (edit("n_steps = 20", 'init = "gausian"'), "init", "'gaussian'"),
    "law without its parameter": (edit("n_steps = 20", 'init = "student-t"'), "nu", "needs"),
    "saved step beyond the end": (
        edit("n_replicas = 2", "save_at = [0, 21]"),
        "save_at",
        "between 0 and",
    ),
}


@pytest.mark.parametrize("case", list(BAD_CONFIGS))
def test_bad_configuration_is_one_sentence(meanfield, tmp_path, case):
    text, *parts = BAD_CONFIGS[case]
    (tmp_path / "bad.toml").write_text(text)
    status, out, err = meanfield("simulate", tmp_path / "bad.toml", "--out", tmp_path / "out")
    assert_one_sentence(status, out, err, parts)
    assert not (tmp_path / "out").exists()


def assert_one_sentence(status, out, err, parts):
    assert status == 2
    assert out == ""
    assert err.startswith("Error: ")
    assert err.endswith((".\n", "?\n"))
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err


def csv_config(folder: Path, table: str, problem: str = "") -> Path:
    (folder / "table.csv").write_text(table)
    config = folder / "csv.toml"
    config.write_text(
        f'study = "simulate"\n[data]\nsource = "csv"\npath = "table.csv"\n[problem]\n{problem}'
        "[run]\nn_steps = 2\n[simulate]\nn_particles = 4\nn_replicas = 1\n"
    )
    return config


BAD_TABLES = {
    "NaN": ("x,y\n1,2\nnan,1\n", "", ("line 3", "fill it in")),
    "infinite": ("x,y\n1,2\ninf,1\n", "", ("line 3", "finite")),
    "ragged": ("x,y\n1,2\n1,2,3\n", "", ("line 3", "3 cells, expected 2")),
    "labels": ("x,y\n1,2\n3,1\n", 'loss = "logistic"\n', ("y", "logistic")),
}


@pytest.mark.parametrize("case", list(BAD_TABLES))
def test_bad_data_is_one_sentence(meanfield, tmp_path, case):
    table, problem, parts = BAD_TABLES[case]
    config = csv_config(tmp_path, table, problem)
    status, out, err = meanfield("simulate", config, "--out", tmp_path / "out")
    assert_one_sentence(status, out, err, parts)


def test_shapes_that_disagree_are_one_sentence(meanfield, tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((5, 2)), y=np.ones(4))
    config = tmp_path / "npz.toml"
    config.write_text('study = "simulate"\n[data]\nsource = "npz"\npath = "data.npz"\n')
    status, out, err = meanfield("simulate", config, "--out", tmp_path / "out")
    assert_one_sentence(status, out, err, ["y", "5 rows"])


def test_data_paths_start_at_the_configuration(meanfield, tmp_path, monkeypatch):
    config = csv_config(tmp_path, "u,v,y\n1,0,2\n0,1,1\n")
    monkeypatch.chdir("/")
    assert meanfield("simulate", config, "--out", tmp_path / "out", "-q")[0] == 0
    written = tomllib.loads((tmp_path / "out/config.toml").read_text())
    assert written["data"]["path"] == "../table.csv"  # from there: folders move together
    (tmp_path / "table.csv").unlink()
    said = meanfield("simulate", config, "--out", tmp_path / "other", "-q")
    assert_one_sentence(*said, [str(tmp_path / "table.csv"), "starts at the folder of the config"])


def test_data_are_recorded_and_cautions_told(meanfield, tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 2)) + 5
    table = "u,c,y\n" + "".join(f"{u!r},7,{1e6 * y!r}\n" for u, y in rows.tolist())
    config, out = csv_config(tmp_path, table), tmp_path / "out"
    text = config.read_text().replace("[problem]", 'standardize = "zscore"\n[problem]')
    config.write_text(text)
    status, _, err = meanfield("simulate", config, "--out", out)
    assert status == 0
    assert err.startswith("Note: The labels have standard deviation")
    assert "standardize_y = true in [data]" in err
    record = json.loads((out / "data.json").read_text())
    assert record["feature_names"] == ["u", "c"]
    assert record["constant_features"] == [1]
    assert record["train_rows"] == list(range(20))
    assert np.allclose(
        [record["x_mean"][0], record["x_scale"][0]], [rows[:, 0].mean(), rows[:, 0].std()]
    )
    page = (out / "report.html").read_text()
    assert "tell none of them apart: c." in page
    assert "Note: The labels have standard deviation" in page
    assert meanfield("report", out)[0] == 0
    assert (out / "report.html").read_text() == page
    assert "data.json" in manifest.verify(out)
    (out / "data.json").write_text("{}")
    assert_one_sentence(*meanfield("report", out), ["data.json is truncated or was altered"])
    # Results from before there was this file are drawn again without it.
    (out / "data.json").unlink()
    files, about = manifest.read_manifest(out)
    manifest.write_manifest(out, files.keys() - {"data.json"}, about)
    assert meanfield("report", out)[0] == 0
    config.write_text(text.replace('"zscore"', '"zscore"\nstandardize_y = true'))
    assert meanfield("simulate", config, "--out", tmp_path / "other")[2] == ""


def test_missing_files_are_one_sentence(meanfield, tmp_path):
    missing = tmp_path / "absent.toml"
    assert_one_sentence(*meanfield("simulate", missing, "--out", tmp_path / "o"), ["absent.toml"])
    assert_one_sentence(*meanfield("report", tmp_path / "absent"), ["absent", "no finished study"])
    (tmp_path / "file").write_bytes(b"\xff")
    assert_one_sentence(*meanfield("report", tmp_path / "file"), ["file holds no finished study"])
    result = meanfield("simulate", tmp_path / "file", "--out", tmp_path / "o")
    assert_one_sentence(*result, ["file is not UTF-8 text", "no configuration", "meanfield new"])
    config = csv_config(tmp_path, "")
    (tmp_path / "table.csv").unlink()
    parts = ["table.csv", "check the path"]
    assert_one_sentence(*meanfield("simulate", config, "--out", tmp_path / "o"), parts)


def test_unwritable_folder_is_one_sentence(meanfield, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    result = meanfield("simulate", config, "--out", config / "out")
    assert_one_sentence(*result, ["Cannot write to", "give --out a folder"])
    # Root may write anywhere but here.
    result = meanfield("simulate", config, "--out", "/proc/meanfield")
    assert_one_sentence(*result, ["Cannot write to /proc/meanfield"])


def test_full_disk_loses_nothing(meanfield, tmp_path, monkeypatch):
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(SMALL)
    fsync, count = os.fsync, iter(range(10**6))

    def full(descriptor):
        if next(count) >= 9:
            raise OSError(28, "No space left on device", "result.nc")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    result = meanfield("simulate", config, "--out", out)
    assert_one_sentence(*result, ["No space left on device", "--resume"])
    finished = {path: path.read_bytes() for path in (out / "work").glob("*.npz")}
    assert finished
    monkeypatch.setattr(os, "fsync", fsync)
    assert meanfield("simulate", config, "--out", out, "--resume", "-q")[0] == 0
    assert finished.items() <= {p: p.read_bytes() for p in (out / "work").glob("*.npz")}.items()


def test_folder_and_executor_mistakes_are_one_sentence(meanfield, tmp_path):
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(SMALL)
    result = meanfield("simulate", config, "--out", out, "--executor", "locl")
    assert_one_sentence(*result, ["--executor 'locl'", "Did you mean 'local'?"])
    result = meanfield("simulate", config, "--out", tmp_path)
    assert_one_sentence(*result, ["holds other files, such as 'small.toml'"])
    assert meanfield("simulate", config, "--out", out, "-q")[0] == 0
    assert_one_sentence(*meanfield("simulate", config, "--out", out), ["add --resume"])
    config.write_text(edit("n_steps = 20", "n_steps = 21"))
    result = meanfield("simulate", config, "--out", out, "--resume")
    assert_one_sentence(*result, ["run.n_steps = 20, and now it is 21"])


def test_divergence_is_one_sentence_with_a_remedy(meanfield, tmp_path, brief_trials):
    config = tmp_path / "wild.toml"
    config.write_text(edit("n_steps = 20", "n_steps = 100\nstep_size = 1e6"))
    out = tmp_path / "out"
    assert_one_sentence(*meanfield("simulate", config, "--out", out), ["step_size="])
    # Nothing was finished, so that the same folder takes the corrected step size.
    config.write_text(edit("n_steps = 20", "n_steps = 20\nstep_size = 0.1"))
    assert meanfield("simulate", config, "--out", out, "-q")[0] == 0


def test_a_run_beyond_memory_is_one_sentence(meanfield, tmp_path):
    config = tmp_path / "huge.toml"
    config.write_text(edit("n_particles = 16", "n_particles = 4_000_000_000"))
    assert config.read_text() != SMALL
    result = meanfield("simulate", config, "--out", tmp_path / "out")
    assert_one_sentence(*result, ["GB are available; give a smaller n_particles"])


def test_usage_mistakes_exit_with_2(meanfield, tmp_path):
    for arguments in (["simulate"], ["simulate", "x.toml"], ["nothing"], ["simulate", "--wrong"]):
        status, _, err = meanfield(*arguments)
        assert status == 2
        assert "Traceback" not in err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_stopped_run_says_how_to_go_on_and_ends_with_the_same_bits(
    meanfield, monkeypatch, tmp_path, stop
):
    config, out, whole = tmp_path / "my long.toml", tmp_path / "out", tmp_path / "whole"
    config.write_text(
        SMALL.replace("n_replicas = 2", "n_replicas = 12").replace("n_steps = 20", "n_steps = 2000")
    )
    # One replica per unit.
    monkeypatch.setattr(simulate, "_UNIT_BYTES", 1)
    # A shell starts what it runs in the background with this signal ignored.
    program = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from meanfield.studies.simulate import study as simulate\nsimulate._UNIT_BYTES = 1\n"
        "from meanfield.__main__ import main\nmain()"
    )
    command = [sys.executable, "-c", program, "simulate", str(config), "--out", str(out)]
    command += ["--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while len(list(out.glob("work/*.npz"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(stop)
    printed, err = process.communicate()
    assert printed == ""
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert err.startswith("Stopped; nothing finished is lost.")
        # A line for the shell, with all that was asked for.
        assert f"meanfield simulate '{config}' --out {out} --workers 1 --resume\n" in err
    assert not (out / "result.nc").exists()
    assert meanfield("simulate", config, "--out", out, "--resume", "-q")[0] == 0
    assert meanfield("simulate", config, "--out", whole, "-q")[0] == 0
    assert (out / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()
    resumed, reference = (storage.read_dataset(at / "result.nc") for at in (out, whole))
    for name, variable in reference.variables.items():
        assert resumed[name].values.tobytes() == variable.values.tobytes()


def test_a_study_without_a_headline_number_ends_well(
    monkeypatch, capsys, fonts_as_outlines, tmp_path
):
    """A single width has no exponent in the width."""
    config = tmp_path / "one.toml"
    config.write_text(
        'study = "widths"\n'
        '[data]\nsource = "digits"\nclasses = [0, 1]\nstandardize = "none"\nn_samples = 4\n'
        '[network]\nactivations = ["tanh"]\nparametrizations = ["mup"]\nwidths = [8]\n'
        "n_seeds = 2\nn_steps = 3\n"
        "[limit]\nn_samples = 64\nn_replicas = 2\nmax_rank = 64\n"
    )
    code, out, err = call(monkeypatch, capsys, "widths", config, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.startswith("Report: ")
