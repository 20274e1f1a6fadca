"""The sampled limit on another processor, or beside rounding errors: other digits, not other draws.

As a program it saves the predictions and losses of all cases: ``test_processors.py FILE``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from meanfield import deep
from meanfield.deep.networks import input_coordinates

ROOT = Path(__file__).parents[2]


def _cases():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((6, 10)) / np.sqrt(10)
    y = np.sign(rng.standard_normal(6))
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    logistic = {"loss": "logistic", "step_size": 0.1, "n_steps": 40}
    return {
        "short rests": (X, y, {"activation": "relu", **logistic}),
        "batches": (X, y, {"activation": "tanh", "batch_size": 2, **logistic}),
        "dependent rows": (
            np.vstack([X[:3], X[1:2], X[0] + X[1], X[4]]),
            y,
            {"activation": "tanh", "step_size": 0.1, "n_steps": 30, "X_test": X + 0.1},
        ),
        "mirrored rows": (
            np.vstack([X[:3], -X[:3]]),
            y,
            {"activation": "tanh", "step_size": 0.1, "n_steps": 30, "X_test": X},
        ),
        "corners of a cube": (
            signs,
            signs.prod(axis=1),
            {"activation": "relu", "step_size": 0.02, "n_steps": 40},
        ),
        "zero columns": (
            np.hstack([signs, np.zeros((8, 8))])[:4] / np.sqrt(3),
            signs[:4].prod(axis=1),
            {"activation": "erf", "step_size": 0.05, "n_steps": 30, "X_test": np.eye(11)[:4]},
        ),
    }


CASES = _cases()


def _limit(X, y, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = deep.infinite_width(X, y, n_samples=128, n_replicas=2, **arguments)
    return found.loss, np.concatenate([found.predictions, found.predictions_test], axis=1)


def _assert_alike(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


@pytest.fixture(scope="module")
def unmoved():
    return {name: _limit(*case) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_rounding_errors_of_the_inputs_do_not_change_the_draws(name, unmoved):
    X, y, arguments = CASES[name]
    for seed in range(2):
        rng = np.random.default_rng(seed)

        def moved(values, rng=rng):
            return values * (1 + 1e-15 * rng.choice([-1.0, 1.0], np.shape(values)))

        tests = {key: moved(arguments[key]) for key in ("X_test",) if key in arguments}
        _assert_alike(_limit(moved(X), y, {**arguments, **tests}), unmoved[name])


@pytest.mark.parametrize("kernel", ["Haswell", "Sandybridge"])
def test_other_kernels_do_not_change_the_draws(kernel, unmoved, tmp_path):
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, str(tmp_path / "found.npz")]
    subprocess.run(command, check=True, env=environment, cwd=ROOT, timeout=300)
    with np.load(tmp_path / "found.npz") as found:
        for name, expected in unmoved.items():
            _assert_alike([found[f"{name} {i}"] for i in range(2)], expected)


def test_coordinates_of_inputs_depend_on_no_sign_and_no_dependent_row():
    rng = np.random.default_rng(2)
    first, second, free = rng.standard_normal((3, 7))
    X = np.stack([first, 3 * first, second, np.zeros(7), first - second, free])
    coordinates, basis = input_coordinates(X)
    assert basis.shape == (3, 7)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(coordinates @ basis, X, atol=1e-14)
    assert (coordinates[[0, 2, 5], range(3)] > 0).all()
    np.testing.assert_allclose(np.triu(coordinates[[0, 2, 5]], 1), 0, atol=1e-14)


if __name__ == "__main__":
    results = {name: _limit(*case) for name, case in CASES.items()}
    np.savez(
        sys.argv[1], **{f"{name} {i}": part[i] for name, part in results.items() for i in (0, 1)}
    )
