"""Names of classes: compared as they are, and each of them trained on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import meanfield as mf
from meanfield.errors import ArgumentError
from meanfield.problem import from_arrays, load
from meanfield.problem.labels import class_places

BIG = [9007199254740993, 9007199254740992, 7]  # floats hold the first two as one
X = np.random.default_rng(0).normal(size=(60, 2))


def table(tmp_path, cells):
    path = tmp_path / "data.csv"
    path.write_text("x,k\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    return path


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (BIG, [7, BIG[1], BIG[0]]),
        ([2**64 + 1, 2**64, -1], [-1, 2**64, 2**64 + 1]),
        (["1.0", "1", "2"], ["1", "1.0", "2"]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["0.1", "0.10000000000000001", "2"], ["0.1", "0.10000000000000001", "2"]),
        (["a", "A", "a b"], ["A", "a", "a b"]),
        (["1e400", "1e401", "3"], ["1e400", "1e401", "3"]),
    ],
)
def test_texts_of_a_table_that_differ_are_classes_that_differ(tmp_path, cells, names):
    path = table(tmp_path, cells)
    data = load("csv", path=path, labels="classes")
    assert list(data.info["classes"].values()) == names
    assert sorted(data.y) == [0, 1, 2]
    assert json.loads(json.dumps(data.info)) == data.info
    noted = any("one number written in two ways" in note for note in data.info.get("notes", ()))
    assert noted == (isinstance(names[0], str) and names[0][0] in "01" and names[0] != "1e400")


@pytest.mark.parametrize(
    "y",
    [
        np.array(BIG),
        np.array(BIG, dtype=np.uint64),
        np.array([2**63 + 1, 2**63, 7], dtype=np.uint64),
        [2**63 + 1, 2**63, -1],
        BIG,
        np.array(BIG, dtype=object),
        pd.Series(BIG),
        pd.Series(BIG, dtype="Int64"),
        pd.Series(["b", "a", "c"], dtype="category"),
        pd.Series(["b", "a", "c"], dtype="string"),
        np.array([b"b", b"a", b"c"]),
        np.array([0.1, np.nextafter(0.1, 1), 5.5]),
    ],
)
def test_entries_of_an_array_that_differ_are_classes_that_differ(y):
    data = from_arrays(X[:3], y, labels="classes")
    assert sorted(data.y) == [0, 1, 2]
    assert json.loads(json.dumps(data.info)) == data.info
    same = from_arrays(X[:3], y, X_test=X[:3], y_test=y, labels="classes")
    assert np.array_equal(same.y_test, data.y)


def test_integers_of_an_archive_that_differ(tmp_path):
    path = tmp_path / "data.npz"
    for dtype in (np.int64, np.uint64):
        np.savez(path, X=X[:3], y=np.array(BIG, dtype=dtype))
        assert load("npz", path=path, labels="classes").y.tolist() == [2, 1, 0]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_classifier_keeps_integers_apart(dtype):
    y = np.array(BIG)[np.arange(60) % 3]
    model = mf.MeanFieldClassifier(random_state=0, n_particles=8, n_steps=2).fit(X, y.astype(dtype))
    assert model.classes_.tolist() == sorted(BIG)
    assert set(model.predict(X).tolist()) <= set(BIG)
    other = np.uint64 if dtype is np.int64 else np.int64
    first = mf.MeanFieldClassifier(random_state=0, n_particles=8)
    first.partial_fit(X, y.astype(dtype), classes=np.array(BIG, dtype=other))
    same = mf.MeanFieldClassifier(random_state=0, n_particles=8)
    same.partial_fit(X, y, classes=np.array(BIG))
    assert first.loss_ == same.loss_
    with pytest.raises(ValueError, match=f"holds {BIG[0] + 1}, which is not among"):
        first.partial_fit(X[:1], np.array([BIG[0] + 1], dtype=dtype))


def test_places_of_numbers_of_several_types():
    classes = np.array([2**53, 2**53 + 1], dtype=np.uint64)
    members = np.array([2**53 + 1, 2**53, 5])
    assert class_places(members, classes).tolist() == [1, 0, -1]


def test_texts_and_numbers_are_not_mixed_and_the_remedy_works():
    y = np.array([1, "a", 2, "a"], dtype=object)
    with pytest.raises(ArgumentError, match=r"make them all texts, \[str\(c\) for c in y\]"):
        from_arrays(X[:4], y, labels="classes")
    assert len(from_arrays(X[:4], [str(c) for c in y], labels="classes").info["classes"]) == 3


KINDS = np.repeat(["a", "b", "c"], [50, 7, 3])


@pytest.mark.parametrize("labels", ["classes", "one-hot"])
def test_a_class_that_a_choice_of_rows_leaves_out_is_named_with_the_option(labels):
    with pytest.raises(ArgumentError) as caught:
        from_arrays(X, KINDS, labels=labels, n_samples=4)
    assert caught.value.argument == "n_samples"
    assert "leaves out the class 'b', which has 7 of 60 rows; raise it to 10 or" in str(
        caught.value
    )
    assert len(from_arrays(X, KINDS, labels=labels, n_samples=10).X) == 10
    with pytest.raises(ArgumentError) as caught:
        from_arrays(X, KINDS, labels=labels, n_samples=9)
    assert "'c'" in str(caught.value)
    with pytest.raises(ArgumentError) as caught:
        from_arrays(X, KINDS, labels=labels, test_fraction=0.9)
    assert caught.value.argument == "test_fraction"
    assert "class 'c', which has 3 of 60 rows; lower it to 0.833." in str(caught.value)
    kept = from_arrays(X, KINDS, labels=labels, test_fraction=0.833)
    assert len(kept.X) == 10
    assert kept.problem(loss="cross-entropy" if labels == "classes" else "squared").n_outputs == 3


def test_classes_of_bundled_data_are_named_too():
    with pytest.raises(ArgumentError, match=r"n_samples=5 leaves out the class \d, .* 10 or more"):
        load("digits", n_samples=5)
    assert len(load("digits", n_samples=10).X) == 10
    with pytest.raises(ArgumentError, match="n_samples=1 leaves out the class"):
        load("digits", classes=[1, 2], n_samples=1)
