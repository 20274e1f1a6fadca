"""The same step on arrays of numbers, in plain Python and under numba's bounds checks.

Each mode is chosen when the package is imported, so each of these tests starts a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meanfield.flow.compiled.simd import GROUP_BYTES, SCALAR, scalar
from tests.flow.compiled.small_steps import CODES, final_states

ROOT = Path(__file__).parents[3]
PYTHON = {"MEANFIELD_SIMD": "scalar", "NUMBA_DISABLE_JIT": "1"}
BOUNDS = {"MEANFIELD_SIMD": "scalar", "NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "1"}

# The two differ in two ways. Divisions: vectors refine an estimate on AVX-512, which may miss the
# nearest number by one unit in the last place, and arrays divide. Sums over particles: the lanes of
# a group are added by halves, and without AVX-512 vectors have half as many. (Fused multiply–adds
# could differ too; no case is known.)
DIVIDE = {"tanh", "erf", "sigmoid", "silu", "gelu", "softplus"}
# Units in the last place of the largest entry; measured: 0.5 with AVX-512.
LIMIT = 1.0 if GROUP_BYTES == scalar.GROUP_BYTES else 4.0

pytestmark = pytest.mark.skipif(SCALAR, reason="compares with the vectors")


def run(mode, *arguments):
    """Run Python with these arguments in a mode."""
    command = [sys.executable, *arguments]
    environment = os.environ | mode | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done


def check_states(mode, names, dtypes, folder):
    """Assert that a mode computes what this process does, and warns of nothing."""
    file = folder / "states.npz"
    arguments = ["-m", "tests.flow.compiled.small_steps", str(file)]
    done = run(mode, "-W", "error", *arguments, ",".join(names), ",".join(dtypes))
    assert done.stderr == ""
    found = np.load(file)
    for case, want in final_states(names, dtypes).items():
        name, dtype, *_ = case.split()
        if GROUP_BYTES == scalar.GROUP_BYTES and name not in DIVIDE:
            assert (found[case] == want).all(), case
        unit = np.spacing(np.abs(want).max().astype(dtype))
        assert np.abs(found[case] - want).max() <= LIMIT * unit, case


def test_plain_python_computes_what_vectors_do(tmp_path):
    check_states(PYTHON, list(CODES), ["float64", "float32"], tmp_path)


def test_the_operations_in_plain_python():
    run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/flow/compiled/simd")


@pytest.mark.slow
def test_the_step_in_plain_python():
    tests = ["-m", "scalar", "tests/flow/compiled/test_particle_step.py"]
    run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.slow
def test_compiled_arrays_with_bounds_checks_compute_what_vectors_do(tmp_path):
    check_states(BOUNDS, ["silu", "relu"], ["float64"], tmp_path)


def test_compiled_arrays_check_their_bounds():
    tests = ["tests/flow/compiled/simd", "-k", "beyond"]
    run(BOUNDS, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"MEANFIELD_SIMD": "wide"}, "MEANFIELD_SIMD is 'wide'; set it to 'vector' or 'scalar'"),
        ({"MEANFIELD_SIMD": "vector", "NUMBA_DISABLE_JIT": "1"}, "needs compiled code"),
    ],
)
def test_a_mode_that_does_not_exist_is_refused(mode, message):
    command = [sys.executable, "-c", "import meanfield.flow.compiled.simd"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | mode, capture_output=True, text=True, check=False
    )
    assert message in done.stderr
