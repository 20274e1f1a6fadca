"""The pages: every study has its own, every formula can be shown, every result its table."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from docutils.utils.math import MathError

import meanfield as mf
from meanfield.studies import STUDIES, get_study
from scripts.validation import NAMES

ROOT = Path(__file__).parents[1]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate, mathml = load("generate"), load("mathml")
API = generate.api_page()


@pytest.mark.parametrize("study", list(STUDIES))
def test_every_study_has_a_page_with_all_its_keys(study, tmp_path, monkeypatch):
    monkeypatch.setattr(generate.shutil, "copy", lambda source, target: None)
    page = generate.study_page(study)
    assert f"meanfield {study} {study}.toml --out" in page
    for key in get_study(study).config.model_fields:
        assert re.search(rf"``{key}[`.]", page), key


@pytest.mark.parametrize("name", NAMES)
def test_every_validation_script_has_a_page_with_its_numbers(name, monkeypatch):
    monkeypatch.setattr(generate.shutil, "copy", lambda source, target: None)
    page = generate.validation_page(name)
    assert f"scripts/validate {name}\n" in page
    assert page.count("   * -") > 2
    assert f"literalinclude:: ../../scripts/validation/{name}.py\n" in page


def test_every_public_name_has_its_place():
    for part in (mf, *(getattr(mf, name) for name in mf._PARTS)):
        for name in getattr(part, "__all__", ()):
            places = [f":: meanfield.{name}\n", f":: {part.__name__}.{name}\n"]
            assert sum(API.count(place) for place in set(places)) == 1, (part, name)


def formulas():
    texts = [path.read_text() for path in (ROOT / "docs").glob("*.rst") if path.stem != "api"]
    for path in re.findall(r"auto(?:class|function):: (.+)", API):
        value = pkgutil.resolve_name(path)
        members = vars(value).values() if inspect.isclass(value) else ()
        texts += [inspect.getdoc(part) or "" for part in (value, *members) if callable(part)]
    texts += [inspect.getdoc(importlib.import_module(f"scripts.validation.{n}")) for n in NAMES]
    for text in texts:
        yield from re.findall(r":math:`([^`]+)`", text)
        for block in re.findall(r"\.\. math::((?:.*\n)(?:(?: +.*)?\n)*)", text + "\n"):
            yield block.strip()


@pytest.mark.parametrize("formula", sorted(set(formulas())))
def test_formula_can_be_shown(formula):
    for part in formula.split("\n\n"):
        try:
            shown = mathml._mathml(part, "\n" in formula, None)
        except MathError as error:
            pytest.fail(str(error))
        assert shown.startswith("<math")


@pytest.mark.parametrize("name", ["estimators", "cluster", "reliability"])
def test_tables_of_results_are_taken_over(name):
    text = (ROOT / "results" / name / "README.md").read_text()
    page = generate.table(ROOT / "results" / name / "README.md")
    assert page.count("   * -") == text.count("\n|") - 1
    command = re.search(r"`(python -m .*|scripts/.*)`", text)[1]
    assert f"``{command}``" in page
