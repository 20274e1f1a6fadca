"""The command line on machines, in shells and after moves that it was not made for."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meanfield import __main__ as cli
from meanfield.system import manifest
from tests.test_cli import SMALL, assert_one_sentence, call, csv_config


@pytest.fixture
def meanfield(monkeypatch, capsys, undrawn):
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


def shell(*arguments, **options):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "meanfield", *map(str, arguments)]
    root = Path(cli.__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, **options)


def test_figures_need_no_backend(meanfield, tmp_path):
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(SMALL)
    assert meanfield("simulate", config, "--out", out, "-q")[0] == 0
    (out / "loss.png").unlink()
    done = shell("report", out, env=os.environ | {"MPLBACKEND": "no such thing"})
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "loss.png").exists()


def test_figures_are_drawn_where_the_backend_is_that_of_a_notebook():
    program = (
        "from meanfield import plots\n"
        "png, _ = plots.render(lambda dataset, ax: ax, None)\n"
        "assert png.startswith(b'\\x89PNG')\n"
    )
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    root = Path(cli.__file__).parents[1]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_configuration_may_be_saved_by_any_editor(meanfield, tmp_path, encoding):
    config = tmp_path / "small.toml"
    config.write_bytes(SMALL.replace("\n", "\r\n").encode(encoding))
    assert meanfield("simulate", config, "--out", tmp_path / "out", "-q")[0] == 0


def test_a_study_goes_on_after_its_folder_and_its_data_have_moved(meanfield, tmp_path, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    config = csv_config(old, "u,v,y\n1,0,2\n0,0,1\n")
    assert meanfield("simulate", config, "--out", old / "out", "-q")[0] == 0
    results = (old / "out/result.nc").read_bytes()
    old.rename(new)
    (new / "table.csv").rename(new / "other.csv")
    config = new / "csv.toml"
    config.write_text(config.read_text().replace("table.csv", "other.csv"))
    monkeypatch.chdir(new)
    assert meanfield("simulate", "csv.toml", "--out", "out", "--resume", "-q")[:2] == (0, "")
    assert (new / "out/result.nc").read_bytes() == results
    for without in (False, True):  # with the work, and with the results alone
        if without:
            shutil.rmtree(new / "out/work")
        (new / "other.csv").write_text("u,v,y\n1,0,2\n0,0,3\n")
        result = meanfield("simulate", "csv.toml", "--out", "out", "--resume")
        assert_one_sentence(*result, ["with other data than the configuration now points to"])


def test_closed_standard_streams_stop_nothing(tmp_path):
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(SMALL)
    root = Path(cli.__file__).parents[1]
    command = [sys.executable, "-m", "meanfield", "simulate", str(config), "--out", str(out)]
    line = shlex.join(command) + " <&- >&- 2>&-"
    assert subprocess.run(line, shell=True, cwd=root, check=False).returncode == 0
    assert manifest.verify(out)


def test_a_second_interrupt_ends_at_once_and_in_words(tmp_path):
    program = (
        "import os, signal\n"
        "from meanfield import __main__ as cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with cli._interruptible('Stopped.'):\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n        print('not reached')\n"
    )
    root = Path(cli.__file__).parents[1]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nStopped.\n")
