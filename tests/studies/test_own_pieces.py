"""Pieces of the user's own in a configuration: found beside it, and part of what a folder holds."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import plots
from meanfield.errors import ConfigError
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.config import load_config
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.data import build_data

CONFIG = """
study = "simulate"
seed = 3
[data]
source = "teacher"
n_features = 2
n_atoms = 2
n_train = 20
n_test = 5
[problem]
activation = "swirls_of_tests:swirl"
[run]
n_steps = 4
step_size = 0.1
[simulate]
n_particles = 10
n_replicas = 2
save_at = [0, 4]
"""
MODULE = """
import math

WIDTH = 1.0

def swirl(z):
    return z * math.exp(-WIDTH * z * z)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
    (tmp_path / "study.toml").write_text(CONFIG)
    (tmp_path / "swirls_of_tests.py").write_text(MODULE)
    return tmp_path


def loaded(folder):
    study = get_study("simulate")
    return study, load_config(study.config, "simulate", folder / "study.toml")


def test_an_activation_beside_the_configuration(folder):
    study, config = loaded(folder)
    run_study(study, config, folder / "out")
    assert 'activation = "swirls_of_tests:swirl"' in (folder / "out" / "config.toml").read_text()
    _, problem = build_data(config)
    assert (problem.activation.name, problem.activation.sign) == ("swirl", -1)
    run = mf.simulate(
        problem, n_particles=10, step_size=0.1, n_steps=4, n_replicas=2, seed=3, save_at=[0, 4]
    )
    result = storage.read_dataset(folder / "out" / "result.nc")
    np.testing.assert_allclose(result["loss"].values[:, -1], run.loss[:, -1], rtol=1e-12)


def test_resuming_notices_that_the_function_has_changed(folder):
    study, config = loaded(folder)
    run_study(study, config, folder / "out")
    run_study(study, loaded(folder)[1], folder / "out", resume=True)
    (folder / "swirls_of_tests.py").write_text(MODULE.replace("WIDTH = 1.0", "WIDTH = 1.1"))
    with pytest.raises(ConfigError, match="data"):
        run_study(study, loaded(folder)[1], folder / "out", resume=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_thing_at_all", "cannot be imported: No module named"),
        ("1 / 0", r"cannot be imported \(ZeroDivisionError"),
        ("swirl = 3", "f must be a function of a number, not int"),
        ("def other(z): return z", "has no 'swirl'"),
        ("def swirl(z): return 1 / z", "f is not finite"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(folder, text, message):
    (folder / "swirls_of_tests.py").write_text(text)
    with pytest.raises(ConfigError, match=f"problem.activation.*{message}"):
        loaded(folder)


TABLE = '[data]\nsource = "teacher"\nn_features = 2\nn_atoms = 1\nn_train = 6\nn_test = 0\n'
LISTS = {
    "identify": "[identify]\nactivations = LIST\ndims = [1]\nsizes = [1]\n"
    "n_points = 2\nn_starts = 3\nn_paths = 0\n",
    "recovery": "[recovery]\nactivations = LIST\nstep_sizes = [0.5, 0.5]\ndims = [1]\nsizes = [1]\n"
    "noise = [0.0]\nn_teachers = 2\nn_particles = [10]\nn_steps = 5\nbaselines = false\n",
    "widths": TABLE + "[network]\nactivations = LIST\nwidths = [4, 8, 16]\nn_steps = 2\n"
    'n_seeds = 2\nparametrizations = ["mup"]\n[limit]\nn_samples = 16\nn_replicas = 2\n'
    "[verdict]\nfrom_width = 4\n",
    "limit": TABLE + "[network]\nactivations = LIST\ndepths = [1]\nn_steps = 2\n[limit]\n"
    "n_samples = 16\nn_replicas = 2\n[convergence]\nwidths = []\n",
}


@pytest.mark.parametrize("name", list(LISTS))
def test_studies_that_compare_several_take_them_too(folder, name):
    """An own tanh gives what that of the table gives, in its own row."""
    own = MODULE + "\ndef squash(z):\n    return math.tanh(z)\n"
    (folder / "swirls_of_tests.py").write_text(own)
    study, file = get_study(name), folder / f"{name}.toml"
    content = f'study = "{name}"\n' + LISTS[name]
    file.write_text(content.replace("LIST", '["tanh", "swirls_of_tests:squash"]'))
    run_study(study, load_config(study.config, name, file), folder / "out")
    found = storage.read_dataset(folder / "out" / "result.nc")
    assert found["activation"].values.tolist() == ["tanh", "squash"]
    over = "case" if name == "limit" else "activation"
    compared = 0
    for values in found.data_vars.values():
        if over in values.dims and values.dtype.kind == "f":
            one, other = (values.isel({over: i}).values for i in (0, 1))
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
            compared += np.isfinite(one).any()
    assert compared > 1


def test_two_of_one_name_are_refused(folder):
    file, study = folder / "identify.toml", get_study("identify")
    (folder / "other_of_tests.py").write_text(MODULE.replace("WIDTH = 1.0", "WIDTH = 2.0"))
    names = '["swirls_of_tests:swirl", "other_of_tests:swirl"]'
    file.write_text(f'study = "identify"\n[identify]\nactivations = {names}\n')
    with pytest.raises(ConfigError, match=r"activations' has two .* called 'swirl'; rename one"):
        load_config(study.config, "identify", file)
