"""The package as a whole: public names, light import, one-way layers, honest docstrings."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from numpydoc import validate
from numpydoc.docscrape import ClassDoc

import meanfield as mf

PACKAGE = Path(mf.__file__).parent
HEAVY = ("numba", "ot", "matplotlib", "xarray", "pydantic", "sklearn", "typer", "scipy")

# Each layer may import those before it.
LAYERS = [
    ("errors", "checks"),
    ("system",),
    ("statistics",),
    ("transport",),
    ("plots",),
    ("problem",),
    ("flow",),
    ("limit",),
    ("moments", "identify"),
    ("chaos",),
    ("dictionary",),
    ("decomposition",),
    ("cell",),
    ("deep",),
    ("estimators",),
    ("workbench",),
    ("studies",),
    ("__main__",),
]


def test_import_is_light():
    code = f"import sys, meanfield; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_every_name_can_be_reached_first():
    """Nothing else need be imported for it."""
    code = "import meanfield as mf; [getattr(mf, name) for name in dir(mf)]"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr


def test_every_part_is_an_attribute():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    inner = {"system", "statistics", "transport", "workbench"}
    assert {*mf.__all__, *folders - inner} <= set(dir(mf))


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = mf.simulat


def test_an_installed_package_has_its_other_files():
    table = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = {
        files(package) / name for package, names in table["package-data"].items() for name in names
    }
    assert all(path.is_file() for path in listed)
    others = {path for path in PACKAGE.rglob("*.*") if path.suffix not in (".py", ".md")}
    assert {path for path in others if path.parent.name != "__pycache__"} == listed


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_go_one_way():
    level = {name: i for i, names in enumerate(LAYERS) for name in names}
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if layer == "__init__":
            continue
        for module in imported_modules(path):
            parts = module.split(".")
            imported = level.get(parts[1], 0) if parts[0] == "meanfield" and parts[1:] else 0
            if imported > level[layer]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong


def path_of(value):
    return f"{value.__module__}.{value.__qualname__}"


def public_objects():
    """Public classes and functions by their path, of the package and of its parts."""
    parts = [mf, *(getattr(mf, name) for name in mf._PARTS)]
    # A part without a list has its public names in the package's own.
    values = [getattr(part, name) for part in parts for name in getattr(part, "__all__", ())]
    return {path_of(value): value for value in values if callable(value)}


PUBLIC = public_objects()
CLASSES = sorted(path for path, value in PUBLIC.items() if inspect.isclass(value))


def test_contributing_lists_the_layers_in_their_order():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (`meanfield/.*?) \|", text, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"(\w+)(?:\.py|/)`", row)]
    level = {name: i for i, names in enumerate(LAYERS) for name in names}
    assert sorted(listed) == sorted(level.keys())
    assert listed == sorted(listed, key=level.get)


def test_contributing_names_files_that_exist():
    root = PACKAGE.parent
    text = (root / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:meanfield|tests|scripts|results)/[\w./-]*)`", text)
    assert len(paths) > 40
    for path in paths:
        for name in ("simulate", "chaos") if "NAME" in path else ("",):
            if "studies/NAME.toml" in path or "validation/NAME" in path:
                continue
            assert (root / path.replace("NAME", name)).exists(), path


def speaker(cls, method):
    """Class that says what a method does: without words of its own it has those of its parent."""
    for base in cls.__mro__:
        if method in vars(base) and vars(base)[method].__doc__:
            return base
    return cls


def public_callables():
    for path, value in PUBLIC.items():
        if not inspect.isclass(value):
            yield path
        elif not issubclass(value, Exception):
            for method in vars(value):
                if inspect.isroutine(getattr(value, method)) and not method.startswith("_"):
                    yield f"{path_of(speaker(value, method))}.{method}"


@pytest.mark.parametrize("path", sorted(set(public_callables())))
def test_docstring_matches_the_signature(path):
    """Every parameter is documented, none is invented, order and returns agree."""
    failures = validate.validate(path)["errors"]
    wanted = ("GL08", "PR01", "PR02", "PR03", "RT01", "SS03", "SS06")
    assert [f for f in failures if f[0] in wanted] == []


@pytest.mark.parametrize("path", CLASSES)
def test_class_documents_its_fields(path):
    cls = PUBLIC[path]
    if issubclass(cls, Exception):
        assert inspect.getdoc(cls)
        return
    # What a class adds to another is documented with it, the rest with the other.
    docs = [ClassDoc(c, config={"show_class_members": False}) for c in cls.__mro__ if c.__doc__]
    documented = {
        part.strip()
        for doc in docs
        for section in ("Parameters", "Attributes")
        for field in doc[section]
        for part in field.name.split(",")
    }
    fields = set(inspect.signature(cls).parameters)
    assert {field for field in fields if not field.startswith("_")} <= documented


def test_version_is_the_installed_one():
    metadata = importlib.import_module("importlib.metadata")
    assert metadata.version("meanfield") == mf.__version__
