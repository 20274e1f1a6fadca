"""Fast-math flags are chosen in one place, and are harmless."""

import ast
import errno
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import caching

import meanfield
from meanfield.errors import ConfigError
from meanfield.system import compiling
from meanfield.system.compiling import FAST_MATH
from meanfield.system.progress import heard

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


PROGRAM = "import meanfield as mf; mf.wasserstein2([[0.0]], [[3.0]]); import {}"


def run(module, **variables):
    """Import a module of compiled code in a process with other environment variables."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_NUM_THREADS", "0"),
        ("NUMBA_NUM_THREADS", "-3"),
        ("NUMBA_NUM_THREADS", "all"),
        ("NUMBA_OPT", "9"),
    ],
)
def test_an_unusable_variable_is_one_sentence(name, value):
    done = run("meanfield.flow.compiled", **{name: value})
    last = done.stderr.splitlines()[-1]
    assert f"ConfigError: The environment variable {name} is {value!r}; set it to" in last
    assert last.endswith("or unset it.")


def test_a_threading_layer_that_is_not_there_is_named_with_a_remedy(monkeypatch):
    def missing():
        raise ValueError("No threading layer could be loaded.")

    monkeypatch.setenv("NUMBA_THREADING_LAYER", "tbb")
    monkeypatch.setattr(compiling.numba, "get_num_threads", missing)
    with pytest.raises(ConfigError, match=r"NUMBA_THREADING_LAYER is 'tbb'; set it to 'workqueue'"):
        compiling.thread_count()
    assert run("numba; numba.get_num_threads()", NUMBA_THREADING_LAYER="workqueue").returncode == 0


def test_code_is_compiled_where_no_cache_can_be_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.warns(UserWarning, match=r"compiles anew; set NUMBA_CACHE_DIR"):
        double = compiling.cached()(lambda x: 2 * x)
    assert double(4) == 8


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(monkeypatch):
    def full(self, name, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    @compiling.cached()
    def triple(x):
        return 3 * x

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR"):
        assert triple(4) == 12


def test_numba_is_imported_where_its_variables_are_checked():
    """Elsewhere only below what imports `compiling` first."""
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(import|from) numba", path.read_text(), re.MULTILINE)
    }
    outside = {name for name in importing if not name.startswith("flow/compiled/")}
    assert outside == {"system/compiling.py"}
    assert (
        "from meanfield.system import compiling"
        in (PACKAGE / "flow/compiled/__init__.py").read_text()
    )


def test_code_of_other_types_is_compiled_again(monkeypatch, tmp_path):
    """Two processes that compile at once may leave an index that names the wrong file."""
    source = tmp_path / "quarters.py"
    source.write_text("def quarter(x):\n    return x / 4\n")
    namespace: dict = {}
    exec(compile(source.read_text(), str(source), "exec"), namespace)
    monkeypatch.setattr(compiling.numba.config, "CACHE_DIR", "")
    fill = compiling.cached()(namespace["quarter"])
    assert fill(4) == 1.0
    assert fill(4.0) == 1.0
    integers, floats = sorted((tmp_path / "__pycache__").glob("*.nbc"))
    again = compiling.cached()(namespace["quarter"])
    assert again(4.0) == 1.0
    assert sum(again.stats.cache_hits.values()) == 1
    floats.write_bytes(integers.read_bytes())
    mixed = compiling.cached()(namespace["quarter"])
    assert mixed(4.5) == 1.125
    assert list(mixed.overloads) == [(compiling.numba.float64,)]
    assert not mixed.stats.cache_hits or sum(mixed.stats.cache_hits.values()) == 0


def test_the_person_who_waits_hears_once_that_code_is_compiled(monkeypatch, tmp_path):
    (tmp_path / "heard_halves.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # A module, from which saved code finds its names again.
    module = importlib.import_module("heard_halves")
    monkeypatch.setattr(compiling.numba.config, "CACHE_DIR", "")
    said: list[str] = []
    for expected in (1, 0):  # the second time the code is there
        compiling._tell_once.cache_clear()
        with heard(said.append):
            half = compiling.cached()(module.half)
            assert half(4) == half(4.0) == 2.0
        assert len(said) == expected
        said.clear()
    (size,) = [s for folder, s in compiling.cache_sizes().items() if tmp_path in folder.parents]
    assert size == sum(f.stat().st_size for f in (tmp_path / "__pycache__").iterdir())
