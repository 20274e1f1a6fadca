"""Tables as people save them: packed, by blanks, with categories and gaps, many faults at once."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.errors import ArgumentError
from meanfield.problem import load
from meanfield.problem.sources import options
from meanfield.system import memory

AUTO_MPG = (
    '18.0   8   307.0      130.0\t"chevrolet chevelle malibu"\n'
    '15.0   8   350.0      165.0\t"buick skylark 320"\n'
    '25.0   4   98.00      ?\t"ford pinto"\n'
)


@pytest.fixture
def read(tmp_path):
    def read_table(content, name="data.csv", **keys):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load("csv", path=path, **keys)

    return read_table


@pytest.fixture
def refusal(read):
    """What the reader says to a table, in one error without a line break."""

    def sentence(content, name="data.csv", **keys):
        with pytest.raises(ArgumentError) as caught:
            read(content, name, **keys)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return sentence


def rows(data):
    return np.column_stack([data.X, data.y]).tolist()


def test_columns_by_spaces_with_a_tab_before_a_name(read):
    data = read(AUTO_MPG, target=0, drop=[-1], header=False, missing="mean")
    assert data.X.tolist() == [[8, 307, 130], [8, 350, 165], [4, 98, 147.5]]
    assert data.y.tolist() == [18, 15, 25]


@pytest.mark.parametrize(
    "text",
    [
        "1\t\t2\t\t3\n4\t\t5\t\t6\n",
        "1\t\t2\t3\n4\t5\t\t6\n",
        " 1  2 \t 3\n\t4 5   6  \n",
        "x\t\ty\t\tz\n1\t\t2\t\t3\n4\t\t5\t\t6\n",
        "sep=;\n1;2;3\n4;5;6\n",
        '"sep=,"\r\n1,2,3\r\n4,5,6\r\n',
        "SEP=\t\n1\t2\t3\n4\t5\t6\n",
        '"1","2","3"\n"4","5","6"\n',
        "1;2;3\r4;5;6\r",
    ],
)
def test_dialects(read, text):
    assert rows(read(text)) == [[1, 2, 3], [4, 5, 6]]


def test_a_tab_between_tabs_is_a_missing_cell_where_others_fill_it(read):
    data = read("a\tb\tc\n1\t\t3\n4\t5\t6\n", missing="drop")
    assert rows(data) == [[4, 5, 6]]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv"])
def test_packed_tables(read, refusal, pack, name):
    packed = pack(b"x,y\n1,2\n3,4\n")
    assert rows(read(packed, name)) == [[1, 2], [3, 4]]
    assert "is packed but damaged" in refusal(packed[:-6], name)


def test_a_table_that_unpacks_to_far_more_is_refused_and_saved_unpacked_it_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(options, "_SMALL", 1 << 16)
    path = tmp_path / "zeros.csv.gz"
    path.write_bytes(gzip.compress(b"0,0\n" * (1 << 18)))
    with pytest.raises(ArgumentError, match=r"MB and unpacks to 1\.04858 MB or more"):
        load("csv", path=path)
    archive = tmp_path / "zeros.npz"
    X = np.zeros((10**5, 1))
    np.savez_compressed(archive, X=X, y=X[:, 0])
    with pytest.raises(ArgumentError, match="save it unpacked"):
        load("npz", path=archive)
    np.savez(archive, X=X, y=X[:, 0])
    assert len(load("npz", path=archive).X) == 10**5
    monkeypatch.setattr(memory, "available", lambda: 10**6)
    with pytest.raises(ArgumentError, match=r"0\.001 GB of memory are free"):
        load("npz", path=archive)


def test_an_archive_whose_header_promises_more_than_the_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**10, 100)}
    )
    path = tmp_path / "huge.npz"
    np.savez(path, y=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("X.npy", header.getvalue())
    with pytest.raises(ArgumentError, match="unpacks to 8e"):
        load("npz", path=path)


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.csv").write_text("1,2\n3,4\n")
    np.savez(tmp_path / "mine.npz", X=np.eye(2), y=[1, 2])
    assert rows(load("csv", path="~/mine.csv")) == [[1, 2], [3, 4]]
    assert len(load("npz", path="~/mine.npz").X) == 2
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load("csv", path="~nobody-of-this-name/mine.csv")


def test_files_that_are_no_text(refusal):
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    assert "a zip archive or a spreadsheet" in refusal(book.getvalue(), "data.xlsx")
    assert "is not UTF-8 text" in refusal(b"1,2\n3,\0\n")


def test_categories_become_columns_of_their_values(read):
    text = "kind,x,place,y\nred,1,in,1\nblue,2,out,2\nred,3,,3\n"
    data = read(text, categorical="one-hot", missing="mean")
    assert data.info["feature_names"] == ["kind=blue", "kind=red", "x", "place=in", "place=out"]
    assert data.info["categories"] == {"kind": ["blue", "red"], "place": ["in", "out"]}
    assert data.X.tolist() == [[0, 1, 1, 1, 0], [1, 0, 2, 0, 1], [0, 1, 3, 0.5, 0.5]]
    bare = read("red,1\nblue,2\n", categorical="one-hot", header=False)
    assert bare.info["feature_names"] == ["column 1=blue", "column 1=red"]
    assert json.loads(json.dumps(data.info)) == data.info


def test_numbers_can_be_categories_and_sort_as_numbers(read):
    data = read("k,y\n10,1\n9,2\n10,3\n", categorical=["k"])
    assert data.info["feature_names"] == ["k=9", "k=10"]
    assert data.X.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert read("k,y\n10,1\n9,2\n", categorical=[0]).X.shape == (2, 2)


def test_a_mistyped_number_makes_no_category(read, refusal):
    text = "n,y\n1,1\n2,2\n3+,3\n"
    said = refusal(text, categorical="one-hot")
    assert "line 4, column n: '3+' is not a finite number" in said
    assert 'name it in categorical = ["n"]' in said
    assert read(text, categorical=["n"]).X.shape == (3, 3)


def test_names_make_no_category_unless_named(read, refusal, monkeypatch):
    text = "name,x,y\n" + "".join(f"n{i},{i},{i}\n" for i in range(30))
    assert "30 different texts" in refusal(text, categorical="one-hot")
    assert read(text, categorical=["name"]).X.shape == (30, 31)
    assert read(text, drop=["name"]).X.shape == (30, 1)
    monkeypatch.setattr(memory, "available", lambda: 10**4)
    assert "30 different values, and one column for each needs" in refusal(
        text, categorical=["name"]
    )


def test_options_of_categories_that_are_refused(refusal):
    text = "k,x,y\na,1,1\nb,2,2\n"
    assert 'set categorical = "one-hot" if it names a category' in refusal(text)
    assert "Did you mean 'one-hot'" in refusal(text, categorical="onehot")
    assert "has no column named 'z'" in refusal(text, categorical=["z"])
    assert "categorical must name inputs" in refusal(text, categorical=["y"])
    assert 'missing = "drop" leaves no row' in refusal("x,y\n1,\n,2\n", missing="drop")
    assert "column 'x' has none" in refusal("x,z,y\n,1,1\n,2,2\n", missing="mean")
    assert "a label has no mean" in refusal("x,y\n1,\n2,2\n", missing="mean")


@pytest.mark.parametrize("rule", ["drop", "mean"])
def test_missing_cells(read, refusal, rule):
    text = "x,z,y\n1,NA,1\n2,4,2\n3,n/a,3\n,6,4\n5,8,5\n"
    said = refusal(text)
    assert "line 2, column z is missing (likewise line 4)" in said
    assert 'set missing = "drop" or "mean". Also line 5, column x is missing' in said
    data = read(text, missing=rule)
    if rule == "drop":
        assert rows(data) == [[2, 4, 2], [5, 8, 5]]
        assert data.info["missing"] == {"rule": "drop", "rows": [0, 2, 3]}
        assert data.info["train_rows"] == [1, 4]
    else:
        assert data.X.tolist() == [[1, 6], [2, 4], [3, 6], [2.75, 6], [5, 8]]
        assert data.info["missing"] == {"rule": "mean", "filled": {"x": 1, "z": 2}}
        assert data.standardized([[np.nan, 1]]).tolist() == [[2.75, 1]]


def test_means_come_from_the_training_rows_alone(read):
    text = "x,y\n" + "".join(f"{x},0\n" for x in ["", *range(1, 20)])
    data = read(text, missing="mean", test_fraction=0.5)
    known = [x for x in data.info["train_rows"] if x]  # row i holds i
    assert data.info["x_fill"] == [np.mean(known)]
    assert np.mean(known) in [*data.X[:, 0], *data.X_test[:, 0]]


def test_gaps_in_arrays_are_treated_alike(tmp_path):
    path = tmp_path / "gaps.npz"
    np.savez(path, X=[[1.0, np.nan], [3, 4], [5, 6]], y=[1.0, 2, np.nan])
    with pytest.raises(ArgumentError, match=r'X has missing values in 1 .* missing = "drop" or'):
        load("npz", path=path)
    assert rows(load("npz", path=path, missing="drop")) == [[3, 4, 2]]
    with pytest.raises(ArgumentError, match=r'y has missing values .* missing = "drop"\.'):
        load("npz", path=path, missing="mean")


@pytest.mark.parametrize("labels", ["classes", "one-hot"])
def test_words_for_nothing_can_name_classes(read, refusal, labels):
    text = "x,k\n1,None\n2,NA\n3,null\n4,NA\n"
    data = read(text, labels=labels)
    assert list(data.info["classes"].values()) == ["NA", "None", "null"]
    gaps = "x,k\n1,None\n2,\n3,NA\n"
    assert 'line 3, column k is missing; fill it in or drop the line, or set missing = "drop".' in (
        refusal(gaps, labels=labels)
    )
    assert read(gaps, labels=labels, missing="drop").info["missing"]["rows"] == [1]


def test_one_hot_labels(read):
    text = "x,k\n1,b\n2,a\n3,c\n4,a\n"
    data = read(text, labels="one-hot")
    assert data.y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert data.info["classes"] == {"0": "a", "1": "b", "2": "c"}
    assert data.problem(loss="squared").n_outputs == 3
    two = read("x,k\n1,b\n2,a\n", labels="one-hot")
    assert two.y.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ArgumentError, match='or labels = "classes"'):
        two.problem(loss="logistic")
    assert read("x,k\n1,b\n2,a\n", labels="classes").problem(loss="logistic").n_outputs == 1


def test_class_numbers_are_no_quantities(read):
    text = "x,k\n1,b\n2,a\n3,c\n"
    data = read(text, labels="classes")
    with pytest.raises(ArgumentError) as caught:
        data.problem(loss="squared")
    assert caught.value.argument == "loss"
    assert 'set loss = "cross-entropy", or labels = "one-hot".' in str(caught.value)
    assert data.problem(loss="cross-entropy").n_outputs == 3
    with pytest.raises(ArgumentError, match=r'"cross-entropy", or choose two classes\.'):
        load("digits").problem()
    assert load("digits", classes=[1, 2]).problem().n_outputs == 1
    drawn = {"n_features": 3, "n_atoms": 2, "n_outputs": 3, "labels": "class"}
    with pytest.raises(ArgumentError, match=r'"cross-entropy", or labels = "real"\.'):
        load("teacher", **drawn).problem()
    assert load("teacher", **drawn | {"labels": "real"}).problem().n_outputs == 3


def test_all_complaints_come_at_once(refusal):
    said = refusal("a,b,c\n1,x,3\n,2,3\n4,5\n7,8,9,\n1,y,inf\n#\n1,2,\n,\n\n")
    for part in (
        "line 2, column b: 'x' is not a finite number (likewise line 6)",
        "line 3, column a is missing",
        "line 4 has 2 cells, expected 3",
        "line 5 has 4 cells, expected 3; it ends with a separator",
        "line 6, column c: 'inf' is not a finite number",
        "line 7 has 1 cell, expected 3; line 7 looks like a comment",
        "line 8, column c is missing",
        "line 9 holds only separators",
    ):
        assert part in said
    many = refusal("x,y\n" + "".join(f"{i},b{'c' * i},\n1{'a' * i},2\n" for i in range(30)))
    assert len(many) < 3000


def frame(integers=False, labels=False):
    values = np.arange(12).reshape(4, 3)
    table = pd.DataFrame(values if integers else values + 0.25)
    if labels:
        table["kind"] = [1, 2, 1, 2]
    return table


@pytest.mark.parametrize("labels", [False, True])
def test_headers_that_pandas_writes(read, refusal, labels):
    table = frame(labels=labels)
    plain, indexed = table.to_csv(index=False), table.to_csv()
    names = [str(name) for name in table.columns]
    for data in (read(plain), read(indexed, drop=[0])):
        assert data.info["feature_names"] + data.info["target_names"] == names
        assert np.array_equal(np.column_stack([data.X, data.y]), table)
    said = refusal(indexed)
    assert "column 1 has no name, as an index column has" in said
    assert "drop = [0]" in said
    again = pd.read_csv(io.StringIO(indexed)).to_csv(index=False)
    assert "column 1 is called 'Unnamed: 0', as an index column has" in refusal(again)
    levels = pd.MultiIndex.from_product([[1, 2], ["a", "b"]])
    leveled = table.set_axis(levels[: len(table)]).to_csv()
    said = refusal(leveled)
    assert "column 1 has no name" in said
    assert "and so have columns 2; leave them out with drop = [0, 1]" in said
    assert np.array_equal(read(leveled, drop=[0, 1]).X, read(plain).X)
    last_integers = frame()
    last_integers[3] = [0, 1, 0, 1]
    assert len(read(last_integers.to_csv(index=False)).y) == 4


@pytest.mark.parametrize("text", [frame(integers=True).to_csv(index=False), "0,1\n0.5,0.87\n1,2\n"])
def test_a_first_line_that_could_be_either_is_asked_about(read, refusal, text):
    assert "counts 0, 1, 2, …, as the names that pandas gives" in refusal(text)
    n_lines = text.count("\n")
    assert len(read(text, header=True).X) == n_lines - 1
    assert len(read(text, header=False).X) == n_lines


@pytest.mark.parametrize(
    ("text", "said", "part"),
    [
        ('x,y\n"1,200",3\n"2,500",4\n', {}, "'1,200' is not a finite number: it has thousands"),
        ('x,y\n"1,200,300.5",3\n2,4\n', {}, "it has thousands separators"),
        ("x;y\n1.234,5;3\n2,5;4\n", {"decimal": ","}, "'1.234,5' is not a finite number: it has"),
        ("x;y\n1'200;3\n2;4\n", {}, "it has thousands separators"),
        ("x;y\n1 200;3\n2;4\n", {}, "it has thousands separators"),
        ("x;y\n1,200;3\n2,5;4\n", {}, 'set decimal = ","'),
        ("x;y\n0,125;3\n0,250;4\n", {}, 'set decimal = ","'),
    ],
)
def test_thousands_separators(refusal, text, said, part):
    assert part in refusal(text, **said)


def test_decimal_commas_before_three_digits_are_noted(read):
    note = "Every decimal comma has exactly three digits behind it, as in 1,200, which was read as"
    assert note in read("x;y\n1,200;3\n2,500;4\n", decimal=",").info["notes"][0]
    for text in ("x;y\n1,200;3\n2,5;4\n", "x;y\n0,125;3\n1,250;4\n", "x;y\n1;3\n2;4\n"):
        assert "notes" not in read(text, decimal=",").info


def test_points_before_three_digits_are_noted_where_semicolons_split_cells(read):
    note = "Every decimal point has exactly three digits behind it, as in 1.200, which was read as "
    for text in ("x;y\n1.200;2\n13.500;4\n", "sep=;\nx;y\n1.200;2\n3;4\n"):
        data = read(text)
        assert data.X[0, 0] == 1.2
        assert data.info["notes"][0].startswith(note + "1.2; if the points separate thousands, ")
    for text in ("x;y\n1.200;2.5\n", "x;y\n0.125;3\n", "x;y\n1;3\n", "x,y\n1.200,2\n"):
        assert "notes" not in read(text).info


def test_quotes_over_several_lines_keep_the_numbers_of_lines(read, refusal):
    text = 'x,"two\nlines",y\n1,2,3\n"4\n",5,6\n'
    assert rows(read(text)) == [[1, 2, 3], [4, 5, 6]]
    assert "line 6, column y: 'z'" in refusal(text + "7,8,z\n")


def test_pandas_is_imported_only_where_a_table_is_read():
    code = "import sys, meanfield.problem, meanfield; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


CELLS = st.lists(
    st.sampled_from(["1", "2.5", "", "NA", "x", "red", "1,5", "1e3", '"', "a b", "-", "0", "#"]),
    min_size=1,
    max_size=4,
)


ANYTHING = given(
    table=st.lists(CELLS, max_size=6),
    mark=st.sampled_from([",", ";", "\t", " "]),
    missing=st.sampled_from(["refuse", "drop", "mean"]),
    labels=st.sampled_from(["numbers", "classes", "one-hot"]),
    categorical=st.sampled_from(["refuse", "one-hot"]),
)


@settings(max_examples=80, deadline=None)
@ANYTHING
def test_any_table_is_data_or_one_sentence(tmp_path_factory, **drawn):
    check_table(tmp_path_factory, **drawn)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@ANYTHING
def test_two_thousand_tables_are_data_or_one_sentence(tmp_path_factory, **drawn):
    check_table(tmp_path_factory, **drawn)


def check_table(tmp_path_factory, table, mark, missing, labels, categorical):
    path = tmp_path_factory.getbasetemp() / "any-table.csv"
    path.write_text("\n".join(mark.join(cells) for cells in table))
    said = {"missing": missing, "labels": labels, "categorical": categorical}
    error = None
    try:
        data = load("csv", path=path, **said)
    except ArgumentError as caught:
        error = str(caught)
    if error is None:
        assert np.isfinite(data.X).all()
        assert len(data.X) == len(data.y)
        json.dumps(data.info)
    else:
        assert re.fullmatch(r"[^\n]+\.", error)
