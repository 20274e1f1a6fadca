"""The study `atoms`: its numbers, words and figures."""

from __future__ import annotations

import dataclasses
import io
import json

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.dictionary import extract_dictionary
from meanfield.errors import ConfigError
from meanfield.identify import equivalent
from meanfield.plots import style
from meanfield.problem import get_activation
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.atoms import arrays
from meanfield.studies.atoms import figures as atoms_figures
from meanfield.studies.atoms import report as atoms_report
from meanfield.studies.atoms import study as atoms
from meanfield.studies.atoms.arrays import unpack
from meanfield.studies.atoms.report import AtomsHeadline
from meanfield.system.progress import no_progress
from meanfield.workbench.config import parse
from meanfield.workbench.report.formatting import format_short
from meanfield.workbench.sections.data import build_data
from meanfield.workbench.sections.learning import learning_sentence
from tests.studies.running import TEACHER, assert_draws_whole, configured, page, run_once

CONFIGS = {
    "atoms": {
        "data": {**TEACHER, "bias": False, "min_angle": 50.0, "weight_norm": 2.0},
        "problem": {"bias": False, "l2": 0.001, "temperature": 0.001},
        "run": {"step_size": 0.5, "n_steps": 300},
        "atoms": {"n_particles": 60, "n_replicas": 3, "cool_steps": 700, "looks": 3},
    },
    "atoms on images": {
        "data": {"source": "digits", "classes": [3, 8], "n_samples": 80},
        "problem": {"l2": 0.2, "temperature": 0.03},
        "run": {"step_size": 0.5, "n_steps": 100},
        "atoms": {"n_particles": 40, "n_replicas": 2, "cool_steps": 300, "cool_to": 1e-6},
    },
    "atoms in one dimension": {
        "data": {**TEACHER, "n_features": 1, "n_atoms": 1},
        "problem": {"l2": 0.001, "temperature": 1e-5},
        "run": {"step_size": 0.5, "n_steps": 300},
        "atoms": {"n_particles": 30, "n_replicas": 1, "cool_steps": 0},
    },
    "atoms at rest": {
        "data": {**TEACHER, "n_features": 2, "n_atoms": 2, "min_angle": 40.0},
        "problem": {"l2": 0.02, "temperature": 0.001},
        "run": {"step_size": 0.5, "n_steps": 200},
        "atoms": {"n_particles": 30, "n_replicas": 2, "cool_steps": 100, "target": "rest"},
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_once(CONFIGS, tmp_path_factory.mktemp("out"))


def test_at_rest_a_report_speaks_of_the_problem_and_not_of_sizes_tried(results):
    dataset, numbers, folder = results("atoms at rest")
    text = page(folder)
    size = int(numbers["n_atoms"]["value"])
    assert (dataset["n_atoms"] == size).all()
    assert f"At rest, networks have S* = {size} atom" in text
    assert "A number at rest is one of the problem" in text
    for said in ("BIC", "is chosen", "95% confidence", "weight among sizes", "first has S*"):
        assert said not in text


def test_atoms_are_those_of_the_library(results):
    dataset, numbers, folder = results("atoms")
    config = configured(CONFIGS, "atoms")[1]
    problem = build_data(config)[1]
    temperature = np.concatenate(
        [np.full(300, 0.001), mf.schedule.Geometric(0.001, 1e-5).values(700)]
    )
    run = mf.simulate(
        problem,
        60,
        step_size=0.5,
        n_steps=1000,
        seed=3,
        temperature=temperature,
        first_replica=1,
        save_at=[300, 650, 1000],
    )
    assert dataset["step"].values.tolist() == [300, 650, 1000]
    np.testing.assert_allclose(dataset["temperature"][[0, -1]], [0.001, 1e-5])
    np.testing.assert_array_equal(dataset["loss"][1], run.loss[0])
    found = extract_dictionary(run.particles, problem, seed=1)
    arrays = {name: dataset[name].values[1] for name in dataset if "replica" in dataset[name].dims}
    saved = unpack(arrays, -1, problem)
    assert equivalent(saved, found.function, "tanh", tolerance=1e-12)
    assert numbers["n_atoms"]["value"] == found.n_atoms == 2
    assert numbers["agreement"]["value"] == 1.0
    assert numbers["missing"]["value"] == 0.0
    assert str(dataset["statement"].values[1, -1]) == found.statement
    assert str(dataset["certificate_statement"].values[1, -1]) == str(found.certificate)
    assert "S* = 2 atoms: 3 of 3 have that many" in page(folder)


def test_error_bars_and_possible_sizes_are_those_of_the_library(results):
    dataset, numbers, folder = results("atoms")
    problem = build_data(configured(CONFIGS, "atoms")[1])[1]
    last = dataset.isel(look=-1, replica=int(dataset.attrs["reference"]))
    assert numbers["direction_error"]["value"] == last["direction_error"][:2].max()
    assert (last["direction_error"][:2] < 0.01).all()  # labels without noise
    covariance = last["place_covariance"].values[:2]
    assert covariance.shape == (2, problem.n_features, problem.n_features)
    assert numbers["n_atoms"]["interval"] is None
    assert "No size but 2 is possible" in page(folder)
    assert "Error bars of the atoms" in page(folder)


def test_sizes_that_cannot_be_excluded_are_said(results):
    dataset, numbers, _ = results("atoms")
    dataset = dataset.copy(deep=True)
    dataset["most"][:] = 4
    dataset["c_error"][:] = 0.25
    dataset["length_error"][:] = np.nan
    blocks = get_study("atoms").report({"numbers": numbers}, dataset)
    assert "Sizes from 2 to 4 cannot be excluded" in " ".join(
        block.text for block in blocks if hasattr(block, "text")
    )
    rows = next(b.rows for b in blocks if "Direction within" in str(getattr(b, "rows", "")))
    assert rows[1][3] == "not identified"
    assert "to" in rows[1][1]
    found = arrays.possible_sizes(2, 2.0, 4.0, "why")
    assert format_short(found) == "2 (2 to 4)"
    assert arrays.possible_sizes(2, 2.0, 2.0, "why").interval is None


def test_regions_of_atoms_are_drawn_where_they_are(results):
    dataset = results("atoms")[0].copy(deep=True)
    dataset["place_covariance"][:] = np.diag([0.04, 0.01])
    axes = atoms_figures.plot_atoms(dataset, Figure().subplots())
    assert len(axes.patches) == 2
    long = np.sqrt(-2 * np.log(0.05)) * 0.2 * 2
    np.testing.assert_allclose(axes.patches[0].width, long)
    w = dataset["w"].values[int(dataset.attrs["reference"]), -1, 0]
    assert np.abs(axes.patches[0].center) == pytest.approx(np.abs(w))


def test_cooling_continues_the_networks_of_the_hot_phase(results):
    # The first look is at the networks that a study at constant temperature would train.
    dataset = results("atoms")[0]
    problem = build_data(configured(CONFIGS, "atoms")[1])[1]
    run = mf.simulate(problem, 60, step_size=0.5, n_steps=300, seed=3, n_replicas=3)
    np.testing.assert_array_equal(dataset["loss"].isel(look=0), run.loss[:, -1])


def test_matched_atoms_are_the_teacher(results):
    dataset, _, _ = results("atoms")
    assert dataset["matched_angle"].shape == (3, 2)
    assert dataset["matched_angle"].max() < 1e-3
    np.testing.assert_allclose(np.abs(dataset["matched_c"]), 1.0, atol=1e-5)
    np.testing.assert_allclose(dataset["matched_length"], 2.0, atol=1e-5)
    assert (dataset["matched_mass"].sum("modal") <= 1).all()


def test_bound_stands_beside_the_number_of_atoms(results):
    _, numbers, folder = results("atoms")
    target = mf.problem.load(**CONFIGS["atoms"]["data"]).target
    expected = mf.coefficient_threshold_number(target, "tanh", l2=0.001, bias=False).number
    assert numbers["bound"]["value"] == expected
    assert "does not exceed the count" in page(folder)


def test_excess_over_the_bound_is_said_loudly(results):
    dataset, numbers, _ = results("atoms")
    numbers = json.loads(json.dumps(numbers))
    numbers["bound"] |= {"value": 1.0, "interval": None}
    blocks = get_study("atoms").report({"numbers": numbers}, dataset)
    texts = [block.text for block in blocks if hasattr(block, "text")]
    assert sum("ATTENTION" in text for text in texts) == 2


def report_of(numbers, dataset):
    """Return the report of a changed result: its sentences, and the rows of its table of atoms."""
    blocks = get_study("atoms").report({"numbers": numbers}, dataset)
    tables = [block.rows for block in blocks if hasattr(block, "rows")]
    table = next(rows for rows in tables if rows[0][0] == "Atom")
    return " ".join(b.text for b in blocks if hasattr(b, "text")), table[1:]


def test_networks_that_differ_are_counted_apart(results):
    dataset, numbers, _ = results("atoms")
    dataset = dataset.copy(deep=True)
    reference = int(dataset.attrs["reference"])
    others = [i for i in range(3) if i != reference]
    dataset["n_atoms"][others[0], -1] = 5
    assert "2 of 3 have that many, the other has 5, and" in report_of(numbers, dataset)[0]
    dataset["n_atoms"][others[1], -1] = 4
    assert "1 of 3 have that many, the others have 4 to 5, and" in report_of(numbers, dataset)[0]


def test_the_reference_network_does_not_count_as_a_match_of_its_own(results):
    dataset, numbers, _ = results("atoms")
    dataset = dataset.copy(deep=True)
    others = np.arange(3) != int(dataset.attrs["reference"])
    for name in ("angle", "c", "length", "mass"):
        dataset[f"matched_{name}"][others, 0] = np.nan
    dataset["over_time"][:-1] = np.nan
    text, rows = report_of(numbers, dataset)
    assert rows[0][-2:] == ["–", "1 of 3"]
    assert rows[1][-2].endswith("°")
    assert f"has S* = {dataset.attrs['modal']} only at the end" in text


def test_intervals_of_an_atom_stay_where_its_numbers_can_be(results):
    dataset, numbers, _ = results("atoms")
    dataset = dataset.copy(deep=True)
    for name in ("c", "length", "mass"):
        dataset[f"matched_{name}"][:, 0] = [0.01, 0.5, 0.9]
    _, rows = report_of(numbers, dataset)
    c, length, mass = rows[0][1:4]
    assert "(−" in c
    assert "(0 to" in length
    assert mass.endswith("(0 to 1.0)") or mass.endswith("(0 to 1.00)")


def test_image_atoms_have_tiles_and_no_bound(results):
    dataset, numbers, folder = results("atoms on images")
    assert "bound" not in numbers
    assert "There is no count" in page(folder)
    assert dataset.attrs["image"].tolist() == [8, 8]
    assert (folder / "tiles.png").exists()
    assert bool(dataset["penalised"].values.all())
    assert "By its own objective" in page(folder)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"atoms": {"image": [3, 3]}}, "atoms.image"),
        ({"atoms": {"cool_to": 1.0}}, "atoms.cool_to"),
        ({"problem": {"activation": "identity"}}, "affine networks have no atoms"),
        ({"problem": {"loss": "huber"}, "atoms": {"target": "labels"}}, "fitted by likelihood"),
    ],
)
def test_atoms_refuses_in_words(keys, words):
    with pytest.raises(ConfigError, match=words):
        atoms.prepare(parse(atoms.AtomsConfig, {"study": "atoms", "data": TEACHER, **keys}))


def test_atoms_of_class_labels_are_taken():
    keys = {**CONFIGS["atoms on images"], "atoms": {"target": "labels"}}
    for loss in ("squared", "logistic"):
        problem = {**CONFIGS["atoms on images"]["problem"], "loss": loss}
        study, config = configured({"atoms": {**keys, "problem": problem}}, "atoms")
        assert study.prepare(config).units


def test_the_picture_of_the_atoms_is_whole():
    """Names of axes and entries of the legend lie within the figure, whatever the layout takes."""

    def plot(dataset, ax):
        ax.plot([0.1], [0.0], "o", label="atom, $c > 0$")
        ax.set_xlim(-3.83, 3.83)
        ax.set_ylim(-1.84, 3.83)
        ax.set_aspect("equal")
        return style.finish(ax, "$w_1$", "$w_2$")

    image = mpl.image.imread(io.BytesIO(style.render(plot, None)[0]))[..., :3]
    for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]):
        assert (edge == 1).all()


def test_learning_needs_more_than_a_score_above_the_guess():
    def said(value, low, high):
        return learning_sentence(Estimate(value, low, high, label="Accuracy"), 0.5, None)

    assert said(0.8, 0.6, 0.9).startswith("The networks have learned")
    assert said(0.8, 0.4, 0.9).startswith("It is not certain that the networks have learned")
    assert said(0.5, 0.4, 0.6).startswith("The networks have not learned")
    assert said(0.3, 0.2, 0.4).startswith("The networks have not learned")


def test_plane_without_atoms_or_neurons_that_contribute(results):
    dataset = results("atoms")[0].copy(deep=True)
    dataset["particle_size"][:] = 0.0
    for name in ("w", "b", "c"):
        dataset[name][:] = np.nan
    _, low = atoms_figures.plot_atoms(dataset, Figure().subplots()).get_ylim()
    assert np.isfinite(low)


@pytest.mark.parametrize(
    ("own", "labels", "said"),
    [
        (False, True, "because of the penalty"),
        (True, False, "not yet reached the minimum of its training objective"),
        (True, True, "Both find a missing atom"),
        (False, False, None),
    ],
)
def test_what_two_certificates_mean_together(results, own, labels, said):
    dataset = results("atoms")[0].copy(deep=True)
    dataset["penalised"][:] = 1
    dataset["missing"][:], dataset["labels_missing"][:] = own, labels
    texts = atoms_report._certificates(dataset)
    assert len(texts) == (2 if said is None else 3)
    assert said is None or said in texts[-1]
    assert ("differ" in texts[-1]) == (own != labels)


def test_counts_of_atoms_are_said_in_words(results):
    dataset, numbers, _ = results("atoms")
    found = AtomsHeadline.read({"numbers": numbers})
    found = dataclasses.replace(found, compression_gap=Estimate(1.0))
    none, one, two = (
        atoms_report._finding(found, dataset.assign_attrs(modal=modal)) for modal in range(3)
    )
    assert "unexplained" not in none
    assert "1 atom leaves 100% of it unexplained" in one
    assert "2 atoms leave 100% of it unexplained" in two


def test_drawn_sign_goes_with_the_drawn_half_plane(results):
    # Of an odd activation a flip changes the sign: drawn atoms are (w, c) or (−w, −c) of one atom.
    dataset = results("atoms")[0].isel(replica=[0])
    axes = atoms_figures.plot_atoms(dataset.assign_attrs(reference=0), Figure().subplots())
    drawn = [
        (x, y, 1 if "> 0" in line.get_label() else -1)
        for line in axes.get_lines()
        if line.get_label().startswith("atom")
        for x, y in zip(*line.get_data(), strict=True)
    ]
    tanh = get_activation("tanh")
    X = np.random.default_rng(0).standard_normal((50, 2))
    f = sum(
        sign * tanh.value(X @ np.array([x, y])) for x, y, sign in drawn
    )  # |c| = 1 for this teacher
    w, c = dataset["w"].values[0, -1, :2], dataset["c"].values[0, -1, :2, 0]
    np.testing.assert_allclose(f, tanh.value(X @ w.T) @ c, atol=1e-4)


def test_arrays_have_room_for_as_many_atoms_as_are_asked_for():
    section = {**CONFIGS["atoms"]["atoms"], "max_atoms": 2, "n_replicas": 1}
    config = parse(
        get_study("atoms").config, {"study": "atoms", **CONFIGS["atoms"], "atoms": section}
    )
    unit = atoms.prepare(config).units[0]
    for most in (2, 31):
        arguments = {**unit.arguments, "max_atoms": most}
        arrays = unit.function(**arguments, checkpoint=None, progress=no_progress)
        assert arrays["share"].shape == (3, most)
        assert arrays["residual"].shape == (3, most + 1)
        tried = np.isfinite(arrays["residual"]).sum(axis=1) - 1
        assert (arrays["n_atoms"] <= tried).all()
        assert (tried <= most).all()


FIGURES = [
    ("atoms", atoms_figures.plot_residual),
    ("atoms", atoms_figures.plot_atoms),
    ("atoms", atoms_figures.plot_mass),
    ("atoms", atoms_figures.plot_cooling),
    ("atoms on images", atoms_figures.plot_atoms),
    ("atoms on images", atoms_figures.plot_tiles),
    ("atoms in one dimension", atoms_figures.plot_atoms),
]


@pytest.mark.parametrize(("name", "plot"), FIGURES)
def test_figures(results, name, plot):
    assert_draws_whole(plot, results(name)[0])
