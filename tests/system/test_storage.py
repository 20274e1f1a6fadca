"""Saved files are whole or absent, and every alteration is noticed."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from meanfield.errors import CheckpointError
from meanfield.system import manifest, storage

DTYPES = st.sampled_from(
    [np.float32, np.float64, np.int64, np.uint32, np.bool_, np.complex128, "<U3"]
)


@settings(max_examples=40, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8),
        hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
        max_size=3,
    ),
    meta=st.dictionaries(
        st.text(max_size=6),
        st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none()),
        max_size=3,
    ),
)
def test_round_trip_keeps_every_bit(tmp_path_factory, arrays, meta):
    path = tmp_path_factory.mktemp("state") / "state.npz"
    storage.save_arrays(path, arrays, meta)
    loaded, loaded_meta = storage.load_arrays(path)
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()
        assert loaded[name].flags.writeable
    assert loaded_meta == meta


def test_anyone_can_open_the_file(tmp_path):
    arrays = {
        "x": np.linspace(0, 1, 5),
        "method": np.array("gaussian"),
        "ids": np.array(["a", "b"]),
    }
    storage.save_arrays(tmp_path / "unit.npz", arrays, {"unit": "one"})
    with np.load(tmp_path / "unit.npz") as opened:
        for name, array in arrays.items():
            np.testing.assert_array_equal(opened[name], array)
        assert json.loads(opened["meanfield.json"]) == {"unit": "one"}
    assert zipfile.ZipFile(tmp_path / "unit.npz").testzip() is None


def test_other_archives_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.arange(3.0))
    with pytest.raises(CheckpointError, match=r"other\.npz is not a saved state of meanfield"):
        storage.load_arrays(tmp_path / "other.npz")


def test_same_content_gives_same_bytes(tmp_path, monkeypatch):
    arrays = {"theta": np.arange(6.0).reshape(2, 3).T, "empty": np.empty((0, 2))}
    storage.save_arrays(tmp_path / "one", arrays, {"step": 3})
    monkeypatch.setattr(time, "time", lambda: 2e9)
    storage.save_arrays(tmp_path / "two", arrays, {"step": 3})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.fixture(scope="module")
def saved_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.npz"
    storage.save_arrays(path, {"x": np.linspace(0, 1, 9), "k": np.arange(3)}, {"step": 7})
    return path.read_bytes()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_changed_bit_is_named(tmp_path_factory, saved_bytes, data):
    position = data.draw(st.integers(0, len(saved_bytes) - 1))
    bit = data.draw(st.integers(0, 7))
    altered = bytearray(saved_bytes)
    altered[position] ^= 1 << bit
    path = tmp_path_factory.mktemp("altered") / "unit.npz"
    path.write_bytes(altered)
    with pytest.raises(CheckpointError, match=r"unit\.npz .*delete it and resume"):
        storage.load_arrays(path)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_truncation_or_extension_is_named(tmp_path_factory, saved_bytes, data):
    kept = data.draw(st.integers(0, len(saved_bytes) - 1))
    path = tmp_path_factory.mktemp("short") / "unit.npz"
    for content in (saved_bytes[:kept], saved_bytes + saved_bytes[: kept + 1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"unit\.npz"):
            storage.load_arrays(path)


def test_missing_file_is_not_mistaken_for_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.load_arrays(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        storage.read_dataset(tmp_path / "absent.nc")


def test_objects_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="'bad' holds Python objects"):
        storage.save_arrays(tmp_path / "s", {"bad": np.array([{}, []], dtype=object)})
    with pytest.raises(TypeError):
        storage.save_arrays(tmp_path / "s", {}, {"bad": object()})
    with pytest.raises(ValueError, match="NUL in its name"):
        storage.save_arrays(tmp_path / "s", {"x\0y": np.zeros(2)})
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state"
    storage.write_atomic(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        storage.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_kill_while_writing_leaves_a_whole_file(tmp_path):
    path = tmp_path / "state.npz"
    writer = (
        "import sys, numpy as np\n"
        "from meanfield.system import storage\n"
        "for i in range(10**9):\n"
        "    storage.save_arrays(sys.argv[1], {'x': np.full(40000, float(i))}, {'i': i})\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", writer, str(path)])
        path.unlink(missing_ok=True)
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        arrays, meta = storage.load_arrays(path)
        assert (arrays["x"] == meta["i"]).all()
    storage.remove_partial(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_dataset_round_trip_and_damage(tmp_path):
    dataset = xr.Dataset({"m": (("n", "t"), np.arange(6.0).reshape(2, 3))}, attrs={"seed": 1})
    path = tmp_path / "result.nc"
    storage.write_dataset(path, dataset)
    saved = storage.read_dataset(path)
    xr.testing.assert_equal(saved, dataset)
    assert saved.attrs == dataset.attrs
    xr.testing.assert_identical(pickle.loads(pickle.dumps(saved)), saved)  # workers draw figures
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"result\.nc"):
        storage.read_dataset(path)


def test_manifest_finds_missing_and_altered_outputs(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    manifest.write_manifest(tmp_path, ["b.txt", "a.txt"])
    assert manifest.verify(tmp_path) == ["a.txt", "b.txt"]
    (tmp_path / "a.txt").write_text("A")
    with pytest.raises(CheckpointError, match=r"a\.txt is truncated or was altered"):
        manifest.verify(tmp_path)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(CheckpointError, match=r"a\.txt is missing; resume"):
        manifest.verify(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sha256": 3}', b"\xff\xfe"])
def test_unreadable_manifest_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json does not hold what its name says"):
        manifest.verify(tmp_path)


def test_any_changed_byte_of_the_manifest_is_noticed(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    manifest.write_manifest(tmp_path, ["a.txt"], {"seconds": 3.5, "machine": "m"})
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    content = json.loads(whole)
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1
        path.write_bytes(altered)
        try:
            manifest.verify(tmp_path)
        except CheckpointError:
            continue
        # Only blanks between its words may differ.
        assert json.loads(altered) == content
    del content["self"]
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="does not hold what its name says"):
        manifest.verify(tmp_path)


@pytest.mark.parametrize("values", [["one"], ["σ, and\nanother", "line"], [3], [1.5, 2.0]])
def test_lists_in_attributes_stay_lists(values, tmp_path):
    dataset = xr.Dataset(attrs={"values": values})
    storage.write_dataset(tmp_path / "x.nc", dataset)
    for found in (dataset, storage.read_dataset(tmp_path / "x.nc")):
        assert storage.attribute_list(found, "values") == values
    assert storage.attribute_list(dataset, "others") == []


@pytest.mark.parametrize("code", sorted(storage.UNSUPPORTED))
def test_a_file_system_without_flushes_is_noted_and_written_to(tmp_path, monkeypatch, code):
    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(storage, "_noted", set())
    with pytest.warns(UserWarning, match="does not confirm what is on the disk"):
        storage.write_atomic(tmp_path / "a", b"1")
    storage.write_atomic(tmp_path / "b", b"2")
    assert (tmp_path / "b").read_bytes() == b"2"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_file_that_cannot_be_kept_is_named(tmp_path, monkeypatch, code):
    def refuse(descriptor):
        raise OSError(code, os.strerror(code))  # as the system does: without a name

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        storage.write_atomic(tmp_path / "a", b"1")
    assert caught.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())
