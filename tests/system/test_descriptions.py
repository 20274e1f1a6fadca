"""Every variable of a dataset says what it is, and in which unit."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import meanfield as mf
from meanfield.statistics.estimate import Estimate
from meanfield.system import storage
from meanfield.system.descriptions import describe, described


def complete(dataset):
    for name, variable in dataset.variables.items():
        assert variable.attrs["long_name"], name
        # Not the name alone: somebody has said what it is.
        assert describe(str(name))[0] != str(name).replace("_", " ") or "_" not in name, name
        assert ("units" in variable.attrs) == (variable.dtype.kind in "biufc"), name
    return True


def problem():
    X = np.random.default_rng(0).normal(size=(12, 2))
    return mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)


def test_results_of_the_library_say_what_they_hold():
    run = mf.simulate(problem(), 8, 0.2, 10, save_at=[0, 5, 10])
    rates = mf.chaos_rates(problem(), [8, 16, 32], n_replicas=6, step_size=0.2, n_steps=10)
    for dataset in (run.to_xarray(), run.particles.to_xarray(), rates.dataset):
        assert complete(dataset)
    assert "copies" in rates.dataset["matched_w2"].attrs["long_name"]
    assert run.to_xarray()["time"].attrs["units"] == "1"


@pytest.mark.parametrize(
    ("name", "text", "units"),
    [
        ("loss_mean", "mean over replicas of the training loss", "1"),
        ("limit_loss_mean", "mean over replicas of the training loss at infinite width", "1"),
        ("angle_kmeans", "largest angle to an atom of the target, by kmeans", "degree"),
        ("ns_per_pair", "time of a step per particle and datum", "ns"),
        ("of_nobody_yet", "of nobody yet", "1"),
    ],
)
def test_names_that_are_derived_are_described_by_their_parts(name, text, units):
    assert describe(name) == (text, units)


def test_what_is_written_is_described_and_what_a_variable_says_stays(tmp_path):
    slope = Estimate(-1.0, -1.1, -0.9, label="Slope of mine").to_xarray()
    dataset = xr.Dataset({"slope": slope, "text": ("x", ["a", "b"]), "loss": ("x", [1.0, 2.0])})
    before = dataset.copy(deep=True)
    storage.write_dataset(tmp_path / "one.nc", dataset)
    xr.testing.assert_identical(dataset, before)
    one = storage.read_dataset(tmp_path / "one.nc")
    assert one["slope"].attrs["long_name"] == "Slope of mine"
    assert one["loss"].attrs["units"] == "1"
    assert "units" not in one["text"].attrs
    tree = xr.DataTree.from_dict({"a": dataset, "b": dataset[["loss"]]})
    storage.write_dataset(tmp_path / "two.nc", tree)
    two = storage.read_dataset(tmp_path / "two.nc")
    for group in ("a", "b"):
        assert two[group]["loss"].attrs["long_name"] == "training loss"
    assert described(one).identical(one)
