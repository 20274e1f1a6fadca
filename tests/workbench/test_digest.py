"""A digest tells work apart that comes out otherwise, and knows the same work in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos.chaos_plan import plan_chaos
from meanfield.workbench.digest import Digests
from meanfield.workbench.study import Unit

PROGRAM = """
from meanfield.studies import get_study
from meanfield.workbench.config import parse
from meanfield.workbench.digest import Digests
study = get_study("chaos")
print(Digests().units(study.prepare(parse(study.config, dict(study.example))).units, ""))
"""


def problem(**changes):
    X = np.arange(6.0).reshape(3, 2)
    return mf.Problem(**{"X": X, "y": X[:, 0], "X_test": X, "y_test": X[:, 1], **changes})


def plan(**changes):
    given = problem(**changes)
    return plan_chaos(given, mf.Scheme.of(given, step_size=0.1, n_steps=4), [8, 16, 32], 8)


def test_what_differs_is_told_apart():
    own = mf.Activation.from_function(lambda z: z * z * 0.25 + z, name="bent")
    other = mf.Activation.from_function(lambda z: z * z * 0.26 + z, name="bent")
    values = [
        None, True, 1, 1.0, "1", b"1", "", (), [], {}, (1,), [1], {"a": 1}, {"b": 1}, {1}, range(1),
        np.zeros(2), np.zeros((2, 1)), np.zeros(2, "f4"), np.float64(1.0), np.array(["1"]), -0.0,
        [[1], [2]], [[1, 2]], ["ab", "c"], ["a", "bc"], float, np.sum, own, other,
        problem(), problem(l2=0.1), problem(y_test=np.zeros(3)), problem(activation=own),
        plan(), replace(plan(), n_replicas=9), plan(activation="relu"), mf.InitialLaw("gaussian"),
    ]  # fmt: skip
    found = [Digests().of(value) for value in values]
    assert len(set(found)) == len(values)
    assert found[-4:] == [Digests().of(value) for value in values[-4:]]
    # The order of the keys of a table is none of its content.
    assert Digests().of({"a": 1, "b": 2}) == Digests().of({"b": 2, "a": 1})


def test_the_same_in_other_processes():
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment
    )
    there: dict[str, str] = {}
    exec(f"there.update({done.stdout})", {"there": there})
    here: dict[str, object] = {}
    exec(PROGRAM.replace("print(", "found = ("), here)
    assert there == here["found"]
    assert len(set(there.values())) == 8


def test_what_cannot_be_told_apart_is_told_by_its_key_and_by_all_that_it_may_depend_on():
    units = [Unit(key, dict, {"f": lambda: 0}, key) for key in "ab"]
    assert len(set(Digests().units(units, "x").values())) == 2
    assert Digests().units(units, "x") != Digests().units(units, "y")
    with pytest.raises(TypeError, match="no function that others could find"):
        Digests().of(lambda: 0)
