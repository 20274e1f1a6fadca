"""Text is read however an editor or a shell saved it."""

import codecs
import tomllib

import pytest

from meanfield.system.texts import decode, read_text

TEXT = 'title = "µP – 深い"\nn = 1\n'
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", list(MARKS))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marked_text_is_read(tmp_path, encoding, end):
    path = tmp_path / "x.toml"
    path.write_bytes(MARKS[encoding] + TEXT.replace("\n", end).encode(encoding))
    assert read_text(path) == TEXT
    assert tomllib.loads(read_text(path)) == {"title": "µP – 深い", "n": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_unmarked_text_is_read(encoding):
    assert decode(TEXT.encode(encoding)) == TEXT


def test_other_bytes_are_no_text():
    with pytest.raises(UnicodeDecodeError):
        decode("prix élevé".encode("latin-1"))
    assert decode(b"") == ""
