"""The committed results: what their commands make, whole, with one picture, and small."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from meanfield.studies import get_study
from meanfield.system import manifest
from meanfield.workbench.config import load_config
from meanfield.workbench.toml import to_toml
from scripts.validation import NAMES

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "scripts" / "studies").glob("*.toml"))


@pytest.fixture(scope="module")
def tracked():
    """Every file of the results that git holds."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "results"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [path for name in done.stdout.split("\0")[:-1] if (path := ROOT / name).is_file()]


@pytest.mark.parametrize("name", STUDIES)
def test_configuration_is_that_of_the_command(name):
    source = ROOT / "scripts" / "studies" / f"{name}.toml"
    study = get_study(tomllib.loads(source.read_text())["study"])
    complete = to_toml(load_config(study.config, study.name, source))
    committed = (ROOT / "results" / name / "config.toml").read_text()
    assert tomllib.loads(committed) == tomllib.loads(complete)


@pytest.mark.parametrize("name", STUDIES)
def test_what_is_kept_is_what_was_written(name):
    folder = ROOT / "results" / name
    summary = json.loads((folder / "summary.json").read_bytes())
    files, _ = manifest.read_manifest(folder)
    kept = [file for file in files if (folder / file).exists()]
    assert {"config.toml", "summary.json", f"{summary['picture']['name']}.png"} <= set(kept)
    assert manifest.verify(folder, kept) == kept


@pytest.mark.parametrize("name", NAMES)
def test_git_holds_all_of_a_validation(name, tracked):
    folder = ROOT / "results" / name
    files, _ = manifest.read_manifest(folder)
    assert {folder / file for file in (*files, manifest.MANIFEST)} <= set(tracked)


def test_one_picture_a_folder_and_nothing_that_the_command_makes_again(tracked):
    endings = {path.suffix for path in tracked}
    assert endings <= {".toml", ".json", ".csv", ".md", ".png"}
    for name in STUDIES:
        folder = ROOT / "results" / name
        summary = json.loads((folder / "summary.json").read_bytes())
        pictures = [p for p in tracked if p.suffix == ".png" and p.parent == folder]
        assert pictures == [folder / f"{summary['picture']['name']}.png"]
    assert sum(path.stat().st_size for path in tracked) < 5e6
