"""Files: what npz and csv accept, and the sentence for each way they are broken."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.problem import load

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6.0)


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def refused(message, path, source="csv", error=ValueError, **options):
    with pytest.raises(error, match=re.escape(message)) as caught:
        load(source, path=path, **options)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text


def test_npz_round_trip(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=Y, other=np.array(["kept", "aside"]))
    data = load("npz", path=path, test_fraction=0.5)
    assert np.array_equal(data.X, X[data.info["train_rows"]])
    assert data.info["path"] == str(path)
    np.savez_compressed(path, inputs=X, labels=Y, X_test=X[:2], y_test=Y[:2])
    data = load("npz", path=str(path), X="inputs", y="labels")
    assert np.array_equal(data.y_test, Y[:2])


def test_npz_names_the_arrays_it_found(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, A=X, B=Y)
    refused("has no array 'X'; it holds A, B.", path, "npz")
    np.savez(path, X=X, y=Y, X_test=X)
    refused("has no array 'y_test'; it holds X, y, X_test.", path, "npz")
    np.savez(path, X=X, y=Y)
    refused("has no array 'held_out'", path, "npz", X_test="held_out")
    np.savez(path)
    refused("it holds nothing", path, "npz")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    monkeypatch.setenv("BOMB", str(trace))
    bomb = np.array([Bomb()], dtype=object)
    path = tmp_path / "data.npz"
    np.savez(path, allow_pickle=True, X=bomb, y=Y)
    refused("holds pickled objects, which are never loaded", path, "npz")
    bare = tmp_path / "bare.npz"
    with bare.open("wb") as file:
        np.save(file, bomb, allow_pickle=True)
    refused("holds pickled objects, which are never loaded", bare, "npz")
    plain = tmp_path / "plain.npz"
    plain.write_bytes(b"\x80\x04cos\nmkdir\n(X\x01\x00\x00\x00xtR.")
    refused("holds pickled objects, which are never loaded, or is not an npz", plain, "npz")
    assert not trace.exists()
    # the trap works: unpickling would have left the trace
    with np.load(path, allow_pickle=True) as archive, pytest.raises(Exception):  # noqa: B017, PT011
        archive["X"].shape[1]
    assert trace.exists()


def test_unpacked_archives_are_mapped(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    inputs = np.asfortranarray(rng.normal(size=(9, 3)).astype("f4"))
    arrays = {"X": inputs, "y": rng.normal(size=9), "X_test": inputs[:2].copy(), "y_test": [0, 1]}
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    packed = load("npz", path=tmp_path / "packed.npz")

    def refuse(archive, name):
        raise AssertionError(f"{name} is read")

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", refuse)
    plain = load("npz", path=tmp_path / "plain.npz")
    for name in arrays:
        np.testing.assert_array_equal(getattr(plain, name), getattr(packed, name))
    (tmp_path / "plain.npz").unlink()
    assert np.isfinite(plain.X).all()
    assert not isinstance(plain.X, np.memmap)


def test_broken_archives(tmp_path, write):
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=Y)
    content = path.read_bytes()
    refused("is not a readable npz archive", write(content[:-30], "cut.npz"), "npz")
    altered = bytearray(content)
    altered[content.index(X.tobytes()) + 9] ^= 1
    refused("is not a readable npz archive", write(bytes(altered), "flip.npz"), "npz")
    refused("is not a readable npz archive", write(b"", "empty.npz"), "npz")
    np.save(tmp_path / "one.npy", X)
    refused("holds one bare array", tmp_path / "one.npy", "npz")
    refused("There is no file", tmp_path / "none.npz", "npz", FileNotFoundError)
    refused("is not a file", tmp_path, "npz")


TABLE = "age,height,score\n1,2,3\n4,5,6\n\n7,8,9\n"


def test_csv_with_header(write):
    data = load("csv", path=write(TABLE))
    assert np.array_equal(data.X, [[1, 2], [4, 5], [7, 8]])
    assert np.array_equal(data.y, [3, 6, 9])
    assert data.info["feature_names"] == ["age", "height"]
    assert data.info["target_names"] == ["score"]


@pytest.mark.parametrize(
    ("target", "y"),
    [
        ("age", [1, 4, 7]),
        (0, [1, 4, 7]),
        (-2, [2, 5, 8]),
        (["score", "age"], [[3, 1], [6, 4], [9, 7]]),
        ([1, "age"], [[2, 1], [5, 4], [8, 7]]),
        (["age"], [1, 4, 7]),
    ],
)
def test_csv_target_columns(write, target, y):
    data = load("csv", path=write(TABLE), target=target)
    assert np.array_equal(data.y, y)
    assert data.X.shape == (3, 3 - np.size(y[0]))


@pytest.mark.parametrize(
    ("cells", "y", "classes"),
    [
        (["dog", "cat", "dog", "cat"], [1, -1, 1, -1], {"-1": "cat", "1": "dog"}),
        (["0", "1", "1", "0"], [-1, 1, 1, -1], {"-1": 0, "1": 1}),
        (["10", "2", "1", "2"], [2, 1, 0, 1], {"0": 1, "1": 2, "2": 10}),
        (["a", "2", "10", "2"], [2, 1, 0, 1], {"0": "10", "1": "2", "2": "a"}),
        (["0.5", "1.5", "1.5", "0.5"], [-1, 1, 1, -1], {"-1": 0.5, "1": 1.5}),
    ],
)
def test_csv_class_labels(write, cells, y, classes):
    text = "x,kind\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    data = load("csv", path=write(text), labels="classes")
    assert np.array_equal(data.y, y)
    assert data.info["classes"] == classes
    data.problem(loss="logistic" if len(classes) == 2 else "cross-entropy")


@pytest.mark.parametrize("drop", [["height"], [1], [-2]])
def test_csv_columns_can_be_dropped_unread(write, drop):
    data = load("csv", path=write("age,height,score\n1,tall,3\n4,,6\n"), drop=drop)
    assert np.array_equal(data.X, [[1], [4]])
    assert np.array_equal(data.y, [3, 6])
    assert data.info["feature_names"] == ["age"]


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n7,8,9\n",
        "1;2;3\r\n4;5;6\r\n7;8;9",
        "1\t2\t3\n4\t5\t6\n7\t8\t9\n",
        "1 2 3\n4  5  6 \n 7 8 9\n",
        "1|2|3\n4|5|6\n7|8|9\n",
        "\ufeff1, 2, 3\n4, 5, 6\n7, 8, 9\n\n\n",
        '"1","2","3"\n"4","5","6"\n"7","8","9"\n',
        "a,b,c\n1,2e0,3\n+4,5.,.6e1\n7,8,9\n",
    ],
)
def test_csv_dialects(write, text):
    data = load("csv", path=write(text))
    assert np.array_equal(np.column_stack([data.X, data.y]), np.arange(1, 10).reshape(3, 3))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"name; x","y"\n1,2\n3,4\n', ["name; x", "y"]),
        ('"x; semi","y, out"\n"1","2"\n"3","4"\n', ["x; semi", "y, out"]),
        ('"a, b";"c|d"\n1;2\n3;4\n', ["a, b", "c|d"]),
        ('"a ""b"" c" "d"\n1 2\n3 4\n', ['a "b" c', "d"]),
    ],
)
def test_csv_delimiters_in_quotes_do_not_count(write, text, names):
    data = load("csv", path=write(text))
    assert data.info["feature_names"] + data.info["target_names"] == names
    assert np.array_equal(np.column_stack([data.X, data.y]), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "text",
    [
        "x;y\n1,5;2\n-0,25;4e1\n",
        "1,5;2\n-0,25;40,0\n",
        "1,5 2\n-0,25 40\n",
        '"1,5","2"\n"-0,25","40"\n',
    ],
)
def test_csv_decimal_commas(write, text):
    data = load("csv", path=write(text), decimal=",")
    assert np.array_equal(np.column_stack([data.X, data.y]), [[1.5, 2], [-0.25, 40]])


def test_csv_header_and_delimiter_can_be_said(write):
    path = write("1,2\n3,4\n5,6\n")
    assert len(load("csv", path=path, header=True).y) == 2
    assert load("csv", path=path, header=True, target="1").info["feature_names"] == ["2"]
    assert len(load("csv", path=path, header=False, delimiter=",").y) == 3


@pytest.mark.parametrize(
    ("text", "message", "options"),
    [
        ("", "is empty", {}),
        ("\n \n", "is empty", {}),
        ("\n \n,,\n", "line 3 holds only separators; delete it", {}),
        ("a,b\n1,2\n,\n3,4\n", "line 3 holds only separators; delete it", {}),
        ("# by me\nx,y\n1,2\n", "line 1 looks like a comment: delete it", {}),
        ("x,y\n1,2\n# the end\n", "line 3 looks like a comment: delete it", {}),
        ("x,y,\n1,2,\n3,4,\n", "every line ends with a separator; delete it from all", {}),
        ("x,y\n1,2,\n3,4,\n", "line 2 has 3 cells, expected 2 (likewise line 3); it ends with", {}),
        ("x,y\n1_000,2\n", "line 2, column x: '1_000' is not a finite number", {}),
        ("a,b\n", "has no line of numbers below its header", {}),
        ("a,b\n1,2\n3,x\n", "line 3, column b: 'x' is not a finite number", {}),
        ("a,b\n1,2\n3,x\n", 'or set labels = "classes" or "one-hot" if it names', {}),
        ("a,b\n1,2\nx,3\n", "column a: 'x' is not a finite number; correct it, or leave", {}),
        ("a,b\n1,2\n\n3,inf\n", "line 4, column b: 'inf' is not a finite number; correct it", {}),
        ("1,2\n3,\n", "line 2, column 2 is missing; fill it in or drop the line", {}),
        ("1,2\nNA,4\n", "line 2, column 1 is missing", {}),
        ("nan,nan\n3,4\n", "line 1, column 1 is missing", {}),
        ("a;b\n1,5;2\n", "line 2, column a: '1,5' is not a finite number", {}),
        ("1,5;2\n3;4\n", """line 1, column 1: '1,5' is not a finite""", {}),
        ("a;b\n1,5;2\n", 'if all have this decimal mark set decimal = ",", else correct it', {}),
        ("a;b\n1.5;2\n", 'if all have this decimal mark set decimal = "."', {"decimal": ","}),
        ("1,2\n3,4,5\n", "line 2 has 3 cells, expected 2", {}),
        (
            'a,b\n1,2\n"3,4\n5,6\n',
            "line 3 opens a quote that is never closed; correct its quotes",
            {},
        ),
        ("1,b\n3,4\n", "line 1 mixes numbers and text; if it holds names set header = true", {}),
        ("1,b\n3,4\n", "line 1, column 2: 'b' is not a finite number", {"header": False}),
        ("a\n1\n", "has no input column besides the target", {}),
        ("a,b\n1,2\n", "no column named 'bb'. Did you mean 'b'?", {"target": "bb"}),
        ("a,a\n1,2\n", "2 columns named 'a'", {"target": "a"}),
        ("1,2\n", "has no header; give target as a position", {"target": "a"}),
        ("1,2\n", "target=2 is not one of the 2 columns", {"target": 2}),
        ("1,2\n", "target=-3 is not one of the 2 columns", {"target": -3}),
        ("1,2,3\n", "must name distinct columns of", {"target": [0, -3]}),
        ("1,2,3\n", "must name distinct columns of", {"target": []}),
        (",x,y\n0,1,2\n", "column 1 has no name, as an index column has", {}),
        (",x,y\n0,1,2\n", "leave it out with drop = [0], or name it", {"target": "y"}),
        ("a,b\n1,x\n2,\n", "line 3, column b is missing", {"labels": "classes"}),
        ("a,b,c\n1,2,3\n", "drop=['c'] has a target column", {"drop": ["c"]}),
        ("a,b,c\n1,2,3\n", "no column named 'd'", {"drop": ["d"]}),
        ("a,b,c\n1,2,3\n", "has no input column", {"drop": ["a", "b"]}),
        (b"caf\xe9,1\n", "is not UTF-8 text", {}),
    ],
)
def test_csv_errors_name_file_line_and_column(write, text, message, options):
    refused(message, write(text), **options)


def test_csv_that_is_not_there(tmp_path):
    refused("There is no file", tmp_path / "none.csv", error=FileNotFoundError)
    path = tmp_path / "data.csv"
    path.write_text("1,2\n")
    with pytest.raises(ValueError, match="delimiter must be one character, got ';;'"):
        load("csv", path=path, delimiter=";;")
    with pytest.raises(ValueError, match=re.escape(r'(a tab is "\t"), got')):
        load("csv", path=path, delimiter="tab")
    with pytest.raises(ValueError, match=r"decimal must be '\.' or ',', got ';'"):
        load("csv", path=path, decimal=";")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | st.text('0123456789.,;-e"\n\t ab', max_size=60))
def test_any_file_is_data_or_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for source in ("csv", "npz"):
        error = None
        try:
            data = load(source, path=path)
        except ValueError as caught:
            error = str(caught)
        assert np.isfinite(data.X).all() if error is None else "\n" not in error
