"""Reduced trials of what a study survives; the full ones are in results/reliability."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench import stub_study

ROOT = Path(__file__).parents[1]
# Runs the program that follows, and lets no file grow beyond a limit.
CAPPED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_kills_flips_full_disks_and_rivals(tmp_path):
    command = [sys.executable, "-m", "scripts.reliability", "--out", str(tmp_path), "--seed", "1"]
    counts = ["--kills", "6", "--flips", "20", "--limits", "4", "--rivals", "2"]
    subprocess.run([*command, *counts], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert sum(found["kill"]["kills"].values()) >= 6
    assert found["kill"]["same bits"] == found["kill"]["finished"] >= 1
    assert found["flip"]["noticed"] == found["flip"]["flips"]
    # Where no tmpfs can be mounted there is no trial of a full one.
    for disk in (found[name] for name in ("limit", "disk") if name in found):
        assert disk["said in one sentence"] == disk["previous state kept"] == disk["trials"]
        assert disk["same bits afterwards"]
    assert found["rival"]["refused"] == 2
    assert found["craft"]["named in one sentence"] == found["craft"]["crafted"]
    assert found["threads"]["same bits"] == found["threads"]["trials"] == 3
    assert found["clusters"]["told"] == found["clusters"]["trials"] == 4
    assert found["sizes"]["named in one sentence"] == found["sizes"]["trials"]
    assert found["flip"]["same bits afterwards"]
    assert found["rival"]["same bits afterwards"]


def test_no_room_for_a_file_loses_nothing(tmp_path):
    config, out = tmp_path / "stub.toml", tmp_path / "out"
    config.write_text('study = "stub"\n')
    study = [stub_study.__file__, str(config), str(out), "0"]
    held = {}
    # A unit of this study takes 400 bytes or so, the results a few thousand.
    for limit in (100, 350, 3000):
        program = [sys.executable, "-c", CAPPED.format(limit), *study]
        done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 1
        assert "File too large" in done.stderr
        files = {path: path.read_bytes() for path in out.rglob("*") if path.suffix != ".running"
                 and path.is_file()}  # fmt: skip
        assert not [path for path in files if ".partial" in path.name]
        assert held.items() <= files.items()
        held = files
    assert len(held) > 4
