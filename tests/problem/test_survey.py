"""A first look at a table, and that the options it recommends read the table."""

import numpy as np
import pytest

from meanfield.problem import SOURCES
from meanfield.problem.sources.survey import survey

N = 60


def write(path, columns, delimiter=",", header=True):
    rows = [list(columns)] if header else []
    rows += [list(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    return path


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {
        "size": np.round(rng.normal(size=N), 3),
        "city": rng.choice(["Ulm", "Kiel", "Jena"], N),
        "price": np.round(rng.normal(100, 20, N), 2),
    }


def read(seen):
    return SOURCES[seen.source](**seen.options)


def test_numbers_and_texts_with_what_is_no_input_left_out(tmp_path, columns):
    table = {
        "": range(N),
        "Nr": range(7, 7 + N),
        "name": [f"house {i}" for i in range(N)],
        "rare": ["4"] * 9 + [""] * (N - 9),
        **columns,
    }
    seen = survey(write(tmp_path / "t.csv", table))
    assert seen.options["drop"] == [0, "Nr", "name", "rare"]
    said = " ".join(seen.findings)
    for reason in ("no name, as an index", "counts the rows", "60 different texts", "51 of 60"):
        assert reason in said
    data = read(seen)
    assert data.info["feature_names"] == ["size", "city=Jena", "city=Kiel", "city=Ulm"]
    assert (seen.classes, seen.target, seen.n_rows) == (0, "price", N)
    assert data.y.std() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (["yes", "no"], "auto", 2),
        (["a", "b", "c"], "auto", 3),
        ([0, 1], "auto", 2),
        ([-1.0, 1.0], "auto", 2),
        ([1, 2, 3, 4, 5], "auto", 5),
        ([1, 2, 3, 4, 5], "regression", 0),
        ([0.5, 1.5, 2.5], "auto", 0),
        ([0.5, 1.5, 2.5], "classification", 3),
        ([10, 20, 30], "auto", 0),
        (range(60), "auto", 0),
    ],
)
def test_what_labels_are(tmp_path, columns, labels, task, classes):
    labels = np.resize(np.array(labels), N)
    seen = survey(write(tmp_path / "t.csv", columns | {"label": labels}), task=task)
    assert seen.classes == classes
    assert ("--task regression" in " ".join(seen.findings)) == (classes == 5)
    data = read(seen)
    assert len(np.unique(data.y)) == (classes or len(set(labels)))
    np.savez(tmp_path / "t.npz", X=np.eye(N), y=labels)
    archive = survey(tmp_path / "t.npz", task=task)
    assert (archive.classes, archive.source, archive.held_out) == (classes, "npz", False)
    np.testing.assert_allclose(read(archive).y, data.y)


@pytest.mark.parametrize(
    ("gaps", "label_gaps", "rule"), [(2, 0, "drop"), (20, 0, "mean"), (20, 1, "drop")]
)
def test_missing_cells(tmp_path, columns, gaps, label_gaps, rule):
    columns = {name: [str(v) for v in values] for name, values in columns.items()}
    columns["size"][:gaps] = ["NA"] * gaps
    columns["price"][:label_gaps] = [""] * label_gaps
    seen = survey(write(tmp_path / "t.csv", columns), "price")
    assert seen.options["missing"] == rule
    assert len(read(seen).X) == (N if rule == "mean" else N - gaps)


def test_other_delimiters_decimal_commas_and_positions(tmp_path, columns):
    table = {name: [str(v).replace(".", ",") for v in values] for name, values in columns.items()}
    path = write(tmp_path / "t.csv", table, delimiter=";")
    seen = survey(path, "0")
    assert (seen.target, seen.options["decimal"]) == ("size", ",")
    assert read(seen).info["feature_names"][-1] == "price"
    bare = survey(
        write(tmp_path / "bare.csv", {"a": range(1, 20, 2), "b": range(0, 30, 3)}, header=False)
    )
    assert bare.target == "column 1"
    assert read(bare).X.shape == (10, 1)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"target": "prize"}, "no column named 'prize'. Did you mean 'price'"),
        ({}, {"target": "9"}, "target=9 is not one of the 3 columns"),
        ({}, {"task": "guess"}, "Unknown task 'guess'"),
        ({}, {"target": "city", "task": "regression"}, "holds texts"),
        ({"price": ["1"] * N}, {}, "must vary"),
        ({"price": ["x"] * N}, {}, "texts all alike"),
        ({"price": [f"n{i}" for i in range(N)]}, {}, "60 different texts"),
        ({}, {"target": "size", "task": "classification"}, "has 59 values|has 60 values"),
        ({"size": range(N), "city": range(N)}, {}, 'no input column of use. Column "size"'),
    ],
)
def test_what_cannot_be_learned_from_is_said(tmp_path, columns, change, arguments, message):
    path = write(tmp_path / "t.csv", columns | change)
    with pytest.raises((ValueError, TypeError), match=message):
        survey(path, **arguments)


def test_a_target_alone_is_no_table_and_another_column_makes_one(tmp_path, columns):
    path = tmp_path / "t.csv"
    with pytest.raises(ValueError, match=r"no input .* but the target. Add a column of numbers"):
        survey(write(path, {"price": columns["price"]}), "price")
    assert read(survey(write(path, columns), "price")).X.shape[1] > 1


def test_archives_name_what_they_lack(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.eye(8), labels=np.arange(8) % 2, X_test=1, y_test=1)
    with pytest.raises(ValueError, match="no array 'y'; it holds X, labels"):
        survey(tmp_path / "t.npz")
    assert survey(tmp_path / "t.npz", "labels").held_out
    with pytest.raises(FileNotFoundError):
        survey(tmp_path / "none.csv")
