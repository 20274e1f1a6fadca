"""Folders whose files hold anything, under digests that are right: one sentence names the file."""

from __future__ import annotations

import copy
import json
import os
import shutil
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure

from meanfield import plots
from meanfield.errors import CheckpointError
from meanfield.studies import get_study
from meanfield.system import manifest, storage
from meanfield.workbench.config import parse
from meanfield.workbench.held import Held, blamed
from meanfield.workbench.outputs import refresh_report
from meanfield.workbench.runner import run_study
from meanfield.workbench.study import Unit
from tests.workbench import stub_study

SIMULATE = {
    "study": "simulate",
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 1, "n_train": 8, "n_test": 4},
    "run": {"n_steps": 4},
    "simulate": {"n_particles": 8, "n_replicas": 2, "loss_points": 3},
}
ANYTHING = (None, True, -1, 10**9, "text", [1], ["x"] * 3, {"a": [1]})


def run(folder, **more):
    study = get_study("simulate")
    return run_study(study, parse(study.config, SIMULATE), folder, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, fonts_as_outlines):
    folder = tmp_path_factory.mktemp("finished") / "out"
    run(folder)
    return folder


@pytest.fixture
def folder(tmp_path, finished):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def read_once(monkeypatch, finished):
    dataset = storage.read_dataset(finished / "result.nc")
    monkeypatch.setattr(storage, "read_dataset", lambda path: dataset)


def seal(folder):
    """Let the manifest be right about what the folder holds now."""
    files, about = manifest.read_manifest(folder)
    manifest.write_manifest(folder, files, about)


def said(call):
    """What is said of a folder; None where it can be used."""
    try:
        call()
    except CheckpointError as error:
        words = str(error)
    else:
        return None
    assert words.endswith(".")
    assert "\n" not in words
    return words


def variants(content):
    """Yield a nested value with every entry in turn replaced by anything, or left out."""
    yield from ANYTHING
    for key in content if isinstance(content, dict) else range(min(len(content), 2)):
        left = copy.deepcopy(content)
        del left[key]
        yield left
        inner = content[key]
        others = variants(inner) if isinstance(inner, dict | list) else ANYTHING
        for value in others:
            yield {**content, key: value} if isinstance(content, dict) else [value, *content[1:]]
    if isinstance(content, dict):
        yield {**content, "more": 1}


@pytest.mark.parametrize("name", ["summary.json", "data.json"])
def test_any_table_for_a_report(name, finished, folder, undrawn, read_once):
    whole = json.loads((finished / name).read_bytes())
    whole.pop("target", None)  # what a source adds is not read
    refused = 0
    for content in variants(whole):
        shutil.copy(finished / "summary.json", folder)  # a report writes it again
        (folder / name).write_text(json.dumps(content))
        seal(folder)
        words = said(lambda: refresh_report(folder, get_study))
        if words is not None:
            refused += 1
            assert name in words or "result.nc" in words or "earlier version" in words
    assert refused > 30


def test_a_column_far_out_costs_no_time(folder, undrawn):
    record = json.loads((folder / "data.json").read_bytes())
    record["constant_features"] = [10**9]
    (folder / "data.json").write_text(json.dumps(record))
    seal(folder)
    assert "number 1000000001" in refresh_report(folder, get_study).read_text()


BYTES = (b"", b"{", b"[" * 10**5, b"\xff\xfe", b'{"a": ' + b"9" * 5000 + b"}", b"null", b"NaN")


@pytest.mark.parametrize("name", ["summary.json", "data.json", "result.nc", "config.toml"])
@pytest.mark.parametrize("content", BYTES, ids=range(len(BYTES)))
def test_any_bytes_for_a_report(name, content, folder, undrawn):
    (folder / name).write_bytes(content)
    seal(folder)
    words = said(lambda: refresh_report(folder, get_study))
    assert (words is None and name == "config.toml") or str(folder / name) in words


def test_any_manifest(finished, folder, undrawn, read_once):
    whole = json.loads((finished / "manifest.json").read_bytes())
    del whole["self"]
    for content in variants(whole):
        if isinstance(content, dict):
            content = {**content, "self": manifest._own_digest(content)}
        (folder / "manifest.json").write_text(json.dumps(content))
        for call in (manifest.verify, lambda at: refresh_report(at, get_study)):
            shutil.copy(finished / "summary.json", folder)
            words = said(lambda call=call: call(folder))
            assert words is None or str(folder) in words
    for content in BYTES:
        (folder / "manifest.json").write_bytes(content)
        assert str(folder / "manifest.json") in said(lambda: manifest.verify(folder))


OUTSIDE = (
    "../secret",
    "/etc/passwd",
    "a/../../secret",
    "..",
    ".",
    "",
    "a\\..\\..\\b",
    "C:x",
    "a\0b",
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_outside_of_the_folder(name, folder):
    (folder.parent / "secret").write_text("secret")
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    del content["self"]
    content["sha256"][name] = storage.file_digest(folder.parent / "secret")
    path.write_text(json.dumps({**content, "self": manifest._own_digest(content)}))
    with pytest.raises(CheckpointError, match=r"manifest\.json lists .* no file within its folder"):
        manifest.verify(folder)


def test_links_and_what_is_no_file(folder, undrawn):
    outside = folder.parent / "outside"
    shutil.copytree(folder, outside)
    for name in ("summary.json", "result.nc", "config.toml", "data.json", "manifest.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(outside / name)
        for call in (manifest.verify, lambda at: refresh_report(at, get_study)):
            assert f"{folder / name} is a link" in said(lambda call=call: call(folder))
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert f"{folder / name} is no file" in said(lambda: manifest.verify(folder))
        (folder / name).unlink()
        shutil.copy(outside / name, folder)
    (folder / "more").symlink_to(outside)
    files, about = manifest.read_manifest(folder)
    manifest.write_manifest(folder, [*files, "more/summary.json"], about)
    assert "lies outside of its folder" in said(lambda: manifest.verify(folder))


def external_storage(file):
    file.create_dataset("more", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def external_link(file):
    file["more"] = h5py.ExternalLink("/tmp/other.nc", "loss")


def soft_link(file):
    file["more"] = h5py.SoftLink("/loss")


def virtual(file):
    layout = h5py.VirtualLayout((8,), "f8")
    layout[:] = h5py.VirtualSource("/tmp/other.nc", "loss", (8,))
    file.create_virtual_dataset("more", layout)


def cycle(file):
    file["more"] = file["/"]


def unpacked(file):
    file.create_dataset("more", (10**12,), "f8", chunks=(1024,))


def packed(file):
    file.create_dataset("more", data=np.zeros(10**6), compression="gzip")


def a_type(file):
    file["more"] = np.dtype("f8")


def a_time(file):
    file.create_dataset("more", data=np.ones(2)).attrs["units"] = "days since the flood"


OUTSIDE_DATA = (
    external_storage,
    external_link,
    soft_link,
    virtual,
    cycle,
    unpacked,
    packed,
    a_type,
)


@pytest.mark.parametrize("add", [*OUTSIDE_DATA, a_time])
def test_results_that_lead_elsewhere(add, folder):
    with h5py.File(folder / "result.nc", "r+") as file:
        add(file)
    seal(folder)
    assert str(folder / "result.nc") in said(lambda: refresh_report(folder, get_study))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of what is empty, by the figures
def test_results_of_another_form(finished, folder, monkeypatch):
    def draw(plot, dataset):
        figure = Figure()
        plot(dataset, figure.subplots())
        figure.draw_without_rendering()
        return b"", b""

    monkeypatch.setattr(plots, "render", draw)
    whole = storage.read_dataset(finished / "result.nc")
    first = str(next(iter(whole.data_vars)))
    others = [
        whole.drop_vars(first),
        whole.rename({first: "other"}),
        whole.assign({first: ((), 1.0)}),
        whole.assign({first: whole[first].astype(str)}),
        whole.isel({whole[first].dims[0]: slice(0, 0)}),
        whole[[]],
    ]
    for other in others:
        shutil.copy(finished / "summary.json", folder)
        storage.write_dataset(folder / "result.nc", other)
        seal(folder)
        words = said(lambda: refresh_report(folder, get_study))
        assert words is None or str(folder / "result.nc") in words
    assert "result.nc" in words


@pytest.mark.parametrize("error", [RuntimeError("a"), AssertionError("b"), NameError("c")])
def test_a_fault_of_ours_in_a_report_is_no_fault_of_the_file(error, folder):
    def report(summary, dataset):
        raise error

    broken = replace(get_study("simulate"), report=report)
    with pytest.raises(type(error)):
        refresh_report(folder, lambda name: broken)


def test_what_failed_is_told_beside_the_file(folder):
    def report(summary, dataset):
        raise KeyError("loss")

    broken = replace(get_study("simulate"), report=report)
    words = said(lambda: refresh_report(folder, lambda name: broken))
    assert "(KeyError: 'loss'; if nobody changed it the fault is meanfield's" in words


def test_a_fault_of_ours_in_units_is_no_fault_of_files_that_are_alike(tmp_path):
    def held(names, **arrays):
        units = [Unit(name, stub_study.walk, {}, name) for name in names]
        return units, {name: Held(tmp_path / name, arrays, 1.0) for name in names}

    units, alike = held(["a", "b", "c"], path=np.ones(3))
    for error in (KeyError("other"), ValueError("of ours")):
        with pytest.raises(type(error)), blamed(units, alike):
            raise error
    other = {**alike, "b": Held(tmp_path / "b", {"path": np.ones((2, 2))}, 1.0)}
    named = r"/b does not hold .*KeyError: 'x'"
    with pytest.raises(CheckpointError, match=named), blamed(units, other):
        raise KeyError("x")
    with pytest.raises(RuntimeError), blamed(units, other):
        raise RuntimeError("of ours")
    with pytest.raises(CheckpointError, match="/a does not hold"), blamed(*held(["a"])):
        raise ValueError("whose nobody knows")


ARRAYS = (
    {},
    {"other": np.ones(3)},
    {"path": np.array(["a", "b"])},
    {"path": np.array(1.0)},
    {"path": np.ones((2, 2, 2))},
    {"path": np.empty(0)},
)


@pytest.mark.parametrize("key", ["base", "walk-1"])
@pytest.mark.parametrize("arrays", ARRAYS, ids=range(len(ARRAYS)))
def test_units_of_another_form(key, arrays, tmp_path, undrawn):
    config = stub_study.StubConfig(study="stub", size=4)
    run_study(stub_study.STUDY, config, tmp_path)
    path = tmp_path / "work" / f"{key}.npz"
    (tmp_path / "work" / "walk-3.npz").unlink()
    meta = storage.load_arrays(path)[1]
    storage.save_arrays(path, arrays, meta)
    named = []
    while words := said(lambda: run_study(stub_study.STUDY, config, tmp_path, resume=True)):
        named.append(next(file for file in tmp_path.glob("work/*.npz") if str(file) in words))
        named[-1].unlink()
    # One of other types is known at once; one of another length may be named as the second.
    assert path in named[: 1 + (arrays.keys() == {"path"})] or key == "base"


@pytest.mark.parametrize("meta", [{}, {"unit": 1}, {"unit": "base", "seconds": "x"}, None, []])
def test_units_without_their_description(meta, tmp_path, monkeypatch, undrawn):
    config = stub_study.StubConfig(study="stub")
    run_study(stub_study.STUDY, config, tmp_path)
    path = tmp_path / "work" / "base.npz"
    arrays, whole = storage.load_arrays(path)
    content = {**whole, **meta} if meta else meta
    if not isinstance(content, dict):
        monkeypatch.setattr(storage, "dict", lambda value: content, raising=False)
    storage.save_arrays(path, arrays, content)
    monkeypatch.undo()
    assert str(path) in said(lambda: run_study(stub_study.STUDY, config, tmp_path, resume=True))


def npy(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


MEMBERS = (
    b"",
    b"text",
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }") + bytes(16),
    npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + bytes(8),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': 3, }") + bytes(24),
    npy("[" * 90),
)


@pytest.mark.parametrize("member", MEMBERS, ids=range(len(MEMBERS)))
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_of_any_bytes(member, packing, tmp_path):
    path = tmp_path / "unit.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr(zipfile.ZipInfo("meanfield.json"), "{}")
        archive.writestr("a.npy", member)
        archive.comment = b"sha256 " + bytes(64)
    data = bytearray(path.read_bytes())
    data[-64:] = storage._digest(data)
    path.write_bytes(data)
    assert str(path) in said(lambda: storage.load_arrays(path))


@pytest.mark.parametrize("content", [*BYTES, b"[]", b'{"study": 1}', b'{"study": "stub"}'])
def test_any_stamp(content, tmp_path, undrawn):
    config = stub_study.StubConfig(study="stub")
    run_study(stub_study.STUDY, config, tmp_path)
    for name in ("work/stamp.json", "config.toml"):
        (tmp_path / name).write_bytes(content)
        words = said(lambda: run_study(stub_study.STUDY, config, tmp_path, resume=True))
        assert str(tmp_path / name) in words
        (tmp_path / "work" / "stamp.json").unlink(missing_ok=True)
