"""Fast-math flags are chosen in one place, and are harmless."""

import ast
from pathlib import Path

import meanfield
from meanfield.system.compiling import FAST_MATH

PACKAGE = Path(meanfield.__file__).parent


def test_no_flag_deletes_nan_checks_or_reorders_sums():
    assert isinstance(FAST_MATH, set)  # numba takes True for all flags
    assert not FAST_MATH & {"fast", "nnan", "ninf", "reassoc", "arcp", "afn"}


def test_every_function_takes_its_flags_from_there():
    given = [
        (path.name, ast.unparse(keyword.value))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "fastmath"
    ]
    assert {name for name, _ in given} >= {"assignment.py", "products.py"}
    assert {value for _, value in given} == {"FAST_MATH"}
