"""Text files as editors and shells of any system save them."""

from __future__ import annotations

import codecs
from pathlib import Path

# Marks at the beginning of a file, the longer ones first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    r"""Return the text of a file: UTF-8, or what the mark at its beginning says.

    Lines end in ``\n``, whether they ended in ``\r\n``, ``\r`` or ``\n``. Windows' editors put a
    mark before UTF-8, and its shell writes UTF-16. Bytes that are no such text are a
    UnicodeDecodeError.
    """
    mark, encoding = next((item for item in _MARKS if data.startswith(item[0])), (b"", "utf-8"))
    if data[1:2] == b"\0" < data[:1]:  # no text has such a character: UTF-16 without its mark
        encoding = "utf-16-le"
    elif data[:1] == b"\0" < data[1:2]:
        encoding = "utf-16-be"
    text = data[len(mark) :].decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> str:
    """Return the text of a file; see `decode`."""
    return decode(path.read_bytes())
