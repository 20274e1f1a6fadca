"""Types: public functions say what they take and give; type checkers see every public name."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import meanfield as mf


def test_type_checkers_see_every_public_name():
    """The lazy names of the package are imported for them, each from its own module."""
    (typed,) = (
        node for node in ast.parse(Path(mf.__file__).read_text()).body if isinstance(node, ast.If)
    )
    found = {alias.asname: (node.module, alias.name) for node in typed.body for alias in node.names}
    wanted = {name: (f"meanfield.{module}", name) for name, module in mf._PUBLIC.items()}
    for name, module in mf._PARTS.items():
        *folders, leaf = f"meanfield.{module}".split(".")
        wanted[name] = (".".join(folders), leaf)
    assert found == wanted, "write the lines of new names under TYPE_CHECKING"


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
