"""The study `recovery`: its numbers, words and figures."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.dictionary.agreement import largest_angle
from meanfield.errors import ConfigError
from meanfield.studies.recovery import figures as recovery_figures
from meanfield.studies.recovery import study as recovery
from meanfield.workbench.config import parse
from tests.studies.running import assert_draws_whole, page, run_once

CONFIGS = {
    "recovery": {
        "recovery": {
            "activations": ["tanh"],
            "step_sizes": [0.5],
            "dims": [2, 3],
            "sizes": [1, 2],
            "n_particles": [30],
            "n_teachers": 1,
            "n_data": 120,
            "n_steps": 300,
        },
    },
    "recovery by width": {
        "recovery": {
            "activations": ["tanh"],
            "step_sizes": [0.5],
            "dims": [2],
            "sizes": [2],
            "noise": [0.0],
            "n_particles": [1, 20],
            "n_teachers": 2,
            "n_data": 120,
            "n_steps": 300,
            "baselines": False,
        },
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_once(CONFIGS, tmp_path_factory.mktemp("out"))


def test_recovery_counts_what_is_saved(results):
    dataset, numbers, folder = results("recovery")
    assert dict(dataset.sizes) == {
        "activation": 1,
        "d": 2,
        "atoms": 2,
        "noise": 2,
        "particles": 1,
        "teacher": 1,
    }
    exact = (dataset["found_dictionary"] == dataset["atoms"]).sel(noise=0.0)
    assert numbers["exact_dictionary_0"]["value"] == pytest.approx(float(exact.mean()))
    assert numbers["exact_dictionary_0"]["value"] > 0.9
    assert numbers["close_0"]["value"] > 0.9
    low, high = numbers["exact_kmeans_0"]["interval"]
    assert low <= numbers["exact_kmeans_0"]["value"] <= high
    assert "Without noise the dictionary" in page(folder)


def test_counts_keep_teachers_together():
    # Two dimensions, two sizes: only (d = 2, S = 2) and one teacher of (d = 3, S = 1) come back.
    config = parse(
        recovery.RecoveryConfig,
        {
            "study": "recovery",
            "recovery": {
                **CONFIGS["recovery"]["recovery"],
                "noise": [0.0],
                "n_teachers": 2,
                "baselines": False,
            },
        },
    )
    plan = recovery.prepare(config)
    found = {(2, 1): [3, 3], (2, 2): [2, 2], (3, 1): [1, 2], (3, 2): [0, 3]}
    results = {}
    for unit in plan.units:
        cell = unit.arguments["cell"]
        sizes = np.array(found[cell.d, cell.n_atoms], dtype=float)
        right = (sizes == cell.n_atoms).astype(float)
        results[unit.key] = {
            "found_dictionary": sizes,
            "angle_dictionary": 90.0 * (1 - right),
            "confident": right,
            "missing": 1 - right,
            "compression_gap": np.zeros(2),
            "network_error": np.zeros(2),
        }
    numbers = plan.combine(results).numbers
    assert numbers["exact_dictionary_0"].value == 3 / 8
    assert numbers["close_0"].value == 3 / 8
    assert numbers["sure_0"].value == 1.0


def test_wide_networks_succeed_where_one_neuron_cannot(results):
    # Refit to labels finds the teacher from any start; that the network has it is another matter.
    dataset, numbers, folder = results("recovery by width")
    assert (dataset["exact_dictionary"] == 1).all()
    assert (numbers["success_1"]["value"], numbers["success_20"]["value"]) == (0.0, 1.0)
    assert "0% at width 1, 100% at width 20" in page(folder)
    assert (folder / "width.png").exists()


@pytest.mark.parametrize("d", [2, 5])
def test_teachers_keep_their_distance(d):
    for index in range(5):
        w = recovery.draw_teacher("relu", d, 4, 20.0, True, 1, index).w
        assert largest_angle(w, w) < 1e-5
        unit = w / np.linalg.norm(w, axis=1)[:, None]
        cosine = np.abs(unit @ unit.T)[~np.eye(4, dtype=bool)]
        assert cosine.max() <= np.cos(np.radians(20)) + 1e-12


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"step_sizes": [0.1]}, "step_sizes"),
        ({"activations": ["tang"], "step_sizes": [0.1]}, "Did you mean 'tanh'"),
        ({"sizes": [10]}, "cannot be that far apart"),
        ({"noise": [-1.0]}, "noise"),
    ],
)
def test_recovery_refuses_in_words(keys, words):
    with pytest.raises(ConfigError, match=words):
        recovery.prepare(
            parse(recovery.RecoveryConfig, {"study": "recovery", "recovery": {"dims": [2], **keys}})
        )


FIGURES = [
    ("recovery", recovery_figures.plot_methods),
    ("recovery", recovery_figures.plot_cells),
    ("recovery", recovery_figures.plot_angles),
    ("recovery by width", recovery_figures.plot_success),
]


@pytest.mark.parametrize(("name", "plot"), FIGURES)
def test_figures(results, name, plot):
    assert_draws_whole(plot, results(name)[0])
