"""The studies `atoms`, `identify`, `cell` and `recovery`: their numbers, words and figures."""

from __future__ import annotations

import dataclasses
import io
import json

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import meanfield as mf
from meanfield import plots
from meanfield.dictionary import extract_dictionary
from meanfield.dictionary.agreement import largest_angle
from meanfield.errors import ConfigError
from meanfield.flow.run import predict
from meanfield.identify import equivalent
from meanfield.plots import style
from meanfield.problem import get_activation
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.atoms import figures as atoms_figures
from meanfield.studies.atoms import report as atoms_report
from meanfield.studies.atoms import study as atoms
from meanfield.studies.atoms.arrays import unpack
from meanfield.studies.atoms.report import AtomsHeadline
from meanfield.studies.cell import figures as cell_figures
from meanfield.studies.cell import study as cell
from meanfield.studies.identify import figures as identify_figures
from meanfield.studies.recovery import figures as recovery_figures
from meanfield.studies.recovery import study as recovery
from meanfield.system import storage
from meanfield.system.progress import no_progress
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.atom_bounds import ASSUMED
from meanfield.workbench.sections.data import build_data
from meanfield.workbench.sections.learning import learning_sentence

TEACHER = {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 120, "n_test": 20}
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
    "identify": {
        "identify": {
            "activations": ["silu", "he2"],
            "dims": [1],
            "sizes": [1, 2],
            "max_degree": 6,
            "n_points": 2,
            "n_starts": 6,
            "n_paths": 0,
        },
    },
    "cell": {
        "data": {**TEACHER, "n_atoms": 1, "bias": False, "weight_norm": 2.0},
        "problem": {"bias": False, "l2": 0.001, "temperature": 1e-5},
        "run": {"step_size": 0.5, "n_steps": 500},
        "cell": {"n_particles": 60},
    },
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


def configuration(name):
    study = get_study(name.split()[0])
    return study, parse(study.config, {"study": study.name, "seed": 3, **CONFIGS[name]})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run each study once, without drawing; return dataset, numbers and folder by name."""
    done = {}

    def result(name):
        if name not in done:
            out = tmp_path_factory.mktemp("out") / "study"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
                summary = run_study(*configuration(name), out)
            done[name] = (storage.read_dataset(out / "result.nc"), summary["numbers"], out)
        return done[name]

    return result


def page(folder):
    return (folder / "report.html").read_text()


def test_atoms_are_those_of_the_library(results):
    dataset, numbers, folder = results("atoms")
    config = configuration("atoms")[1]
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


def test_cooling_continues_the_networks_of_the_hot_phase(results):
    # The first look is at the networks that a study at constant temperature would train.
    dataset = results("atoms")[0]
    problem = build_data(configuration("atoms")[1])[1]
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
    expected = mf.coefficient_threshold_number(target, "tanh", 0.05).number
    assert numbers["bound"]["value"] == expected
    assert "respects the bound" in page(folder)


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
    assert "There is no bound" in page(folder)
    assert dataset.attrs["image"].tolist() == [8, 8]
    assert (folder / "tiles.png").exists()
    assert bool(dataset["penalised"].values.all())
    assert "training objective, penalty included" in page(folder)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"atoms": {"image": [3, 3]}}, "atoms.image"),
        ({"atoms": {"cool_to": 1.0}}, "atoms.cool_to"),
        ({"problem": {"activation": "identity"}}, "affine networks have no atoms"),
    ],
)
def test_atoms_refuses_in_words(keys, words):
    with pytest.raises(ConfigError, match=words):
        atoms.prepare(parse(atoms.AtomsConfig, {"study": "atoms", "data": TEACHER, **keys}))


def test_depths_are_those_of_the_library(results):
    dataset, numbers, folder = results("identify")
    silu = dataset.sel(activation="silu", bias=0, d=1)
    assert silu["variety"].values.tolist() == [1, 4]
    assert silu["orbit"].values.tolist() == [1, 6]
    assert silu["orbits"].sel(atoms=2, degree=6) == 1
    assert silu["orbits"].sel(atoms=2, degree=5) > 1
    assert (dataset.sel(activation="he2", atoms=2)["orbit"].isnull()).all()
    name = "orbit-he2-plain-d1-S2"
    assert numbers[name]["value"] is None
    assert "not reached up to 6" in numbers[name]["label"]
    assert "silu, d = 1, S = 2 (4 and 6)" in page(folder)


def test_cell_is_that_of_the_library(results):
    dataset, numbers, folder = results("cell")
    assert numbers["order"]["value"] == 2.0
    assert (numbers["orbit_depth"]["value"], numbers["n_atoms"]["value"]) == (3, 1)
    assert numbers["bound"]["value"] >= 1
    assert "S* = 1." in page(folder)
    moments = dataset["log_moments"].sel(bound="value").values
    root = np.exp(moments / dataset["k"].values)
    assert (np.diff(root) > 0).all()


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


def test_bound_of_data_says_what_it_assumes(results):
    config = configuration("cell")[1]
    problem = build_data(config)[1]
    unit = get_study("cell").prepare(config).units[0]
    found = unit.function(**{**unit.arguments, "target": None})
    made = cell.combine(problem, False, found).numbers
    label = made["bound"].label
    assert "if the inputs were standard normal" in label
    assert "if the inputs" not in results("cell")[1]["bound"]["label"]
    # What is assumed raises no alarm.
    numbers = json.loads(json.dumps(results("cell")[1]))
    for text, said in ((label, f"S̄ = 0, which would be a bound {ASSUMED}"), ("Bound", "ATTENTION")):
        numbers["bound"] |= {"value": 0.0, "interval": None, "label": text}
        finding = get_study("cell").report({"numbers": numbers}, results("cell")[0])[0].text
        assert said in finding
        assert ("ATTENTION" in finding) == (said == "ATTENTION")
    # Whether its network learned, on the rows that tell.
    network = mf.Particles.from_coordinates(found["network"][None], 1, False, False)
    score = problem.score(predict(problem, network, problem.X_test), held_out=True)
    assert made["test_r2"].value == pytest.approx(score.value)
    assert results("cell")[1]["test_r2"]["interval"] == pytest.approx(score.interval)
    assert "The networks have learned" in page(results("cell")[2])


def test_cell_without_a_bound():
    data = {"source": "digits", "classes": [3, 8], "n_samples": 30, "test_fraction": 0.0}
    study = get_study("cell")
    config = parse(
        study.config,
        {
            "study": "cell",
            "data": data,
            "problem": {"l2": 0.2, "temperature": 1e-6},
            "run": {"n_steps": 200, "step_size": 0.5},
            "cell": {"n_particles": 20, "max_degree": 1},
        },
    )
    plan = study.prepare(config)
    (unit,) = plan.units
    numbers = plan.combine({"cell": unit.function(**unit.arguments)}).numbers
    assert "bound" not in numbers


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
    ("atoms", atoms_figures.plot_residual),
    ("atoms", atoms_figures.plot_atoms),
    ("atoms", atoms_figures.plot_mass),
    ("atoms", atoms_figures.plot_cooling),
    ("atoms on images", atoms_figures.plot_atoms),
    ("atoms on images", atoms_figures.plot_tiles),
    ("atoms in one dimension", atoms_figures.plot_atoms),
    ("identify", identify_figures.plot_depths),
    ("cell", cell_figures.plot_weight),
    ("cell", cell_figures.plot_cell_residual),
    ("recovery", recovery_figures.plot_methods),
    ("recovery", recovery_figures.plot_cells),
    ("recovery", recovery_figures.plot_angles),
    ("recovery by width", recovery_figures.plot_success),
]


@pytest.mark.parametrize(("name", "plot"), FIGURES)
def test_figures(results, name, plot):
    dataset = results(name)[0]
    before = dataset.copy(deep=True)
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=style.SIZE, layout="constrained")
        axes = figure.subplots()
        assert plot(dataset, axes) is axes
        xr.testing.assert_identical(dataset, before)
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        figure.draw_without_rendering()
        inside = figure.bbox.padded(1.0)
        parts = [axes.get_tightbbox()]
        if axes.get_legend():
            parts.append(axes.get_legend().get_window_extent())
            assert not parts[-1].overlaps(axes.get_window_extent())
        for part in parts:
            assert inside.x0 <= part.x0
            assert inside.y0 <= part.y0
            assert part.x1 <= inside.x1
            assert part.y1 <= inside.y1


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
