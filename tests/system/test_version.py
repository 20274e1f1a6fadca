"""One version everywhere, and the commit of the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import meanfield
from meanfield.system import version

ROOT = Path(__file__).parents[2]


def test_one_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1]
    assert meanfield.__version__ == version.VERSION == cited
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()


def test_commit_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(version, "_ROOT", tmp_path)
    assert version.source_commit() is None

    def git(*arguments):
        author = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(
            ["git", "-C", tmp_path, *author, *arguments], check=True, capture_output=True
        )

    git("init")
    (tmp_path / "results").mkdir()
    for name in ("code", "results/numbers"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    git("tag", "-m", "first", "v1")
    assert version.source_commit() == "v1"
    (tmp_path / "results/numbers").write_text("2")
    (tmp_path / "new").write_text("2")
    assert version.source_commit() == "v1"
    (tmp_path / "code").write_text("2")
    assert version.source_commit() == "v1-dirty"
    monkeypatch.setenv("PATH", "")
    assert version.source_commit() is None
