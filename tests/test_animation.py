"""Animations of particles: a picture for each saved step, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

import meanfield as mf
from meanfield.identify import canonical


def run_of(d, **options):
    X = np.random.default_rng(0).normal(size=(12, d))
    problem = mf.Problem(X, np.tanh(X[:, 0]), **options)
    return mf.simulate(problem, 30, 0.2, 20, save_at=[0, 5, 20], n_replicas=2)


@pytest.mark.parametrize(("d", "bias"), [(1, True), (1, False), (2, True), (4, True)])
def test_there_is_a_picture_for_every_saved_step(tmp_path, d, bias):
    run = run_of(d, bias=bias)
    file = tmp_path / "run.gif"
    atoms = canonical(run.particles, "tanh")
    assert run.animate(file, atoms=atoms, replica=1, frames_per_second=5) == file
    picture = Image.open(file)
    assert picture.n_frames == 3
    frames = []
    for i in range(3):
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
    assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(frames))
    if d == 1 and bias:
        before = file.read_bytes()
        run.animate(file, atoms=atoms, replica=1, frames_per_second=5)
        assert file.read_bytes() == before


def test_what_cannot_be_animated(tmp_path):
    run = run_of(3)
    run.animate(tmp_path / "plane.gif", projection=np.eye(3)[:2])
    for options, message in (
        ({"path": tmp_path / "run.mp4"}, "must end in .gif"),
        ({"replica": 2}, "replica must be below 2"),
        ({"projection": np.eye(3)}, r"projection must have shape \(2, 3\)"),
        ({"frames_per_second": 0}, "frames_per_second must be"),
    ):
        with pytest.raises(ValueError, match=message):
            run.animate(**{"path": tmp_path / "run.gif", **options})
    last = mf.simulate(run.problem, 30, 0.2, 20, save_at=[20])
    with pytest.raises(ValueError, match="needs saved steps"):
        last.animate(tmp_path / "run.gif")


def test_long_times_are_written_out(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(Axes, "set_title", lambda self, text: titles.append(text))
    run = mf.simulate(run_of(2).problem, 8, 100.0, 12, save_at=[0, 1, 12])
    run.animate(tmp_path / "run.gif")
    assert titles == ["time 0", "time 100", "time 1200"]
