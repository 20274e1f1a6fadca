"""A study that was stopped at any moment and resumed ends with the same bits."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from meanfield import plots
from meanfield.errors import CheckpointError, ConfigError
from meanfield.studies import STUDIES, Entry, get_study
from meanfield.system import manifest, storage
from meanfield.system.progress import Bar
from meanfield.workbench.config import parse
from meanfield.workbench.outputs import refresh_report
from meanfield.workbench.runner import run_study
from tests.workbench import stub_study

OUTPUTS = {"config.toml", "summary.json", "result.nc", "report.html", "walk.png", "walk.pdf"}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(STUDIES, "stub", Entry("tests.workbench.stub_study", "A stub."))
    # Drawing is slow and not what is tested here.
    monkeypatch.setattr(plots, "render", lambda plot, dataset: (b"png", b"pdf"))


def run(out, *, resume=False, **keys):
    config = parse(stub_study.StubConfig, {"study": "stub", **keys})
    return run_study(stub_study.STUDY, config, out, resume=resume)


def content(out):
    """What a study found: the arrays, bit for bit, and the summary."""
    dataset = storage.read_dataset(out / "result.nc")
    arrays = {name: variable.values.tobytes() for name, variable in dataset.variables.items()}
    return arrays, (out / "summary.json").read_bytes()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    STUDIES["stub"] = Entry("tests.workbench.stub_study", "A stub.")
    run(out)
    del STUDIES["stub"]
    return out


def test_folder_holds_everything_and_verifies(reference):
    assert {entry.name for entry in reference.iterdir()} == OUTPUTS | {"manifest.json", "work"}
    assert set(manifest.verify(reference)) == OUTPUTS
    units = {entry.name for entry in (reference / "work").iterdir()}
    assert units == {"base.npz", "walk-0.npz", "walk-1.npz", "walk-2.npz", "stamp.json", "lock"}


def test_stop_at_every_single_write_then_resume(tmp_path, monkeypatch, reference):
    """Stop before and after the k-th file is put in place, for every k."""
    replace, expected = os.replace, content(reference)
    stops = 0
    for after in (False, True):
        for k in range(1000):
            out = tmp_path / f"{after}-{k}"
            writes = iter(range(1000))

            def stop(source, target, k=k, after=after, writes=writes):
                now = next(writes) == k
                if not now or after:
                    replace(source, target)
                if now:
                    raise KeyboardInterrupt

            monkeypatch.setattr(os, "replace", stop)
            try:
                run(out)
            except KeyboardInterrupt:
                stops += 1
            else:
                break
            finally:
                monkeypatch.setattr(os, "replace", replace)
            run(out, resume=True)
            assert content(out) == expected
            manifest.verify(out)
    assert stops > 40


def test_kill_again_and_again_then_resume(tmp_path, reference):
    config, out = tmp_path / "stub.toml", tmp_path / "out"
    config.write_text('study = "stub"\n')
    rng = np.random.default_rng(0)
    for pause in (0.02, 0.0):
        program = [sys.executable, stub_study.__file__, str(config), str(out), str(pause)]
        process = subprocess.Popen(program, stderr=subprocess.DEVNULL)
        before = len(list(out.glob("work/*"))) if out.exists() else 0
        # Kill at a random moment after something new was written.
        while process.poll() is None and len(list(out.glob("work/*"))) <= before:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(out, resume=True)
    assert content(out) == content(reference)
    manifest.verify(out)
    assert not list(out.rglob(".*"))


@pytest.mark.parametrize("kind", ["truncated", "flipped"])
def test_damaged_unit_is_named_and_only_it_is_redone(tmp_path, monkeypatch, reference, kind):
    out = tmp_path / "out"
    run(out)
    unit = out / "work" / "walk-1.npz"
    data = bytearray(unit.read_bytes())
    if kind == "truncated":
        del data[-7:]
    else:
        data[len(data) // 2] ^= 4
    unit.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"walk-1\.npz is truncated or was altered"):
        run(out, resume=True)
    unit.unlink()
    done = []
    walk = stub_study.walk

    @functools.wraps(walk)
    def watched(start, **more):
        done.append(start)
        return walk(start, **more)

    monkeypatch.setattr(stub_study, "walk", watched)
    run(out, resume=True)
    assert done == [1.0]
    assert content(out) == content(reference)


def test_damaged_checkpoint_of_a_running_unit_is_named(tmp_path):
    out = tmp_path / "out"
    run(out)
    unit = out / "work" / "walk-2.npz"
    digest = storage.load_arrays(unit)[1]["digest"]
    unit.unlink()
    (out / "work" / f"walk-2.{digest[:8]}.running").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"walk-2\.\w+\.running"):
        run(out, resume=True)


def test_unit_of_another_name_or_study_is_not_used(tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    run(out)
    run(other, seed=1)
    for foreign in (out / "work" / "walk-0.npz", other / "work" / "walk-1.npz"):
        (out / "work" / "walk-1.npz").write_bytes(foreign.read_bytes())
        with pytest.raises(CheckpointError, match=r"walk-1\.npz holds other work"):
            run(out, resume=True)


def test_damaged_stamp_is_named(tmp_path):
    run(tmp_path / "out")
    for text in ("{", "[]", '{"study": "stub"}'):
        (tmp_path / "out/work/stamp.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"stamp\.json is truncated or was altered"):
            run(tmp_path / "out", resume=True)


def test_finished_folder_needs_resume_and_resume_changes_nothing(tmp_path, reference):
    out = tmp_path / "out"
    run(out)
    with pytest.raises(ConfigError, match="already holds a study; add --resume"):
        run(out)
    run(out, resume=True)
    assert content(out) == content(reference)


def test_resume_refuses_another_configuration_in_words(tmp_path):
    out = tmp_path / "out"
    run(out)
    with pytest.raises(ConfigError, match="was begun with size = 3, and now it is 4; undo"):
        run(out, resume=True, size=4)
    with pytest.raises(ConfigError, match=r"with labels\.x = None, and now it is 1\.0"):
        run(out, resume=True, labels={"x": 1.0})


def test_title_may_change_between_runs(tmp_path, reference):
    out = tmp_path / "out"
    run(out)
    assert run(out, resume=True, title="Walks")["title"] == "Walks"
    assert content(out)[0] == content(reference)[0]


def test_resume_refuses_other_data_and_another_version(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(out)
    prepare = stub_study.prepare
    study = stub_study.STUDY.__class__(
        "stub",
        stub_study.StubConfig,
        {},
        lambda config: type(plan := prepare(config))(plan.units, plan.combine, "other"),
        stub_study.report,
    )
    config = parse(stub_study.StubConfig, {"study": "stub"})
    with pytest.raises(ConfigError, match="with other data than the configuration now points to"):
        run_study(study, config, out, resume=True)
    stamp = out / "work/stamp.json"
    stamp.write_text(stamp.read_text().replace('"version": "', '"version": "9.'))
    with pytest.raises(ConfigError, match=r"by version 9\..*, and this is version"):
        run(out, resume=True)


def test_results_without_their_work_can_be_made_again_but_not_mixed(tmp_path, reference):
    out = tmp_path / "out"
    run(out)
    for entry in (out / "work").iterdir():
        entry.unlink()
    (out / "work").rmdir()
    with pytest.raises(ConfigError, match="add --resume"):
        run(out)
    with pytest.raises(ConfigError, match="size = 3, and now it is 5"):
        run(out, resume=True, size=5)
    run(out, resume=True)
    assert content(out) == content(reference)


def test_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"holds other files, such as 'thesis\.tex'"):
            run(tmp_path, resume=resume)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_empty_folder_is_used(tmp_path):
    run(tmp_path)
    manifest.verify(tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path):
    run(tmp_path / "out")
    with open(tmp_path / "out/work/lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="in use by another run"):
            run(tmp_path / "out", resume=True)
    run(tmp_path / "out", resume=True)


def test_folder_under_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"Cannot write to .*file.*; give --out"):
        run(tmp_path / "file" / "out")


def test_progress_grows_to_the_whole_and_starts_where_work_was_left(tmp_path):
    seen = []

    class Watch(Bar):
        def __call__(self, done, total):
            seen.append((self.label, done / total))

    config = parse(stub_study.StubConfig, {"study": "stub"})
    run_study(stub_study.STUDY, config, tmp_path / "out", progress=Watch(""))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    (tmp_path / "out/work/walk-2.npz").unlink()
    seen.clear()
    run_study(stub_study.STUDY, config, tmp_path / "out", resume=True, progress=Watch(""))
    assert seen[0] == ("walk 2", 5 / 7)


def test_report_again_from_saved_results_alone(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(out)
    page = (out / "report.html").read_bytes()
    for name in ("report.html", "walk.png", "walk.pdf"):
        (out / name).unlink()
    monkeypatch.setattr(stub_study, "walk", None)
    assert refresh_report(out, get_study) == out / "report.html"
    assert (out / "report.html").read_bytes() == page
    assert set(manifest.verify(out)) == OUTPUTS
    (out / "summary.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"summary\.json is truncated or was altered"):
        refresh_report(out, get_study)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_noted(tmp_path, monkeypatch, reference, code):
    def refuse(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(storage, "_noted", set())
    with pytest.warns(UserWarning, match=r"has no locks, .*: start none"):
        run(tmp_path / "out")
    assert content(tmp_path / "out") == content(reference)


def test_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for out in (tmp_path / "link", tmp_path / "link/deeper/still"):
        with pytest.raises(ConfigError, match=r"link is a link to .*gone, which is not there"):
            run(out)
    (tmp_path / "gone").mkdir()  # the remedy
    run(tmp_path / "link")
