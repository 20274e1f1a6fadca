"""The notebook runs from top to bottom, and finds what it says."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first.ipynb"


@pytest.fixture(scope="module")
def values():
    """What every cell of code ends in, and the names at the end."""
    import matplotlib as mpl

    mpl.use("Agg")
    shown, names = [], {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [], "clear the outputs before a commit"
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, NOTEBOOK.name, "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names))
    return shown, names


def test_every_cell_runs_and_shows_something(values):
    shown, _ = values
    assert len(shown) >= 6
    assert all(repr(value) for value in shown)


def test_it_finds_what_it_says(values):
    _, names = values
    assert names["rates"].fits["matched_w2"].slope.agrees
    assert names["dictionary"].n_atoms == 2
    assert names["run"].loss[:, -1].max() < names["run"].loss[:, 0].min()
    atoms = names["dictionary"].atoms
    directions = np.abs(atoms) / np.linalg.norm(atoms, axis=1, keepdims=True)
    assert (directions.max(axis=1) > 0.99).all()
