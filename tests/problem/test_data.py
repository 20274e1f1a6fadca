"""Data: split, subsample, standardisation and their record; bundled and synthetic sources."""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from meanfield.problem import SOURCES, HermiteTarget, Teacher, from_arrays, from_target, load
from meanfield.problem.draws import draw_inputs

RNG = np.random.default_rng(0)
X = RNG.normal(loc=3, scale=[1.0, 10.0, 0.1], size=(40, 3))
Y = RNG.normal(size=40)

SYNTHETIC = {
    "teacher": {"n_features": 4, "n_atoms": 2},
    "single-index": {"n_features": 4, "link": [0.0, 0.0, 1.0]},
    "multi-index": {"n_features": 4, "n_directions": 2, "link": {"1": 1.0, "1,1": 1.0}},
    "parity": {"n_features": 4, "coordinates": [0, 2]},
    "hermite": {"n_features": 4, "coefficients": {"2,0,1": 0.5}},
}


def test_arrays_pass_through_unchanged_by_default():
    data = from_arrays(X, Y)
    assert np.array_equal(data.X, X)
    assert np.array_equal(data.y, Y)
    assert data.X_test is data.y_test is data.target is None
    assert data.info["train_rows"] == list(range(40))
    assert data.info["test_rows"] == []


def test_split_is_recorded_and_complete():
    data = from_arrays(X, Y, test_fraction=0.25, split_seed=3)
    rows, test_rows = data.info["train_rows"], data.info["test_rows"]
    assert sorted(rows + test_rows) == list(range(40))
    assert len(test_rows) == 10
    assert np.array_equal(data.X, X[rows])
    assert np.array_equal(data.y_test, Y[test_rows])
    assert data.info["split_seed"] == 3
    again, other = (from_arrays(X, Y, test_fraction=0.25, split_seed=s) for s in (3, 4))
    assert again.info == data.info
    assert other.info["test_rows"] != test_rows


def test_subsamples_are_nested_and_share_the_held_out_part():
    small, large = (from_arrays(X, Y, test_fraction=0.25, n_samples=n) for n in (7, 20))
    assert len(small.X) == 7
    assert set(small.info["train_rows"]) < set(large.info["train_rows"])
    assert small.info["test_rows"] == large.info["test_rows"]


def test_zscore_uses_the_training_part_only():
    data = from_arrays(X, Y, standardize="zscore", test_fraction=0.25)
    train, test = X[data.info["train_rows"]], X[data.info["test_rows"]]
    assert np.abs(data.X.mean(axis=0)).max() < 1e-12
    assert np.abs(data.X.std(axis=0) - 1).max() < 1e-12
    assert np.allclose(data.X_test, (test - train.mean(axis=0)) / train.std(axis=0), rtol=1e-10)
    assert np.allclose(data.X * data.info["x_scale"] + data.info["x_mean"], train, rtol=1e-12)
    assert np.array_equal(data.standardized(test), data.X_test)
    assert data.info["constant_features"] == []


def test_unit_inputs_have_mean_square_one_even_with_constant_columns():
    padded = np.insert(X, [0, 2], [[0.1, -7.0]], axis=1)
    for inputs, constant in ((X, []), (padded, [0, 3])):
        data = from_arrays(inputs, Y, standardize="unit")
        assert data.info["constant_features"] == constant
        assert not data.X[:, constant].any()
        assert (data.X**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-12)
    zscore = from_arrays(padded, Y, standardize="zscore")
    assert zscore.info["x_scale"][0] == zscore.info["x_scale"][3] == 1
    everything = from_arrays(np.ones((4, 2)), Y[:4], standardize="unit")
    assert not everything.X.any()


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_extreme_units_are_standardised_all_the_same(size):
    data = from_arrays(size * X, Y, standardize="zscore")
    assert np.allclose(data.X, from_arrays(X, Y, standardize="zscore").X, rtol=1e-12, atol=1e-12)


def test_labels_are_mapped_back():
    labels = np.stack([3 * Y + 5, -Y], axis=1)
    for y in (labels, labels[:, 0]):
        data = from_arrays(X, y, standardize_y=True, test_fraction=0.25)
        assert np.abs(data.y.mean(axis=0)).max() < 1e-12
        assert np.abs(data.y.std(axis=0) - 1).max() < 1e-12
        train, test = y[data.info["train_rows"]], y[data.info["test_rows"]]
        assert np.allclose(data.original_units(data.y), train, rtol=1e-12, atol=1e-12)
        assert np.allclose(data.original_units(data.y_test), test, rtol=1e-12, atol=1e-12)
    assert np.array_equal(from_arrays(X, Y).original_units(Y), Y)


def test_classes_are_encoded_and_keep_their_proportions():
    kinds = np.repeat(["c", "a", "b"], [20, 10, 10])
    data = from_arrays(X, kinds, labels="classes", test_fraction=0.5)
    assert data.info["classes"] == {"0": "a", "1": "b", "2": "c"}
    assert np.bincount(data.y).tolist() == np.bincount(data.y_test).tolist() == [5, 5, 10]
    assert [data.info["classes"][str(label)] for label in data.y] == list(
        kinds[data.info["train_rows"]]
    )
    held_out = from_arrays(X, kinds == "c", X_test=X[:2], y_test=[True, False], labels="classes")
    assert held_out.y_test.tolist() == [1, -1]


def test_standardised_labels_are_no_classes():
    data = from_arrays(X, np.sign(Y - np.median(Y)), standardize_y=True)
    with pytest.raises(ValueError, match="the logistic loss is for classes; drop standardize_y"):
        data.problem(loss="logistic")


def test_data_of_its_own_held_out_part():
    data = from_arrays(X[:30], Y[:30], X_test=X[30:], y_test=Y[30:], standardize="zscore")
    assert "test_rows" not in data.info
    assert np.array_equal(data.X_test, data.standardized(X[30:]))
    problem = data.problem(activation="relu", bias=False)
    assert (problem.n_data, len(problem.X_test), problem.name) == (30, 10, "arrays")
    assert data.problem(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardize": "zscroe"}, "Unknown standardize 'zscroe'. Did you mean 'zscore'?"),
        ({"test_fraction": 1}, "test_fraction must be below 1"),
        ({"test_fraction": -0.1}, "test_fraction must be finite and not negative"),
        ({"test_fraction": 0.99}, "leaves none of 40 rows"),
        ({"test_fraction": 0.01}, "of 40 rows rounds to no held-out row; raise it, or set it to 0"),
        ({"n_samples": 41}, "n_samples must be at most the 40 training rows, got 41"),
        ({"n_samples": 0}, "n_samples must be an integer of at least 1"),
        ({"split_seed": -1}, "split_seed must be an integer of at least 0"),
        ({"X_test": X}, "y_test is missing; give both or neither"),
        ({"X_test": X, "y_test": Y, "test_fraction": 0.2}, "test_fraction must be 0"),
        ({"X_test": X[:, :2], "y_test": Y}, "must have the columns of X (40, 3)"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_arrays(X, Y, **options)


def test_arrays_that_are_refused():
    with pytest.raises(ValueError, match=r"must have one row for each of the 40 rows of X"):
        from_arrays(X, Y[:5])
    with pytest.raises(ValueError, match="X must be 2-D"):
        from_arrays(Y, Y)
    for kinds, message in (
        (np.ones(40), "y has one class only, 1"),
        (np.stack([Y, Y], axis=1), r"y must be one class per row, got shape \(40, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            from_arrays(X, kinds, labels="classes")
    with pytest.raises(ValueError, match="y_test has the class 2, which y lacks"):
        from_arrays(X, np.arange(40) % 2, X_test=X[:1], y_test=[2], labels="classes")
    with pytest.raises(ValueError, match="standardize_y is for numbers; drop it"):
        from_arrays(X, Y, labels="classes", standardize_y=True)
    with pytest.raises(ValueError, match="needs labels that vary"):
        from_arrays(X, np.ones(40), standardize_y=True)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.floats(0, 1, exclude_max=True), st.integers(0, 9), st.booleans())
def test_every_split_is_a_partition(n, fraction, seed, stratify):
    labels = np.arange(n) % 3
    n_test = round(fraction * n)
    if n_test == n or (fraction and not n_test):
        with pytest.raises(ValueError, match=r"leaves none|rounds to no held-out row"):
            from_arrays(labels[:, None], labels, test_fraction=fraction)
        return
    data = from_arrays(
        labels[:, None], labels, test_fraction=fraction, split_seed=seed, stratify=stratify
    )
    train, test = data.info["train_rows"], data.info["test_rows"]
    assert sorted(train + test) == list(range(n))
    assert len(test) == n_test


def test_stratified_parts_keep_the_proportions():
    labels = np.repeat([0, 1], [80, 20])
    data = from_arrays(labels[:, None], labels, test_fraction=0.5, n_samples=10, stratify=True)
    assert data.y_test.sum() == 10
    assert data.y.sum() == 2
    assert data.y.dtype == np.int64


def test_digits_of_two_classes():
    data = load("digits", classes=[8, 3])
    assert data.info["classes"] == {"-1": 8, "1": 3}
    assert set(data.y) == {-1, 1}
    assert (data.X**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-12)
    assert data.info["constant_features"][0] == 0
    for loss in ("squared", "logistic"):
        assert data.problem(loss=loss).n_outputs == 1
    bunch = load_digits()
    images = bunch.data[np.isin(bunch.target, [8, 3])]
    assert np.array_equal(data.standardized(images[data.info["test_rows"]]), data.X_test)
    truth = bunch.target[np.isin(bunch.target, [8, 3])][data.info["test_rows"]]
    assert np.array_equal(truth == 3, data.y_test == 1)


def test_digits_of_many_classes():
    data = load("digits", standardize="none", n_samples=10)
    assert sorted(data.y) == list(range(10))
    assert len(data.y_test) == 359
    assert (data.X.min(), data.X.max()) == (0, 16)
    assert data.problem(loss="cross-entropy").n_outputs == 10
    three = load("digits", classes=[9, 0, 4])
    assert three.info["classes"] == {"0": 9, "1": 0, "2": 4}
    parity = load("digits", classes=[[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]], n_samples=50)
    assert parity.info["classes"] == {"-1": "0, 2, 4, 6, 8", "1": "1, 3, 5, 7, 9"}
    target = load_digits().target
    assert (parity.y == 2 * (target[parity.info["train_rows"]] % 2) - 1).all()
    for classes in ([3], [3, 3], [1, 10], [[0, 1], [1, 2]], [[0], []]):
        with pytest.raises(ValueError, match="at least two distinct digits"):
            load("digits", classes=classes)


def test_patches_are_cut_from_the_photographs():
    from sklearn.datasets import load_sample_image

    data = load("patches", standardize="none", n_samples=40, test_fraction=0.1)
    assert (data.X.shape, data.X_test.shape) == ((40, 3072), (52, 3072))
    assert data.info["classes"] == {"-1": "china", "1": "flower"}
    assert data.y.sum() == 0
    photographs = {-1: load_sample_image("china.jpg"), 1: load_sample_image("flower.jpg")}
    for row, label, place in zip(data.X, data.y, data.info["train_rows"], strict=True):
        down, across = divmod(place % 260, 20)
        patch = photographs[label][32 * down : 32 * down + 32, 32 * across : 32 * across + 32]
        assert label == (1 if place >= 260 else -1)
        assert np.array_equal(row.reshape(3, 32, 32), np.moveaxis(patch, 2, 0))
    everything = load("patches", test_fraction=0.0)
    assert everything.X.shape == (520, 3072)
    assert (everything.X**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-12)
    assert len(load("patches", stride=64, test_fraction=0.0).X) == 2 * 7 * 10
    assert load("patches", stride=8, n_samples=1000, test_fraction=0.0).X.shape == (1000, 3072)
    with pytest.raises(ValueError, match="stride must be"):
        load("patches", stride=0)


def test_diabetes_is_mapped_back():
    from sklearn.datasets import load_diabetes

    data = load("diabetes")
    truth = load_diabetes().target
    assert np.allclose(data.original_units(data.y_test), truth[data.info["test_rows"]], rtol=1e-12)
    assert data.y.std() == pytest.approx(1, rel=1e-12)
    assert np.array_equal(load("diabetes", standardize_y=False, test_fraction=0).y, truth)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=re.escape('pip install "meanfield[sklearn]"')):
        load("digits")


@pytest.mark.parametrize("law", ["gaussian", "uniform-cube", "sphere", "rademacher"])
def test_input_laws_are_centred_with_unit_covariance(law):
    n, d = 40_000, 3
    inputs = draw_inputs(law, n, d, np.random.default_rng(0))
    # four standard errors of a mean of variables whose variance is at most 2
    assert np.abs(inputs.mean(axis=0)).max() < 4 * np.sqrt(1 / n)
    assert np.abs(inputs.T @ inputs / n - np.eye(d)).max() < 4 * np.sqrt(2 / n)
    if law == "sphere":
        assert np.allclose((inputs**2).sum(axis=1), d, rtol=1e-13)
    if law == "rademacher":
        assert set(inputs.ravel()) == {-1.0, 1.0}
    if law == "uniform-cube":
        assert np.sqrt(3) * 0.999 < np.abs(inputs).max() <= np.sqrt(3)
    assert np.array_equal(draw_inputs(law, 17, d, np.random.default_rng(0)), inputs[:17])


@pytest.mark.parametrize("source", SYNTHETIC)
def test_synthetic_sources_record_their_target(source):
    data = load(source, **SYNTHETIC[source], n_train=30, n_test=20)
    assert data.X.shape == (30, 4)
    assert data.X_test.shape == (20, 4)
    assert np.array_equal(data.y, data.target(data.X))
    assert np.array_equal(data.y_test, data.target(data.X_test))
    assert data.info["target"] == data.target.info
    assert json.loads(json.dumps(data.info)) == data.info
    assert data.problem().name == source
    assert not np.isin(data.X, data.X_test).all(axis=1).any() or source == "parity"


def test_sample_streams_are_independent_of_sizes():
    target = HermiteTarget(3, {"1,1": 1.0})
    small = from_target(target, n_train=10, noise=0.5)
    large = from_target(target, n_train=50, n_test=5, noise=0.5)
    assert np.array_equal(small.X, large.X[:10])
    assert np.array_equal(small.y, large.y[:10])
    assert np.array_equal(small.y_test[:5], large.y_test)
    assert from_target(target, n_test=0).X_test is None
    other = from_target(target, n_train=10, noise=0.5, seed=1)
    assert not np.isin(other.X, small.X).any()


def test_noise_has_the_variance_asked_for():
    target = HermiteTarget(1, {"1": 1.0})
    data = from_target(target, n_train=20_000, n_test=20_000, noise=0.3)
    for X_, y_ in ((data.X, data.y), (data.X_test, data.y_test)):
        residual = y_ - target(X_)
        assert residual.std() == pytest.approx(0.3, rel=4 / np.sqrt(40_000))
        assert abs(residual @ target(X_)) / 20_000 < 4 * 0.3 / np.sqrt(20_000)
    assert np.abs(np.corrcoef(data.y - target(data.X), data.y_test - target(data.X_test))[0, 1]) < (
        4 / np.sqrt(20_000)
    )


def test_labels_for_each_loss():
    target = Teacher.random(4, 3, n_outputs=3)
    options = {"n_train": 100, "labels": "class"}
    many = from_target(target, **options)
    assert np.array_equal(many.y, target(many.X).argmax(axis=1))
    assert many.problem(loss="cross-entropy").n_outputs == 3
    one = from_target(Teacher.random(4, 3), **options)
    assert one.problem(loss="cross-entropy").n_outputs == 2
    signs = load("parity", n_features=3, coordinates=[0, 1], labels="sign", noise=0.5)
    assert np.array_equal(signs.y * 0 + 1, np.abs(signs.y))
    assert 0 < (signs.y != signs.target(signs.X)).sum() < 20  # Φ(−2) of 200 is 4.6
    assert signs.problem(loss="logistic").n_outputs == 1


def test_teacher_seed_and_sample_seed_are_separate():
    base = load("teacher", n_features=3, n_atoms=2)
    sample = load("teacher", n_features=3, n_atoms=2, seed=1)
    other = load("teacher", n_features=3, n_atoms=2, target_seed=1)
    with pytest.raises(ValueError, match="target_seed must be"):
        load("teacher", n_features=3, n_atoms=2, target_seed=-1)
    assert sample.target == base.target != other.target
    assert np.array_equal(other.X, base.X)
    assert not np.array_equal(sample.X, base.X)


def test_sources_are_keyword_only_and_annotated_with_simple_types():
    assert list(SOURCES) == [
        "npz", "csv", "digits", "diabetes", "patches", "cifar10",
        "teacher", "single-index", "multi-index", "parity", "hermite",
    ]  # fmt: skip
    for loader in SOURCES.values():
        hints = typing.get_type_hints(loader)
        for name, parameter in inspect.signature(loader).parameters.items():
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert name in hints


def test_signatures_show_the_defaults_in_use():
    parity, digits = (inspect.signature(SOURCES[name]).parameters for name in ("parity", "digits"))
    made = load("parity", **SYNTHETIC["parity"]).info
    for name in ("inputs", "noise", "labels", "seed", "n_train", "n_test"):
        assert made[name] == parity[name].default, name
    assert load("digits").info["standardize"] == digits["standardize"].default == "unit"
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_trian'"):
        SOURCES["parity"](**SYNTHETIC["parity"], n_trian=3)


def test_load_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"Unknown source 'digit'. Did you mean 'digits'\?"):
        load("digit")
    with pytest.raises(TypeError, match=r"Source 'digits' has no option 'clases'. Did you mean"):
        load("digits", clases=[1, 2])
    with pytest.raises(TypeError, match="Source 'teacher' needs the option 'n_features'"):
        load("teacher", n_atoms=2)
    with pytest.raises(ValueError, match=r"Unknown inputs 'gausian'. Did you mean 'gaussian'"):
        load("parity", **SYNTHETIC["parity"], inputs="gausian")
    with pytest.raises(ValueError, match=r"Unknown labels 'signs'. Did you mean 'sign'"):
        load("parity", **SYNTHETIC["parity"], labels="signs")
    with pytest.raises(TypeError, match=r"n_train must be an integer, got 10\.5"):
        load("parity", **SYNTHETIC["parity"], n_train=10.5)
