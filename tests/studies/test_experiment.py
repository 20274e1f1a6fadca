"""One file, the same networks for every part, one report."""

import json
import re

import numpy as np
import pytest

from meanfield import plots
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.config import load_config
from meanfield.workbench.runner import run_study

TEACHER = """
study = "experiment"
title = "Three neurons"
seed = 3

[data]
source = "teacher"
n_features = 2
n_atoms = 2
min_angle = 40.0
n_train = 80
n_test = 60

[problem]
l2 = 0.003
temperature = 0.0005

[run]
step_size = 1.0
n_steps = 150

[chaos]
particle_counts = [8, 16, 32]
n_replicas = 8
cloud_replicas = 0
reference.n_particles = 400

[atoms]
n_particles = 32
n_replicas = 2
cool_steps = 100
looks = 1

[errors]
n_particles = 16
n_atoms = 2
n_replicas = 4
n_population = 128
long_particles = 64
path_particles = 128
settle_steps = 60

[penalties]
factors = [10.0]
"""


@pytest.fixture(scope="module")
def no_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory, no_pictures):
    """Return the folder of a finished experiment, with its configuration beside it."""
    place = tmp_path_factory.mktemp("experiment")
    (place / "mine.toml").write_text(TEACHER)
    study = get_study("experiment")
    config = load_config(study.config, "experiment", place / "mine.toml")
    run_study(study, config, place / "out")
    return place


@pytest.fixture(scope="module")
def dataset(done):
    return storage.read_dataset(done / "out" / "result.nc")


def part_of(place, name, out):
    """Run one part by its own study, from the same file."""
    study = get_study(name)
    shared = {"experiment": get_study("experiment").config.model_fields}
    config = load_config(study.config, name, place / "mine.toml", shared=shared)
    return run_study(study, config, out)["numbers"]


def numbers_of(place):
    return json.loads((place / "out" / "summary.json").read_text())["numbers"]


def test_summary_holds_the_numbers_of_all_parts(done):
    numbers = numbers_of(done)
    assert {"test_r2", "function_slope", "matched_w2_slope", "n_atoms", "total"} <= set(numbers)
    assert {"orbit_depth", "order", "sparse"} <= set(numbers)
    assert not [key for key in numbers if key.endswith("test_r2") and key != "test_r2"]


@pytest.mark.parametrize("name", ["chaos", "atoms", "errors"])
def test_every_part_has_the_numbers_of_its_own_study(done, tmp_path, name):
    """From the same file, bit for bit: networks that are taken up go on as if never left."""
    alone = part_of(done, name, tmp_path / "alone")
    together = numbers_of(done)
    # What was learned is told once, of the networks that all parts share.
    shared = [key for key in alone if not key.startswith(("test_", "regularised_risk"))]
    assert len(shared) > 5
    assert {key: together[key]["value"] for key in shared} == {
        key: alone[key]["value"] for key in shared
    }


def test_no_network_is_trained_twice(done):
    """The atoms are those of the rate study's largest systems."""
    work = done / "out" / "work"
    kept = storage.load_arrays(work / "chaos-replicas-00000.npz")[0]["networks"]
    for replica in range(2):
        atoms = storage.load_arrays(work / f"atoms-network-{replica:04d}.npz")[0]
        np.testing.assert_array_equal(atoms["particle_trained"], kept[replica])
    needs = {
        unit.key: unit.needs for unit in get_study("experiment").prepare(configuration(done)).units
    }
    assert needs["atoms-network-0001"] == {"replicas": "chaos-replicas-00000"}
    assert needs["cell-cell"] == {"network": "atoms-network-0000"}


def configuration(place, **changes):
    study = get_study("experiment")
    texts = [f"{key}={value}" for key, value in changes.items()]
    return load_config(study.config, "experiment", place / "mine.toml", changes=texts)


def test_report_is_made_again_from_what_is_saved(done):
    from meanfield.workbench.outputs import refresh_report

    before = (done / "out" / "report.html").read_text()
    refresh_report(done / "out", get_study)
    assert (done / "out" / "report.html").read_text() == before
    for question in ("Has it learned?", "How wide is wide?", "What does the network consist of?"):
        assert question in before
    assert "neurons were found in all 2 networks" in before
    text = re.sub(r"<[^>]+>", " ", before.split("Run it again")[0])
    assert not re.search(r"\bnan\b|None|Traceback", text)


@pytest.mark.parametrize(
    ("labels", "loss", "metric"),
    [(2, "logistic", "test_accuracy"), (3, "cross-entropy", "test_accuracy")],
)
def test_classes_go_through_all_parts(tmp_path, no_pictures, labels, loss, metric):
    rng = np.random.default_rng(labels)
    X = rng.normal(size=(90, 2))
    names = np.array(["oak", "ash", "elm"])[(X @ rng.normal(size=(2, labels))).argmax(axis=1)]
    rows = [f"{a},{b},{name}" for (a, b), name in zip(X, names, strict=True)]
    (tmp_path / "trees.csv").write_text("\n".join(["height,width,kind", *rows]))
    start, rest = TEACHER.split("[data]")
    data = '[data]\nsource = "csv"\npath = "trees.csv"\nlabels = "classes"\ntest_fraction = 0.3\n'
    text = f'{start}{data}\n[problem]\nloss = "{loss}"\n' + rest.split("[problem]")[1]
    text = text.replace("n_steps = 150", "n_steps = 40").replace(
        "settle_steps = 60", "settle_steps = 20"
    )
    (tmp_path / "mine.toml").write_text(text)
    numbers = run_study(get_study("experiment"), configuration(tmp_path), tmp_path / "out")
    numbers = numbers["numbers"]
    assert {metric, "function_slope", "n_atoms", "total"} <= set(numbers)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the networks learn the classes as numbers" in page
    assert "height" in page.split("Largest input weights")[1][:300]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"value": 0.0, "interval": [-0.1, 0.1], "expected": -1.0}, "does not fall like 1/N"),
        ({"value": -1.0, "interval": [-2.0, 0.5], "expected": -1.0}, "not measured precisely"),
        ({"value": -1.0, "interval": [-1.1, -0.9], "expected": -1.0}, "like 1/N (slope −1"),
        ({"value": -2.0, "interval": [-2.1, -1.9], "expected": None}, "No theory says at what"),
    ],
)
def test_the_slope_decides_what_is_said_of_the_width(done, dataset, change, sentence):
    study = get_study("experiment")
    summary = json.loads((done / "out" / "summary.json").read_text())
    summary["numbers"]["function_slope"] |= change
    finding = study.report(summary, dataset)[0].text
    said = ("does not fall like 1/N", "not measured precisely", "like 1/N (slope", "No theory says")
    assert sentence in finding
    assert sum(text in finding for text in said) == 1


def test_of_networks_that_swing_no_number_is_named(done, dataset):
    study = get_study("experiment")
    summary = json.loads((done / "out" / "summary.json").read_text())
    note = {"notes": ["The step size is too large. Halve it."], "note_codes": ["swings"]}
    summary["numbers"]["function_slope"] |= note
    finding = study.report(summary, dataset)[0].text
    assert "How many neurons are enough cannot be said. The step size is too large." in finding
    assert "infinite width like 1/N" not in finding


def test_the_errors_are_said_to_be_of_other_networks(done):
    config = configuration(done)
    text = (done / "out" / "report.html").read_text()
    sentence = f"Errors are split for networks of {config.errors.n_particles} neurons, kept to"
    assert text.count(sentence) == 2


def test_parts_can_be_left_out(done):
    plan = get_study("experiment").prepare(configuration(done, parts='["chaos"]'))
    assert all(unit.key.startswith("chaos") for unit in plan.units)
    with pytest.raises(ValueError, match="the cell is made from the atoms"):
        get_study("experiment").prepare(configuration(done, parts='["cell"]'))


def test_changes_from_the_command_line(done):
    config = configuration(done, **{"problem.l2": "0.5", "title": "Other words", "seed": "7"})
    assert (config.problem.l2, config.title, config.seed) == (0.5, "Other words", 7)
    with pytest.raises(ValueError, match=r"key 'problem\.l3' is not known"):
        configuration(done, **{"problem.l3": "0.5"})
    with pytest.raises(ValueError, match=r"write it as problem\.l2=0\.01"):
        load_config(get_study("experiment").config, "experiment", done / "mine.toml", changes=["x"])


def test_a_loss_of_ones_own_reaches_every_part(tmp_path):
    (tmp_path / "mine.toml").write_text(TEACHER)
    (tmp_path / "mine.py").write_text(
        "import math\ndef logcosh(f, y):\n    return math.log(math.cosh(f - y))\n"
    )
    study = get_study("experiment")
    for loss in ("mine:logcosh", "huber(0.12345678)"):
        config = load_config(
            study.config, "experiment", tmp_path / "mine.toml", changes=[f"problem.loss={loss}"]
        )
        keys = {unit.key.partition("-")[0] for unit in study.prepare(config).units}
        assert {"chaos", "atoms", "errors"} <= keys
