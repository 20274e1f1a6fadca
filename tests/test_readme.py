"""The README: its gallery is what the results give, its Python runs, its files are there."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import pytest

from meanfield.studies import STUDIES, get_study
from meanfield.workbench.config import parse
from scripts.gallery import with_gallery
from scripts.validation import NAMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_gallery_is_what_its_command_writes():
    assert with_gallery(README) == README


def test_gallery_shows_every_study_and_script_with_a_command_that_exists():
    shown = re.findall(r"<b>([a-z-]+)</b>.*?<img src=\"([^\"]+)\".*?<code>([^<]+)</code>", README)
    own = [name for name, entry in STUDIES.items() if entry.module.startswith("meanfield.")]
    # What `scripts/run` shows at the top, and what has no result.
    studies = [name for name in own if name not in ("experiment", "simulate", "bench")]
    assert [name for name, _, _ in shown] == studies + list(NAMES)
    for _, picture, command in shown:
        assert (ROOT / picture).is_file()
        program, argument, *_ = command.split()
        if program == "scripts/study":
            assert (ROOT / f"scripts/studies/{argument}.toml").is_file()
        elif program == "scripts/validate":
            assert argument in NAMES
        else:
            assert program == "meanfield"
            assert argument in STUDIES


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_python_runs(monkeypatch):
    mpl.use("Agg")
    program = README.split("## In Python\n\n```python\n")[1].split("```")[0]
    # The same calls on a smaller scale.
    smaller = {
        "1024": "64",
        "n_steps=500": "n_steps=20",
        "range(0, 501, 5)": "range(0, 21, 5)",
        "n_replicas=32": "n_replicas=6",
        "[32, 64, 128, 256]": "[8, 16, 32]",
        "n_steps=200": "n_steps=10",
    }
    for large, small in smaller.items():
        assert large in program
        program = program.replace(large, small)
    names = {}
    exec(compile(program, "README.md", "exec"), names)
    assert names["run"].loss.shape == (8, 5)


@pytest.mark.parametrize("study", ["chaos", "atoms", "errors"])
def test_own_table_fits_every_study_that_is_named_for_it(study, tmp_path):
    import tomllib

    (table,) = [t for t in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "mine.csv" in t]
    rows = "\n".join(f"{i % 7},{i % 5},{i % 3}" for i in range(40))
    (tmp_path / "mine.csv").write_text(f"size,age,price\n{rows}\n")
    kind = get_study(study)
    content = {**kind.example, **tomllib.loads(table)}
    config = parse(kind.config, content, folder=tmp_path)
    assert kind.prepare(config).units
