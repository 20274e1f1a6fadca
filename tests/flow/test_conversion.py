"""Particles survive the way through other software's formats as the same function."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from meanfield.flow.particles import Particles


def cloud(replicas=1, outputs=None, bias=True, seed=0):
    rng = np.random.default_rng(seed)
    shape = (replicas, 5) if outputs is None else (replicas, 5, outputs)
    b = rng.normal(size=(replicas, 5)) if bias else None
    return Particles(rng.normal(size=shape), rng.normal(size=(replicas, 5, 3)), b)


def assert_same(one, two):
    for name in ("a", "w", "b"):
        left, right = getattr(one, name), getattr(two, name)
        if left is None:
            assert right is None
        else:
            np.testing.assert_allclose(left, right, rtol=1e-15)
            assert left.shape == right.shape


CLOUDS = [cloud(), cloud(outputs=2), cloud(bias=False), cloud(outputs=4, bias=False)]


@pytest.mark.parametrize("particles", CLOUDS, ids=repr)
@pytest.mark.parametrize("normalisation", ["sum", "mean"])
def test_state_dict_round_trip(particles, normalisation):
    state = particles.to_state_dict(normalisation)
    assert_same(Particles.from_state_dict(state, normalisation), particles)


def test_state_dict_is_the_function_of_the_usual_layers():
    particles = cloud(outputs=2)
    state = particles.to_state_dict(names=("hidden", "out"))
    assert list(state) == ["hidden.weight", "hidden.bias", "out.weight"]
    X = np.random.default_rng(1).normal(size=(7, 3))
    theirs = np.tanh(X @ state["hidden.weight"].T + state["hidden.bias"]) @ state["out.weight"].T
    a, w, b = particles.a[0], particles.w[0], particles.b[0]
    np.testing.assert_allclose(theirs, np.tanh(X @ w.T + b) @ a / 5)


class Tensor:
    """As much of a tensor as is used."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array


def test_tensors_are_read_and_a_zero_output_bias_is_none():
    state = cloud().to_state_dict() | {"2.bias": np.zeros(1)}
    tensors = {name: Tensor(array.astype(np.float32)) for name, array in state.items()}
    np.testing.assert_allclose(Particles.from_state_dict(tensors).w, cloud().w, rtol=1e-6)


def test_other_networks_are_refused_in_words():
    state = cloud().to_state_dict()
    with pytest.raises(ValueError, match=r"2\.bias is not zero.*subtract it from the labels"):
        Particles.from_state_dict(state | {"2.bias": np.ones(1)})
    with pytest.raises(ValueError, match=r"two weight matrices.*got 3"):
        Particles.from_state_dict(state | {"4.weight": np.ones((1, 1))})
    with pytest.raises(ValueError, match=r"does not take the 5 neurons of 0\.weight"):
        Particles.from_state_dict(state | {"2.weight": np.ones((1, 4))})
    with pytest.raises(ValueError, match=r"holds '1\.running_mean'"):
        Particles.from_state_dict(state | {"1.running_mean": np.ones(5)})
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        Particles.from_state_dict(state, "means")
    with pytest.raises(TypeError, match="state must map names to arrays"):
        Particles.from_state_dict([1])
    with pytest.raises(TypeError, match=r"state\['x'\] is not an array of real numbers"):
        Particles.from_state_dict({"x": "text"})
    with pytest.raises(ValueError, match=r"these are 2; choose one, such as particles\[0\]"):
        cloud(replicas=2).to_state_dict()
    with pytest.raises(ValueError, match="got 'out' twice"):
        cloud().to_state_dict(names=("out", "out"))
    with pytest.raises(TypeError, match=r"must be an xarray\.Dataset, got DataArray"):
        Particles.from_xarray(cloud().to_xarray()["a"])


def test_layers_are_told_apart_whatever_order_they_come_in():
    particles = cloud(outputs=2)
    state = particles.to_state_dict(names=("hidden", "out"))
    assert_same(Particles.from_state_dict(dict(reversed(state.items()))), particles)


ONE = Particles.from_arrays(np.arange(1.0, 6.0), np.arange(5.0)[:, None], np.arange(5.0) - 2)
NO_BIAS = Particles(ONE.a, ONE.w)


@pytest.mark.parametrize("after", [{}, {"out.bias": np.zeros(1)}])
def test_where_both_orders_of_layers_fit_the_bias_of_the_neurons_decides(after):
    """One input and one output: (1, 5) and (5, 1) are five neurons or one of five inputs."""
    state = ONE.to_state_dict(names=("hidden", "out")) | after
    for order in (state, dict(reversed(state.items()))):
        assert_same(Particles.from_state_dict(order), ONE)


@pytest.mark.parametrize("names", [("0", "2"), ("fc1", "fc2"), ("net.9", "net.10")])
def test_where_both_orders_fit_numbered_names_decide(names):
    state = NO_BIAS.to_state_dict(names=names)
    for order in (state, dict(reversed(state.items()))):
        assert_same(Particles.from_state_dict(order), NO_BIAS)


def test_layers_that_nothing_tells_apart_are_asked_for_and_the_remedy_works():
    state = NO_BIAS.to_state_dict(names=("hidden", "out"))
    for order in (state, dict(reversed(state.items()))):
        with pytest.raises(ValueError, match=r"fit in either order.*'hidden\.bias'|'out\.bias'"):
            Particles.from_state_dict(order)
        told = Particles.from_state_dict(order | {"hidden.bias": np.zeros(5)})
        assert_same(told, Particles(ONE.a, ONE.w, np.zeros((1, 5))))


def test_whole_numbers_are_not_rounded_by_the_scaling():
    particles = Particles.from_arrays([1, 2, 4], np.eye(3))
    whole = Particles(particles.a.astype(int), particles.w.astype(int))
    outer = whole.to_state_dict()["2.weight"]
    np.testing.assert_allclose(outer, particles.a / 3)


@pytest.mark.parametrize("particles", [*CLOUDS, cloud(replicas=3, outputs=2)], ids=repr)
def test_npz_and_xarray_round_trips(particles, tmp_path):
    particles.to_npz(tmp_path / "p.npz")
    assert_same(Particles.from_npz(tmp_path / "p.npz"), particles)
    dataset = particles.to_xarray()
    assert_same(Particles.from_xarray(dataset), particles)
    assert_same(Particles.from_xarray(dataset.transpose("particle", ...)), particles)
    assert_same(Particles.from_xarray(dataset.isel(replica=0)), particles[0])


def test_files_that_hold_no_particles_are_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        Particles.from_npz(tmp_path / "absent.npz")
    for content in (b"", b"no archive", b"PK\x03\x04 broken"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.npz is not a readable npz file"):
            Particles.from_npz(tmp_path / "bad.npz")
    with open(tmp_path / "single.npz", "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ValueError, match=r"single\.npz is not a readable npz file"):
        Particles.from_npz(tmp_path / "single.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object), w=np.ones(1))
    with pytest.raises(ValueError, match=r"objects\.npz is not a readable npz"):
        Particles.from_npz(tmp_path / "objects.npz")
    np.savez(tmp_path / "half.npz", a=np.ones((1, 5)))
    with pytest.raises(ValueError, match=r"half\.npz has no array 'w'"):
        Particles.from_npz(tmp_path / "half.npz")
    steps = xr.concat([cloud().to_xarray()] * 2, "step")
    with pytest.raises(ValueError, match=r"dimension 'step'; choose one.*isel\(step=-1\)"):
        Particles.from_xarray(steps)


def test_results_open_without_this_package(tmp_path):
    from meanfield import Problem, simulate
    from meanfield.system import storage

    run = simulate(Problem(np.eye(3), [0.0, 1.0, 2.0]), 5, n_steps=2, save_at=[0, 2])
    storage.write_dataset(tmp_path / "result.nc", run.to_xarray())
    program = (
        "import sys, xarray as xr\n"
        "dataset = xr.open_dataset(sys.argv[1])\n"
        "print(dict(dataset.sizes)['particle'], float(dataset['loss'][0, -1]))\n"
        "assert 'meanfield' not in sys.modules\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "result.nc")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", str(float(run.loss[0, -1]))]
    assert_same(
        Particles.from_xarray(xr.open_dataset(tmp_path / "result.nc").isel(step=-1)), run.particles
    )
