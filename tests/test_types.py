"""Types: public functions say what they take and give; type checkers see every public name."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import meanfield as mf

STUB = Path(mf.__file__).with_suffix(".pyi")


def test_type_checkers_see_every_public_name():
    """The lazy names of the package are spelt out in its stub, each from its own module."""
    found = {
        alias.asname: node.module.removeprefix("meanfield").removeprefix(".")
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    wanted = mf._PUBLIC | dict.fromkeys(mf._SUBPACKAGES, "")
    assert found == wanted, "write the lines of new names into meanfield/__init__.pyi"


@pytest.mark.parametrize("name", mf.__all__)
def test_public_functions_are_annotated(name):
    value = getattr(mf, name)
    members = vars(value).items() if inspect.isclass(value) else [(name, value)]
    for member, function in members:
        if not inspect.isfunction(function) or member.startswith("__"):
            continue
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            own = parameter.name in ("self", "cls")
            assert own or parameter.annotation is not parameter.empty, (member, parameter.name)
        assert signature.return_annotation is not signature.empty, member
