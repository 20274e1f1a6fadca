"""The pages: every study, script, key and public name has its own, and their examples run."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest

import meanfield as mf
from docs import generate
from docs.generate import key_list, keys_page, reference_pages
from meanfield.studies import STUDIES, get_study
from scripts.validation import NAMES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GALLERY = sorted((DOCS / "gallery").glob("*.py"))


@pytest.fixture(autouse=True)
def nothing_written(monkeypatch):
    monkeypatch.setattr(generate.shutil, "copy", lambda source, target: None)


@pytest.mark.parametrize("study", list(STUDIES))
def test_every_study_has_a_page_with_all_its_keys(study):
    page = generate.study_page(study)
    assert f"meanfield {study} {study}.toml --out" in page
    listed = "\n".join(key_list(get_study(study).config))
    for key in get_study(study).config.model_fields:
        assert re.search(rf"^``{key}[`.]", listed, re.MULTILINE), key


def test_the_page_of_keys_has_those_of_every_study_and_data_source():
    page = keys_page()
    for table in ("run", "problem", "chaos", "atoms", "errors", "network"):
        assert f"\n[{table}]\n---" in page, table
    for source in mf.problem.SOURCES:
        assert f'[data, source = "{source}"]' in page
    assert "``categorical``" in page
    assert "``batch_size``" in page


@pytest.mark.parametrize("name", NAMES)
def test_every_validation_script_has_a_page_with_its_numbers(name):
    page = generate.validation_page(name)
    assert f"scripts/validate {name}\n" in page
    assert page.count("   * -") > 2
    assert f"literalinclude:: ../../../scripts/validation/{name}.py\n" in page


def test_every_public_name_has_its_place():
    page = "".join(reference_pages().values())
    for part in (mf, *(getattr(mf, name) for name in mf._PARTS)):
        for name in getattr(part, "__all__", ()):
            places = [f" meanfield.{name}\n", f" {part.__name__}.{name}\n"]
            assert sum(page.count(place) for place in set(places)) == 1, (part, name)


@pytest.mark.parametrize("path", sorted((DOCS / "howto").glob("*.rst")), ids=lambda p: p.stem)
def test_examples_of_how_to_pages_run(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(path), module_relative=False, optionflags=flags).failed == 0


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_script_of_the_gallery_is_short_and_says_what_it_is(path):
    text = path.read_text()
    assert text.count("\n") < 40
    title, line = (ast.get_docstring(ast.parse(text)) or "\n").split("\n")[:2]
    assert title
    assert line == "=" * len(title)


def test_the_gallery_has_every_study_and_validation():
    shown = {path.stem for path in GALLERY}
    assert {f"study_{name}" for name in STUDIES} <= shown
    assert {f"validation_{name}" for name in NAMES} <= shown


def test_every_page_of_theory_asserts_that_its_oracle_is_met():
    for path in (DOCS / "theory").glob("*.py"):
        assert any(isinstance(node, ast.Assert) for node in ast.parse(path.read_text()).body), path


@pytest.mark.parametrize("name", ["estimators", "cluster", "reliability"])
def test_tables_of_results_are_taken_over(name):
    text = (ROOT / "results" / name / "README.md").read_text()
    page = generate.table(ROOT / "results" / name / "README.md")
    assert page.count("   * -") == text.count("\n|") - 1
    command = re.search(r"`(python -m .*|scripts/.*)`", text)[1]
    assert f"``{command}``" in page


def test_every_public_name_has_an_example():
    paths = re.findall(r"^   (meanfield\..+)$", "".join(reference_pages().values()), re.MULTILINE)
    assert len(paths) > 150
    named = {path: attrgetter(path.partition(".")[2])(mf) for path in paths}
    assert not [path for path, value in named.items() if ">>> " not in inspect.getdoc(value)]


@pytest.mark.parametrize("study", list(STUDIES))
def test_the_page_of_keys_has_every_key_of_the_schema(study):
    # Pydantic's own schema, which knows nothing of how the page walks through the models.
    schema = get_study(study).config.model_json_schema()
    page = keys_page()
    for model in (schema, *schema.get("$defs", {}).values()):
        for key, said in model.get("properties", {}).items():
            table = "$ref" in said or "discriminator" in said or "$ref" in str(said.get("anyOf"))
            place = rf"^\[([a-z_.]*\.)?{key}[],]" if table else rf"^``{key}``"
            assert re.search(place, page, re.MULTILINE), (study, key)
