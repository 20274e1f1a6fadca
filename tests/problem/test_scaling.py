"""Scales: what is constant, what is huge, and what a configuration is told of it."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import ArgumentError
from meanfield.problem import from_arrays, load
from meanfield.problem.scaling import column_statistics, is_constant, weighted_moments
from meanfield.studies import get_study
from meanfield.system import memory
from meanfield.workbench.config import parse
from meanfield.workbench.sections.data import describe_data, load_data

RNG = np.random.default_rng(1)
X = RNG.normal(size=(1000, 3))
TINY = np.where(RNG.random(1000) < 0.5, 0.3, 0.30000000000000004)


def with_constant(column):
    return np.column_stack([X[:, 0], column, X[:, 2]])


@pytest.mark.parametrize(
    "column",
    [
        TINY,
        np.full(1000, 14.62),
        1e200 * TINY,
        1e-200 * TINY,
        -TINY,
        np.cumsum(np.full(1000, 0.1)) - 0.1 * np.arange(1, 1001) + 7.0,
        np.zeros(1000),
    ],
)
@pytest.mark.parametrize("standardize", ["unit", "zscore"])
def test_rounding_is_no_variation(column, standardize):
    data = from_arrays(with_constant(column), X[:, 0], standardize=standardize)
    assert data.info["constant_features"] == [1]
    expected_scale = 2 if standardize == "unit" else 1
    assert data.info["x_scale"][0] == pytest.approx(np.sqrt(expected_scale) * X[:, 0].std())
    expected = 1 if standardize == "unit" else 2
    assert (data.X**2).sum(axis=1).mean() == pytest.approx(expected, rel=1e-9)
    mean, deviation = weighted_moments(with_constant(column), np.ones(1000))
    assert deviation[1] == max(1, abs(mean[1]) if abs(mean[1]) > 1e6 else 1)
    assert mean[1] == pytest.approx(column[0], rel=1e-12)


@pytest.mark.parametrize(
    "column", [1e9 + X[:, 1], 1e-200 * X[:, 1], 1e200 * X[:, 1], 1.0 * (np.arange(1000) == 3)]
)
def test_what_varies_counts_as_varying(column):
    assert column_statistics(with_constant(column))[2] == []
    _, deviation = weighted_moments(with_constant(column), np.ones(1000))
    assert deviation[1] == pytest.approx(column_statistics(column[:, None])[1][0], rel=1e-12)


def test_the_rule():
    eps = np.finfo(float).eps
    assert is_constant(1.0, 1000 * eps, 1000)
    assert not is_constant(1.0, 1001 * eps, 1000)
    assert is_constant(-1.0, 16 * eps, 2)
    assert is_constant(0.0, 0.0, 5)
    assert not is_constant(0.0, 1e-300, 5)


def test_constant_labels_are_refused_up_to_rounding():
    with pytest.raises(ArgumentError, match="needs labels that vary"):
        from_arrays(X, TINY, standardize_y=True)


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e299])
def test_estimators_scale_first(size):
    y = np.tanh(X[:, 0])
    small = X[:100] / 8
    settings = {"random_state": 0, "n_particles": 16, "n_steps": 20}
    expected = mf.MeanFieldRegressor(**settings).fit(small, y[:100]).predict(small)
    huge = mf.MeanFieldRegressor(**settings).fit(size * small, size * y[:100])
    assert np.allclose(huge.predict(size * small) / size, expected, rtol=1e-9, atol=1e-12)
    kinds = y[:100] > 0
    classes = mf.MeanFieldClassifier(**settings).fit(small, kinds).predict(small)
    scaled = mf.MeanFieldClassifier(**settings).fit(size * small, kinds).predict(size * small)
    assert np.array_equal(scaled, classes)


def test_estimators_keep_their_scale_where_a_column_is_constant():
    inputs = with_constant(np.full(1000, 14.62))[:200]
    y = np.tanh(inputs[:, 0])
    model = mf.MeanFieldRegressor(random_state=0, n_particles=30).fit(inputs, y)
    moved = inputs + np.array([0, 0.01, 0])
    assert model.score(moved, y) == pytest.approx(model.score(inputs, y), abs=1e-2)


def test_huge_numbers_are_refused_where_nothing_scales_them_and_the_remedy_works():
    y = np.tanh(X[:, 0])
    huge = 1e200 * X
    regressor = mf.MeanFieldRegressor(standardize=False, n_steps=2)
    for call in (
        lambda X: mf.Problem(X, y),
        lambda X: regressor.fit(X, y),
        lambda X: mf.deep.train(X[:5], y[:5], width=8, n_steps=1),
    ):
        with pytest.raises(ArgumentError, match=r"^X holds numbers as large as .*e\+200"):
            call(huge)
        call(huge / np.abs(huge).max())
    with pytest.raises(ArgumentError, match="standardize_y = true"):
        mf.Problem(X, 1e200 * y)
    assert from_arrays(huge, 1e200 * y, standardize="unit", standardize_y=True).problem().n_data
    with pytest.raises(ArgumentError, match=r"^X_test holds numbers"):
        mf.Problem(X, y, X_test=huge, y_test=y)


def record(path, **data):
    table = {"source": "csv", "path": str(path), **data}
    config = parse(get_study("simulate").config, {"study": "simulate", "data": table})
    return describe_data(config, load_data(config))


def test_the_record_notes_columns_far_from_one(tmp_path):
    path = tmp_path / "data.csv"
    values = np.column_stack([np.linspace(1, 540, 30), RNG.normal(size=30), RNG.normal(size=30)])
    np.savetxt(path, values, delimiter=",", header="size,other,y", comments="")
    (note,) = record(path)["notes"]
    assert note.startswith("1 input is far from the size of 1")
    assert "size is typically 3" in note
    assert note.endswith('set standardize = "unit" in [data].')
    assert record(path, standardize="unit")["notes"] == []
    values[:, 0] = 1e-5 * RNG.normal(size=30)
    np.savetxt(path, values, delimiter=",")
    assert "number 1 is typically" in record(path)["notes"][0]
    values[:, 0] = 540
    np.savetxt(path, values, delimiter=",")
    assert record(path)["notes"] == []
    assert record(path)["constant_features"] == [0]


@pytest.mark.parametrize("standardize", ["none", "unit"])
def test_the_record_notes_columns_that_only_rounding_moves(tmp_path, standardize):
    path = tmp_path / "data.csv"
    pairs = np.column_stack([X[:50, 0], TINY[:50]]).tolist()
    rows = "".join(f"{x!r},{tiny!r},{x!r}\n" for x, tiny in pairs)
    path.write_text("x,same,y\n" + rows)
    found = record(path, standardize=standardize)
    assert found["constant_features"] == [1]
    assert found["notes"] == [
        "These inputs differ on the training rows by rounding only, and count as constant: same."
    ]


def test_the_record_asks_whether_whole_numbers_are_classes(tmp_path):
    path = tmp_path / "data.csv"
    np.savetxt(path, np.column_stack([X[:60, 0], np.arange(60) % 3]), delimiter=",")
    assert 'set labels = "classes"' in record(path)["notes"][0]
    assert record(path, labels="one-hot")["notes"] == []


@pytest.mark.parametrize(
    ("source", "options", "key"),
    [
        ("teacher", {"n_features": 10**9, "n_atoms": 2}, "n_features"),
        ("teacher", {"n_features": 3, "n_atoms": 10**10}, "n_atoms"),
        ("teacher", {"n_features": 3, "n_atoms": 2, "n_train": 10**10}, "n_train"),
        ("single-index", {"n_features": 10**9}, "n_features"),
        ("multi-index", {"n_features": 10**9, "n_directions": 2}, "n_features"),
        ("parity", {"n_features": 2, "coordinates": [0], "n_test": 10**10}, "n_test"),
        ("hermite", {"n_features": 10**9, "coefficients": {"1": 1.0}}, "n_features"),
    ],
)
def test_samples_beyond_the_memory_are_refused_before_they_are_drawn(
    source, options, key, monkeypatch
):
    monkeypatch.setattr(memory, "available", lambda: 10**10)
    with pytest.raises(ArgumentError, match=rf"GB are available; lower {key}\.$") as caught:
        load(source, **options)
    assert caught.value.argument == key


def outlying(column, value, rows=(17,)):
    column = np.array(column)
    column[list(rows)] = value
    return column


@pytest.mark.parametrize("y", [outlying(X[:, 0], 1e6), outlying(5 + X[:, 0], -1e4)])
def test_a_label_far_out_is_named_with_its_row(y):
    (note,) = from_arrays(X, y).info["notes"]
    assert note.startswith("The label of row 17, counted from 0, is ")
    assert "notes" not in from_arrays(X, np.log(np.abs(y))).info  # the remedy
    assert "notes" not in from_arrays(np.delete(X, 17, 0), np.delete(y, 17)).info
    for seed in range(3):  # held out or not
        assert from_arrays(X, y, test_fraction=0.3, split_seed=seed).info["notes"] == [note]


def test_inputs_far_out_are_named():
    wide = with_constant(outlying(X[:, 1], 1e5, (3, 500)))
    (note,) = from_arrays(wide, X[:, 0], standardize="unit").info["notes"]
    assert note.startswith("The input number 2 of row 3, 500, counted from 0, is ")


@pytest.mark.parametrize(
    "column",
    [
        X[:, 0],
        np.exp(X[:, 0]),
        np.sign(X[:, 0]),
        outlying(X[:, 0], 20.0),
        outlying(np.zeros(1000), 1.0),  # a rare event, not an error
        np.floor(8 * RNG.random(1000)),
        TINY,
        np.zeros(1000),
        1e200 * X[:, 0],
    ],
)
def test_what_is_spread_or_rare_is_not_far_out(column):
    assert "notes" not in from_arrays(with_constant(column), column).info
    assert "notes" not in from_arrays(X[:5], X[:5, 0]).info
