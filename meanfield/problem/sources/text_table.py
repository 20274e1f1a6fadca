"""Text files as tables of texts: unpacking, the delimiter, the lines, the header."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import ArgumentError
from meanfield.problem.sources.complaints import Complaints
from meanfield.problem.sources.options import check_unpacked
from meanfield.problem.sources.text_numbers import is_missing, is_number, to_number
from meanfield.system.texts import decode

BLANKS = "blanks"
"""The delimiter that is any run of spaces and tabs."""

_UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_CHUNK = 1 << 24
_MARKS = ("\t", ";", "|", ",", BLANKS)
_SAMPLE = 200


@dataclass(frozen=True)
class TextTable:
    """The texts in the cells of a table below its header, and what is wrong with its lines."""

    path: Path
    delimiter: str
    names: list[str] | None
    lines: np.ndarray  # the number of each row's line
    cells: list[np.ndarray]  # column by column, of str
    complaints: Complaints = field(compare=False)

    def name(self, column: int) -> str:
        """Return what a column is called in sentences: its name, on one line, or its number."""
        return " ".join(self.names[column].split()) if self.names else str(column + 1)


def read_table(path: Path, delimiter: str | None, decimal: str, header: bool | None) -> TextTable:
    """Split a file into cells; an ArgumentError says why it is no table at all."""
    if delimiter is not None and delimiter != BLANKS and len(delimiter) != 1:
        hint = r' (a tab is "\t")' if delimiter.lower() in ("tab", r"\t") else ""
        raise ArgumentError("delimiter", f"must be one character{hint}, got {delimiter!r}.")
    lines = _text(path).split("\n")
    said = re.fullmatch(r'"?sep=(.)"?\W*', lines[0], re.IGNORECASE)
    if said:  # how Excel is told
        lines[0], delimiter = "", delimiter or said[1]
    delimiter = BLANKS if delimiter == " " else delimiter or _guess(lines, decimal)
    complaints = Complaints(path)
    records = list(_records(lines, delimiter, complaints))
    if not records:
        complaints.stop()
        raise ArgumentError("path", message=f"{path} is empty.")
    first = _cells(records[0][1], delimiter)
    width = len(first)
    good = []
    for line, text, count in records:
        problem = _malformed(line, text, count, width, delimiter, (records[0][0], first[0]))
        if problem:
            complaints.add(line, *problem)
        else:
            good.append((line, text))
    rows = _split([text for _, text in good], delimiter, width) if good else []
    names = None
    if good and good[0][0] == records[0][0]:
        names = _header(path, good[0][0], rows, header)
    else:  # a first line of separators only
        complaints.stop()
    start = 0 if names is None else 1
    if len(good) == start:
        complaints.stop()
        raise ArgumentError("path", message=f"{path} has no line of numbers below its header.")
    numbers = np.array([line for line, _ in good[start:]])
    cells = [column[start:] for column in rows]
    return TextTable(path, delimiter, names, numbers, cells, complaints)


def _text(path: Path) -> str:
    """Return the text of a file that may be packed."""
    with path.open("rb") as file:
        start = file.read(8)
    unpack: Callable[..., Any] = next(
        (unpack for magic, unpack in _UNPACKERS.items() if start.startswith(magic)), open
    )
    parts: list[bytes] = []
    try:
        with unpack(path, "rb") as file:
            while part := file.read(_CHUNK):
                parts.append(part)
                if unpack is not open:
                    check_unpacked(path, sum(map(len, parts)), path.stat().st_size)
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        if unpack is open or getattr(error, "errno", None):
            raise
        raise ArgumentError(
            "path", message=f"{path} is packed but damaged ({error}); pack the table again."
        ) from None
    content = b"".join(parts)
    if content.startswith(b"PK\x03\x04"):
        raise ArgumentError(
            "path",
            message=f"{path} is a zip archive or a spreadsheet, not a text; save the table as csv.",
        )
    try:
        text = decode(content)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ArgumentError("path", message=f"{path} is not UTF-8 text; save it as UTF-8.")
    return text


def _cells(text: str, delimiter: str) -> list[str]:
    """Split one record as `_split` does; a csv.Error says what is wrong with its quotes."""
    return [cell.strip() for cell in next(_reader([text], delimiter), [""])]


def _reader(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    mark = " " if delimiter == BLANKS else delimiter
    if delimiter == BLANKS:
        lines = [line.replace("\t", " ") for line in lines]
    lines = [line.strip(" ") for line in lines]
    return csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True)


def _guess(lines: list[str], decimal: str) -> str:
    """Return the first delimiter that makes a table of the first lines, or splits the first one."""
    sample = [line for line in lines if line.strip()][:_SAMPLE]
    # A comma is the last resort where it is the decimal mark.
    marks = sorted(_MARKS, key=lambda mark: mark == decimal)
    tables = {}
    for mark in marks:
        try:
            tables[mark] = [_cells(line, mark) for line in sample]
        except csv.Error:  # such as a quote that goes on in the next line
            continue
    for mark, rows in tables.items():
        widths = {len(row) for row in rows}
        if len(widths) == 1 and widths != {1} and not _hides_blanks(mark, rows):
            return mark
    for mark in marks:
        try:
            if sample and len(_cells(sample[0], mark)) > 1:
                return mark
        except csv.Error:
            continue
    return ","


def _hides_blanks(mark: str, rows: list[list[str]]) -> bool:
    """Tell whether cells are split by blanks: two numbers in one, or doubled tabs between them."""
    if mark == BLANKS:
        return False
    doubled = mark == "\t" and all("" in row[:-1] for row in rows)
    return doubled or any(_several_numbers(cell) for row in rows for cell in row)


def _several_numbers(cell: str) -> bool:
    """Tell whether a cell is made of numbers with blanks between them."""
    parts = cell.split()
    numbers = [part for part in parts if not is_missing(part)]
    return len(parts) > 1 and len(numbers) > 0 and all(is_number(part, ".") for part in numbers)


def _records(
    lines: list[str], delimiter: str, complaints: Complaints
) -> Iterator[tuple[int, str, int]]:
    """Yield line number, text and number of cells of every record that is not blank."""
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        line = line.strip(" ") if delimiter == "\t" else line.strip()
        if not line.strip():
            continue
        if '"' not in line:
            split = line.split() if delimiter == BLANKS else line.split(delimiter)
            yield number, line, len(split)
            continue
        while True:
            try:
                yield number, line, len(_cells(line, delimiter))
                break
            except csv.Error as error:
                open_quote = "unexpected end" in str(error)
                more = next(numbered, None) if open_quote else None
                if more is None:
                    what = "opens a quote that is never closed" if open_quote else f"({error})"
                    complaints.add(number, what, "correct its quotes")
                    break
                line += "\n" + more[1]


def _malformed(
    line: int, text: str, count: int, width: int, delimiter: str, first: tuple[int, str]
) -> tuple[str, str] | None:
    """Return what is wrong with the separators of a record, and what to do."""
    if count == width and text.strip(f"{delimiter} \t" if len(delimiter) == 1 else None):
        return None
    cells = _cells(text, delimiter)
    if not any(cells):
        return "holds only separators", "delete it"
    if count == width:
        return None
    problem = f"has {count} {'cell' if count == 1 else 'cells'}, expected {width}"
    for number, start in (first, (line, cells[0])):
        if start.startswith("#"):
            return problem, f"line {number} looks like a comment: delete it"
    if count == width + 1 and not cells[-1]:
        return problem, "it ends with a separator: delete that"
    return problem, "give every line one cell for each column"


def _split(texts: list[str], delimiter: str, width: int) -> list[np.ndarray]:
    """Return the cells of checked records, column by column."""
    import pandas as pd

    frame = pd.read_csv(
        StringIO("\n".join(texts)),
        sep=r"\s+" if delimiter == BLANKS else delimiter,
        header=None,
        names=range(width),
        index_col=False,
        dtype=object,
        na_filter=False,
        skip_blank_lines=False,
        skipinitialspace=True,
        engine="c",
    )
    assert len(frame) == len(texts)
    return [np.array([cell.strip() for cell in frame[i]], dtype=object) for i in range(width)]


def _header(path: Path, line: int, rows: list[np.ndarray], header: bool | None) -> list[str] | None:
    """Return the names in the first line, if it holds names."""
    first = [str(column[0]) for column in rows]
    if header is not None:
        return first if header else None
    cells = [cell for cell in first if not is_missing(cell)]
    # With either decimal mark: a line of numbers never holds names.
    n_numbers = sum(any(to_number(cell, mark) is not None for mark in ".,") for cell in cells)
    if cells and n_numbers == 0:
        return first
    counted = _counted(first, rows)
    if counted is not None:
        return first if counted else None
    if 0 < n_numbers < len(cells):
        raise ArgumentError(
            "header",
            message=f"{path}, line {line} mixes numbers and text; if it holds names set header = "
            "true, else header = false.",
        )
    if _places(first):
        raise ArgumentError(
            "header",
            message=f"{path}, line {line} counts 0, 1, 2, …, as the names that pandas gives to "
            "columns do; if it holds names set header = true, else header = false.",
        )
    return None


def is_nameless(name: str) -> bool:
    """Tell whether a name is what pandas writes over an index, or reads of it."""
    return not name or name.startswith("Unnamed: ")


def _places(first: list[str]) -> bool:
    """Tell whether the cells of a line count the columns from 0, after an index or not."""
    start = next((i for i, cell in enumerate(first) if not is_nameless(cell)), len(first))
    numbers = [cell for cell in enumerate(first[start:]) if is_number(cell[1], ".")]
    return len(numbers) > 0 and all(cell == str(i) for i, cell in numbers)


def _counted(first: list[str], rows: list[np.ndarray]) -> bool | None:
    """Return True where 0, 1, 2, … are surely names, as pandas writes them; None where unsure."""
    if not _places(first):
        return None
    if is_nameless(first[0]):
        return True
    below = [[str(cell) for cell in column[1:] if not is_missing(cell)] for column in rows]
    texts = [i for i, cell in enumerate(first) if not is_number(cell, ".")]
    if texts:  # named columns beside counted ones: names where numbers stand below them
        named = [bool(below[i]) and all(is_number(c, ".") for c in below[i]) for i in texts]
        return True if all(named) and any(named) else None
    decimal = [bool(c) and not any(cell.lstrip("+-").isdigit() for cell in c) for c in below]
    return True if (any(decimal) if len(first) > 2 else all(decimal)) else None
